/* A tenant's keys: what the commands are written in.
 *
 * Every call is for the tenant's own worker. "Now" is the shard's (shard_set_now). What is due is invisible: a lookup
 * that meets a due entry removes it, counts it as expired and finds nothing. An `entry` that a call returns is valid
 * until the next call that writes to the same tenant. Values are strings of at most KEYSPACE_VALUE_MAX bytes. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "atomdb/store/key.h"
#include "atomdb/util/slice.h"

#define KEYSPACE_VALUE_MAX ((size_t)512 << 20)
/* Scratch for the text of values that are stored as integers. */
#define KEYSPACE_TEXT 24

struct entry;
struct shard;
struct tenant;

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

/* Bytes that the entry is charged: MEMORY USAGE. */
size_t keyspace_memory(const struct entry *e);
