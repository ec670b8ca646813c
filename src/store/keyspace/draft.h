/* Writes of an entry. A draft is a new block with the key. The caller writes the value into it and publishes it. */
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

/* Returns the database of a key that gets a value of `len` bytes, and makes it at the first write. Returns NULL if
 * there is no room for both, when only entries older than `keep` are evicted. Has check points. */
struct database *draft_database(struct tenant *t, const struct key *key, size_t len, ref keep);
/* Makes a block for `key` with room for `len` stored bytes, within the quota. Evicts only entries older than `keep`, or
 * older than `old` if `keep` is 0. Returns 0 or ATOMDB_E_OOM. Has check points: nothing has been evicted for a refused
 * draft, unless others took the pages during a suspension. */
int draft_make(struct tenant *t, struct database *d, const struct key *key, struct entry *old, size_t len,
	       unsigned flags, int64_t deadline, ref keep, struct draft *out);
/* Like draft_make(), after room was made, in the table too. */
int draft_make_in_room(struct tenant *t, const struct key *key, size_t len, unsigned flags, int64_t deadline, ref keep,
		       struct draft *out);
/* Like draft_make_in_room(), but evicts nothing if memory is short. */
int draft_try(struct tenant *t, const struct key *key, size_t len, unsigned flags, int64_t deadline, struct draft *out);
/* Returns the bytes that a draft takes. */
size_t draft_size(const struct key *key, size_t len, unsigned flags, int64_t deadline);
/* Returns the deadline of a write by the tenant's limits, or 0 for none. `deadline` may be DEADLINE_KEEP. */
int64_t draft_deadline(const struct tenant *t, const struct entry *old, int64_t deadline);
/* Writes the check of a draft whose value is written. A draft without a check is published after
 * check_begin_whole(). */
void draft_seal(struct draft *draft);
/* Writes the value of a draft, `len` stored bytes, and its check. Has check points if the value is long. */
void draft_fill(struct draft *draft, const void *stored, size_t len);
/* Frees a draft that is not published. */
void draft_discard(struct shard *s, const struct draft *draft);
/* Puts a finished draft in the place of `old`, or into the table if `old` is NULL. In an open scope there must be room
 * for UNDO_REPLACE notes: draft_make() makes it, draft_make_in_room() does not. */
void draft_publish(struct tenant *t, struct database *d, const struct key *key, struct entry *old,
		   const struct draft *draft);
