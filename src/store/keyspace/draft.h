/* Writes of an entry: a draft is a block with the key, for the caller to put the value in, then to publish. */
#pragma once

#include "atomdb/store/key.h"
#include "store/keyspace/record.h"

/* A new block for a key, complete except for its value, not yet in the table. */
struct draft {
	ref block;
	uint32_t owner; /* of the entry, once published */
	size_t size;
	struct entry *entry;
	char *value;
};

/* The database of a key that is about to get a value of `len` bytes; the first write makes it. NULL: there is no room
 * for both if only entries older than `keep` are evicted. */
struct database *draft_database(struct tenant *t, const struct key *key, size_t len, ref keep);
/* Makes a block for `key` with room for `len` stored bytes, within the quota. Evicts only entries older than `keep`, or
 * older than `old` if `keep` is 0. Returns 0, or ATOMDB_E_OOM and nothing has been evicted. */
int draft_make(struct tenant *t, struct database *d, const struct key *key, struct entry *old, size_t len,
	       unsigned flags, int64_t deadline, ref keep, struct draft *out);
/* The same for a write whose room has been made, in the table too. */
int draft_make_in_room(struct tenant *t, const struct key *key, size_t len, unsigned flags, int64_t deadline, ref keep,
		       struct draft *out);
/* Bytes of the block that a draft takes. */
size_t draft_size(const struct key *key, size_t len, unsigned flags, int64_t deadline);
/* The deadline that a write results in, by the tenant's limits; 0: none. `deadline` may be DEADLINE_KEEP. */
int64_t draft_deadline(const struct tenant *t, const struct entry *old, int64_t deadline);
/* Gives a draft whose value is written its check. A draft without it is published after check_begin_whole(). */
void draft_seal(struct draft *draft);
/* Frees a draft that is not published. */
void draft_discard(struct shard *s, const struct draft *draft);
/* Puts a finished draft in the place of `old`, or into the table if `old` is NULL. */
void draft_publish(struct tenant *t, struct database *d, const struct key *key, struct entry *old,
		   const struct draft *draft);
