/* The keys of a tenant, with values of any type: lookup, deadlines, deletion.
 *
 * Only the tenant's own worker calls these functions. The present time is that of shard_set_now(). A due entry is
 * invisible: a lookup that meets one removes it, counts it as expired and finds nothing. A returned entry is valid
 * until the next call that writes to the same tenant. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "atomdb/store/key.h"
#include "atomdb/util/slice.h"

struct entry;
struct shard;
struct tenant;

/* Bytes of a name that is hashed, compared and copied with check points. */
#define LONG_NAME ((size_t)64 << 10)

/* Returns the key of that name, with its hash. The name is not copied. */
struct key keyspace_key(const struct tenant *t, unsigned db_slot, struct slice name);
/* The same, with check points if the name is long. */
struct key keyspace_long_key(const struct tenant *t, unsigned db_slot, struct slice name);
/* Returns the slot of database `database` (0 to 15). keyspace_swap() changes it. */
unsigned keyspace_db_slot(const struct tenant *t, unsigned database);
/* Returns the number of the database in a slot. */
unsigned keyspace_database(const struct tenant *t, unsigned db_slot);

/* Prefetch the memory that a later lookup of `key` reads, in three steps: the bucket, then the entry that is probably
 * the key's, then its neighbours in the LRU list. They return NULL if there is nothing to fetch. Each step reads what
 * the one before fetched, so leave time between them. A write between the steps only wastes a prefetch as long as
 * keyspace_generation() is unchanged. Otherwise discard the pointers. */
const void *keyspace_fetch_bucket(const struct tenant *t, const struct key *key);
const struct entry *keyspace_fetch_entry(const struct tenant *t, const struct key *key, const void *bucket);
void keyspace_fetch_links(const struct tenant *t, const struct entry *e);
uint32_t keyspace_generation(const struct tenant *t);

enum lookup {
	LOOKUP_PEEK = 0,
	LOOKUP_TOUCH = 1, /* makes the entry the most recently used */
	LOOKUP_COUNT = 2, /* counts as a hit or a miss */
	LOOKUP_READ = LOOKUP_TOUCH | LOOKUP_COUNT,
	LOOKUP_WRITE = LOOKUP_TOUCH,
};

/* Returns the entry of `key`, or NULL. Its value may be of any type. */
struct entry *keyspace_find(struct tenant *t, const struct key *key, enum lookup how);

/* Returns the name of the key, in the arena. */
struct slice keyspace_name(const struct entry *e);
/* Returns for how many seconds the entry has been neither read nor written: up to nine minutes too few. The count
 * starts again at 0 after 13 days. */
int64_t keyspace_idle(const struct tenant *t, const struct entry *e);
/* Sets for how many seconds the entry has not been used. Its place in the LRU list stays. */
void keyspace_set_idle(struct tenant *t, struct entry *e, int64_t seconds);
/* Returns the deadline in milliseconds since 1970, or 0 for none. */
int64_t keyspace_deadline(const struct entry *e);

/* Changes the deadline: milliseconds since 1970, or DEADLINE_NONE to persist. Deletes the key if the deadline has
 * passed. max_ttl applies. Returns 0 or ATOMDB_E_OOM. */
int keyspace_expire(struct tenant *t, const struct key *key, struct entry *e, int64_t deadline);

/* Removes an entry that a lookup returned. Returns 0, or ATOMDB_E_OOM in an open scope that has no room for it, and
 * nothing has changed. */
int keyspace_delete(struct tenant *t, const struct key *key, struct entry *e);

/* Returns the bytes of the entry's block and of what its value holds outside: MEMORY USAGE. */
size_t keyspace_memory(const struct tenant *t, const struct entry *e);
