/* A hash table of refs: open addressing in buckets of one cache line, resized a few buckets at a time.
 *
 *   bucket, 64 bytes:  | 12 tags | overflow | 3 spare |  12 refs (4 bytes each)  |
 *
 * A tag is 8 bits of the hash and never 0, which marks an empty slot. One SSE2 comparison finds the candidates in a
 * bucket. An entry whose home bucket is full goes to the next bucket that has room, and each full bucket on the way
 * counts it in `overflow` (saturating). A lookup continues only while that count is not zero, so a removal needs no
 * tombstone. The design is that of F14 (Folly) with linear probing, so that SCAN can find all entries of a home bucket.
 *
 * While a table grows or shrinks, each change moves a few buckets from the old array to the new one, and lookups search
 * both arrays. The table reads only the key of an entry (block_key()). */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "atomdb/util/hash.h"
#include "atomdb/util/slice.h"
#include "store/arena/arena.h"

struct block;

/* One array of buckets. */
struct table_array {
	ref buckets;    /* 0: none */
	uint32_t bits;  /* 2^bits buckets */
	uint64_t count; /* entries in this array */
};

/* A table, in the arena. All zeros is an empty table. */
struct table {
	struct table_array now; /* new entries go here */
	struct table_array old; /* being emptied; its `buckets` is 0 if no resize is under way */
	uint64_t next;          /* number of the old bucket to move next */
};

/* The arena and the hash seed of the tables of a shard. */
struct table_context {
	struct arena *arena;
	struct hash_seed seed;
};

static inline uint64_t table_count(const struct table *t) {
	return t->now.count + t->old.count;
}

/* Returns the bytes of the arrays of the table, as a tenant is charged for them. */
size_t table_memory(const struct table *t);
/* Returns whether one more entry fits without a larger array. */
bool table_has_slot(const struct table *t);
/* Returns the bytes that table_reserve() would allocate for one more entry, mostly 0. */
size_t table_growth(const struct table *t);

/* Prefetch the memory that a later table_find() reads, in three steps with time between them: the bucket of the present
 * array, then the entry that is likely to have the key, then the end of its value and its neighbours in the LRU list.
 * Return NULL if there is nothing to fetch.
 *
 * A write between the steps only wastes a prefetch as long as arena_generation() is unchanged since the first step.
 * Otherwise the caller must discard the pointers. */
const void *table_fetch_bucket(const struct table_context *c, const struct table *t, uint64_t hash);
const struct block *table_fetch_entry(const struct table_context *c, const void *bucket, uint64_t hash);
void table_fetch_links(const struct table_context *c, const struct block *e);

/* Returns the entry with that key, or 0. `hash` is the hash of the key with the seed of the context. */
ref table_find(const struct table_context *c, const struct table *t, uint64_t hash, struct slice key);

/* Ensures that one more entry fits. Starts a resize if one is due. Returns 0, or ATOMDB_E_OOM and nothing changed. */
int table_reserve(const struct table_context *c, struct table *t);
/* Ensures that `count` more entries fit. The caller still calls table_reserve() for each entry; that cannot fail then.
 * Returns 0 or ATOMDB_E_OOM. */
int table_reserve_many(const struct table_context *c, struct table *t, uint64_t count);
/* Returns the bytes that table_reserve_many() would allocate. */
size_t table_growth_many(const struct table *t, uint64_t count);
/* Adds an entry whose key is not in the table, after table_reserve(). */
void table_add(const struct table_context *c, struct table *t, uint64_t hash, ref entry);
/* Removes `entry`, found by its ref. Returns false if it is not in the table. */
bool table_remove(const struct table_context *c, struct table *t, uint64_t hash, ref entry);
/* Puts `to` into the slot of `from`. Returns false if `from` is not in the table. */
bool table_replace(const struct table_context *c, struct table *t, uint64_t hash, ref from, ref to);

/* Moves up to `buckets` buckets of a resize under way, frees the old array at its end, and starts to shrink a sparse
 * table. Returns whether a resize is still under way. The caller calls it with each change, and when it has time. */
bool table_step(const struct table_context *c, struct table *t, unsigned buckets);

/* Visits all entries of the cursor's home buckets. The first cursor is 0. Returns the next cursor, 0 at the end. An
 * entry that is in the table from the first call to the last is visited at least once, whatever resizes happen between
 * the calls (the reverse binary cursor of Redis's dictScan()). `visit` must not change the table. */
uint64_t table_scan(const struct table_context *c, const struct table *t, uint64_t cursor,
		    void (*visit)(void *context, ref entry), void *context);

/* Returns an entry chosen by the random number `random`, each with about the same probability, or 0 if the table is
 * empty. */
ref table_random(const struct table_context *c, const struct table *t, uint64_t random);

/* Initializes an empty table with room for `count` entries. Returns 0 or ATOMDB_E_OOM. */
int table_prepare(const struct table_context *c, struct table *t, uint64_t count);
/* Visits every ref in a table that may be damaged. The refs may have any value. */
void table_each(const struct table_context *c, const struct table *t, void (*visit)(void *context, ref entry),
		void *context);

/* Removes up to `max` entries, in the order of the arrays and without hashing, and calls `drop` for each. `*cursor`
 * starts at 0. At the end it frees the arrays and returns false; before, it returns true. No other call of the table
 * may come between. */
bool table_drain(const struct table_context *c, struct table *t, uint64_t *cursor, unsigned max,
		 void (*drop)(void *context, ref entry), void *context);
