/* A tenant's keys: what the commands are written in.
 *
 * Every call is for the tenant's own worker. "Now" is the shard's (shard_set_now). What is due is invisible: a lookup
 * that meets a due entry removes it, counts it as expired and finds nothing. An `entry` that a call returns is valid
 * until the next call that writes to the same tenant. Values are strings of at most KEYSPACE_VALUE_MAX bytes. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "atomdb/store/tenant.h"
#include "atomdb/util/slice.h"

#define KEYSPACE_VALUE_MAX ((size_t)512 << 20)
/* Scratch for the text of values that are stored as integers. */
#define KEYSPACE_TEXT 24

struct entry;

/* A key of one database, with its hash, computed once. */
struct key {
	struct slice name;
	uint64_t hash;
	unsigned db_slot; /* of its database: keyspace_db_slot */
};

struct key keyspace_key(const struct tenant *t, unsigned db_slot, struct slice name);
/* Where database `database` (0 to 15) is, until a keyspace_swap: as a number, too, but another one. */
unsigned keyspace_db_slot(const struct tenant *t, unsigned database);
/* Which database is at a place. */
unsigned keyspace_database(const struct tenant *t, unsigned db_slot);

/* Start to bring what a later lookup of `key` needs into the cache: the bucket, then the entry that is likely to be the
 * key's, then its neighbours in the LRU list. NULL: there is nothing to fetch. Each step reads what the one before has
 * brought, so leave time between them. What is done to the tenant meanwhile may make a step fetch in vain, and no more
 * while keyspace_generation is what it was at the first: else what was returned is not to be used. */
const void *keyspace_fetch_bucket(const struct tenant *t, const struct key *key);
const struct entry *keyspace_fetch_entry(const struct tenant *t, const struct key *key, const void *bucket);
void keyspace_fetch_links(const struct tenant *t, const struct entry *e);
uint32_t keyspace_generation(const struct tenant *t);

enum lookup {
	LOOKUP_PEEK = 0,
	LOOKUP_TOUCH = 1, /* becomes the most recently used */
	LOOKUP_COUNT = 2, /* counts as a hit or a miss */
	LOOKUP_READ = LOOKUP_TOUCH | LOOKUP_COUNT,
	LOOKUP_WRITE = LOOKUP_TOUCH,
};

/* The entry of `key`, or NULL. */
struct entry *keyspace_find(struct tenant *t, const struct key *key, enum lookup how);

/* The value's bytes: in the arena, or in `text` if it is stored as an integer. */
struct slice keyspace_value(const struct entry *e, char text[KEYSPACE_TEXT]);
/* Whether the value is the canonical decimal form of an int64_t, and which. */
bool keyspace_integer(const struct entry *e, int64_t *value);
/* Redis's name of the encoding: "int", "embstr" or "raw". */
const char *keyspace_encoding(const struct entry *e);
/* The key's name, in the arena. */
struct slice keyspace_name(const struct entry *e);
/* For how many seconds the entry has been neither read nor written, at least: up to nine minutes less than it was, and
 * less than 13 days, where counting begins anew. */
int64_t keyspace_idle(const struct tenant *t, const struct entry *e);
/* Makes it look as if it had not been used for so long, but for its place in the LRU. */
void keyspace_set_idle(struct tenant *t, struct entry *e, int64_t seconds);
/* Absolute deadline in milliseconds since 1970, or 0 for none. */
int64_t keyspace_deadline(const struct entry *e);

/* A write's deadline. */
#define DEADLINE_NONE ((int64_t)0)  /* the key shall not expire, but for default_ttl and max_ttl */
#define DEADLINE_KEEP ((int64_t)-1) /* as it was */

/* Sets `key` to `value`, new or over `old` (its present entry, from keyspace_find, or NULL when there is none). Evicts
 * where the quota needs it, never `key` itself. `value` must not point into the arena. A deadline (milliseconds since
 * 1970, > 0) that has passed leaves the key absent. 0, or ATOMDB_E_OOM: nothing changed but what was evicted. */
int keyspace_set(struct tenant *t, const struct key *key, struct entry *old, struct slice value, int64_t deadline);
/* The same for what is made byte by byte: OBJECT ENCODING says raw, and digits stay digits. */
int keyspace_set_raw(struct tenant *t, const struct key *key, struct entry *old, struct slice value, int64_t deadline);
/* The same for a text that stays one where it is a number: OBJECT ENCODING says embstr or raw, never int. */
int keyspace_set_text(struct tenant *t, const struct key *key, struct entry *old, struct slice value, int64_t deadline);
int keyspace_set_integer(struct tenant *t, const struct key *key, struct entry *old, int64_t value, int64_t deadline);
/* Adds `amount` to the integer that `old` is, or to 0 where it is NULL; the deadline stays. 0 and the `*sum`;
 * ATOMDB_E_SYNTAX: the value is no integer; ATOMDB_E_RANGE: the sum is none; ATOMDB_E_OOM. */
