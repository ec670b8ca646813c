/* A hash table of things on the heap that carry their own link: it allocates nothing but its array of buckets.
 *
 * It grows by linear hashing (Litwin, 1980): one bucket is split at a time, so that no insertion pays for all. The hash
 * is the caller's, and so is the comparison: walk the links of a bucket and look at each. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct hash_link {
	struct hash_link *next; /* in its bucket */
	uint64_t hash;
};

/* All zeros is an empty table. */
struct hashtable {
	struct hash_link **buckets; /* owned */
	size_t count;               /* links */
	size_t used;                /* buckets in use: between `base` and twice that */
	size_t base;                /* a power of two */
	size_t cap;                 /* buckets allocated */
};

/* Frees the array; what was in the table is the caller's. */
void hashtable_deinit(struct hashtable *t);
/* Makes room for one more; 0 or -ENOMEM. The next insertion cannot fail then. */
int hashtable_reserve(struct hashtable *t);
/* Puts in a link whose `hash` is set; hashtable_reserve was called. */
void hashtable_insert(struct hashtable *t, struct hash_link *link);
/* Takes out a link that is in the table. The last one takes the array with it. */
void hashtable_remove(struct hashtable *t, struct hash_link *link);

/* Where `hash` is in the array. */
static inline size_t hashtable_bucket(const struct hashtable *t, uint64_t hash) {
	size_t i = (size_t)hash & (2 * t->base - 1);
	return i < t->used ? i : (size_t)hash & (t->base - 1);
}

/* The first link of the bucket in which `hash` would be; NULL for none. */
static inline struct hash_link *hashtable_first(const struct hashtable *t, uint64_t hash) {
	return t->count == 0 ? NULL : t->buckets[hashtable_bucket(t, hash)];
}
