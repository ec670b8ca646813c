/* A hash table of refs: open addressing in buckets of one cache line, resized a few buckets at a time.
 *
 *   bucket, 64 bytes:  | 12 tags | overflow | 3 spare |  12 refs (4 bytes each)  |
 *
 * A tag is 8 bits of the hash, never 0 (0: empty slot); one SSE2 compare finds the candidates of a bucket. An entry
 * whose home bucket is full goes to the next one that has room, and each full bucket passed on the way counts it in
 * `overflow` (saturating): a lookup walks on only while that count is not zero, so deleting needs no tombstone. The
 * idea is that of F14 (Folly), with linear probing so that SCAN can find all entries of a home bucket.
 *
 * While a table grows or shrinks, entries move from the old array to the new one, some buckets with each change;
 * lookups look at both. The table knows entries only through their key (block_key()). */
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

/* Lives in the arena; all zeros is an empty table. */
struct table {
	struct table_array now; /* where entries are added */
	struct table_array old; /* being emptied; buckets 0 when no resize is under way */
	uint64_t next;          /* the old bucket to move next */
};

/* The environment of a table. */
struct table_context {
	struct arena *arena;
	struct hash_seed seed;
};

static inline uint64_t table_count(const struct table *t) {
	return t->now.count + t->old.count;
}

/* Bytes of its arrays, as charged. */
size_t table_memory(const struct table *t);
/* Bytes more that table_reserve would take for one more entry; 0 mostly. */
size_t table_growth(const struct table *t);

/* Bring what a later search needs into the cache, one step after the other, with time between them: first the bucket
 * (of the present array), then the entry that is likely to be the one, then the end of its value and its neighbours in
 * the LRU list. NULL: there is nothing to fetch. What is written to the store between the steps may make them fetch in
 * vain, and no more while arena_generation is what it was at the first: else what was returned is not to be used. */
const void *table_fetch_bucket(const struct table_context *c, const struct table *t, uint64_t hash);
const struct block *table_fetch_entry(const struct table_context *c, const void *bucket, uint64_t hash);
void table_fetch_links(const struct table_context *c, const struct block *e);

/* The entry with that key, or 0. */
ref table_find(const struct table_context *c, const struct table *t, uint64_t hash, struct slice key);

/* Makes sure that one more entry fits, starting a resize where it is time. 0, or ATOMDB_E_OOM: nothing changed. */
int table_reserve(const struct table_context *c, struct table *t);
/* The same for `count` more entries: each is added after a table_reserve of its own, which cannot fail then. */
int table_reserve_many(const struct table_context *c, struct table *t, uint64_t count);
/* Bytes more that table_reserve_many would take. */
size_t table_growth_many(const struct table *t, uint64_t count);
/* Adds an entry whose key is not in the table; table_reserve came before. */
void table_add(const struct table_context *c, struct table *t, uint64_t hash, ref entry);
/* Takes `entry` out by identity; false where it is not in the table. */
bool table_remove(const struct table_context *c, struct table *t, uint64_t hash, ref entry);
/* `to` takes the slot of `from`; false where `from` is not in the table. */
bool table_replace(const struct table_context *c, struct table *t, uint64_t hash, ref from, ref to);

/* Moves up to `buckets` buckets of a resize under way, frees the old array at its end, and starts shrinking a sparse
 * table; returns whether a resize is still under way. Called with each change, and when there is time. */
bool table_step(const struct table_context *c, struct table *t, unsigned buckets);

/* Calls `visit` for all entries of the cursor's home buckets; returns the next cursor, 0 at the end. An entry that is
 * there from the first call to the last is visited at least once, whatever resizes happen between (the reverse binary
 * cursor of Redis's dictScan). `visit` must not change the table. */
uint64_t table_scan(const struct table_context *c, const struct table *t, uint64_t cursor,
		    void (*visit)(void *context, ref entry), void *context);

/* An entry chosen about evenly by the random number; 0 when empty. */
ref table_random(const struct table_context *c, const struct table *t, uint64_t random);

/* An empty table with room for `count` entries. 0 or ATOMDB_E_OOM. */
int table_prepare(const struct table_context *c, struct table *t, uint64_t count);
/* Visits all that an array of a table may name, which nobody vouches for: the refs may be anything. */
void table_each(const struct table_context *c, const struct table *t, void (*visit)(void *context, ref entry),
		void *context);

/* Takes any entries out for good, at most `max` of them, calling `drop` for each, in order of the arrays and without
 * hashing; frees the arrays at the end and returns false then. `*cursor` starts at 0. No other call may come between.
 */
bool table_drain(const struct table_context *c, struct table *t, uint64_t *cursor, unsigned max,
		 void (*drop)(void *context, ref entry), void *context_);