int keyspace_add(struct tenant *t, const struct key *key, struct entry *old, int64_t amount, int64_t *sum);

/* Told of each key, in order, once all are sure to be set. */
typedef void (*keyspace_written)(void *context, const struct key *key);
/* Sets `count` keys of one database, names and values in turn, all or none. Of a name that comes twice the last value
 * stays. 0, or ATOMDB_E_OOM and nothing has changed. */
int keyspace_set_all(struct tenant *t, unsigned db_slot, const struct slice *pairs, size_t count,
		     keyspace_written written, void *context);

/* What happens from the first to the commit, also to several keys, is either all there after a crash or not at all.
 * They nest; only the outermost commit counts. A single call of this header needs neither. */
void keyspace_begin(struct shard *s);
/* The same for several commands: what they replace and remove stays charged until the commit. Beyond a 64th of the
 * quota, 64 KiB to 1 MiB, it has to fit, together with the `bytes` charged for the list of the commands. */
void keyspace_begin_transaction(struct shard *s, uint64_t bytes);
void keyspace_commit(struct shard *s);

/* The part of a value that a caller is about to write to. */
struct span {
	size_t at, len;
};

/* Makes the value of `key` `length` bytes long (<= KEYSPACE_VALUE_MAX), new bytes zero, for the caller to write to at
 * `*bytes`, within `span` and what is new; creates the key where `old` is NULL. An integer becomes its text. Success
 * begins what keyspace_commit ends, once the bytes are written. Same errors as keyspace_set. */
int keyspace_resize(struct tenant *t, const struct key *key, struct entry *old, size_t length, struct span span,
		    char **bytes);

/* The same for at most 8 bytes within the value of `e`, in its place. False: that would take memory, and nothing has
 * changed. Evicts nothing. */
bool keyspace_patch(struct tenant *t, const struct key *key, struct entry *e, struct span span, char **bytes);

/* Only what keyspace_resize does to OBJECT ENCODING, for a write that leaves all bytes as they are: nobody is told. */
int keyspace_make_raw(struct tenant *t, const struct key *key, struct entry *e);

/* Changes the deadline: milliseconds since 1970, DEADLINE_NONE to persist. One that has passed deletes the key.
 * max_ttl applies. 0, or ATOMDB_E_OOM. */
int keyspace_expire(struct tenant *t, const struct key *key, struct entry *e, int64_t deadline);

/* Removes an entry that keyspace_find returned. A large value is freed in slices. */
void keyspace_delete(struct tenant *t, const struct key *key, struct entry *e);

/* Moves an entry to another key, in this or another database, with its deadline; over `old`, that key's present entry,
 * which is another one, or NULL. 0, or ATOMDB_E_OOM: nothing changed but what was evicted. */
int keyspace_move(struct tenant *t, const struct key *from, struct entry *e, const struct key *to, struct entry *old);
/* The same, and the entry stays where it is too. */
int keyspace_copy(struct tenant *t, struct entry *e, const struct key *to, struct entry *old);
/* Exchanges two databases at once, however large they are. */
void keyspace_swap(struct tenant *t, unsigned a, unsigned b);

/* The count of keys, and of those with a deadline (either may be NULL), exactly: 0, or ATOMDB_E_AGAIN while due
 * entries are still being swept. */
int keyspace_size(struct tenant *t, unsigned database, uint64_t *keys, uint64_t *expiring);

/* Visits all keys of one step of an iteration that started with cursor 0; returns the next cursor, 0 at the end.
 * Guarantee as Redis's SCAN. `visit` must not write to the tenant. */
uint64_t keyspace_scan(struct tenant *t, unsigned database, uint64_t cursor,
		       void (*visit)(void *context, const struct entry *e), void *context);

/* Some key, about evenly chosen: 1 and `*e`; 0 when there is none; ATOMDB_E_AGAIN as keyspace_size. */
int keyspace_random(struct tenant *t, unsigned database, struct entry **e);

/* Empties a database, or all with TENANT_DATABASES; what was there is invisible at once and freed in slices. */
void keyspace_flush(struct tenant *t, unsigned database);

/* Bytes that the entry is charged: MEMORY USAGE. */
size_t keyspace_memory(const struct entry *e);
