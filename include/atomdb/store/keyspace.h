/* A tenant's keys: what the commands are written in.
 *
 * Every call is for the tenant's own worker. "Now" is the shard's (shard_set_now). What is due is invisible: a lookup
 * that meets a due entry removes it, counts it as expired and finds nothing. An `entry` that a call returns is valid
 * until the next call that writes to the same tenant. Values are strings of at most STRING_MAX bytes. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "atomdb/store/key.h"
#include "atomdb/util/slice.h"

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

/* The key's name, in the arena. */
struct slice keyspace_name(const struct entry *e);
/* For how many seconds the entry has been neither read nor written, at least: up to nine minutes less than it was, and
 * less than 13 days, where counting begins anew. */
int64_t keyspace_idle(const struct tenant *t, const struct entry *e);
/* Makes it look as if it had not been used for so long, but for its place in the LRU. */
void keyspace_set_idle(struct tenant *t, struct entry *e, int64_t seconds);
/* Absolute deadline in milliseconds since 1970, or 0 for none. */
int64_t keyspace_deadline(const struct entry *e);

/* Changes the deadline: milliseconds since 1970, DEADLINE_NONE to persist. One that has passed deletes the key.
 * max_ttl applies. 0, or ATOMDB_E_OOM. */
int keyspace_expire(struct tenant *t, const struct key *key, struct entry *e, int64_t deadline);

/* Removes an entry that keyspace_find returned. A large value is freed in slices. */
void keyspace_delete(struct tenant *t, const struct key *key, struct entry *e);

/* Bytes that the entry is charged: MEMORY USAGE. */
size_t keyspace_memory(const struct tenant *t, const struct entry *e);
