/* An intrusive hash table of objects on the heap. Its only allocation is the array of buckets.
 *
 * It grows by linear hashing (Litwin, 1980): an insertion splits at most one bucket, so no insertion takes long. The
 * caller computes the hash, and compares the objects of a bucket by walking its links. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct hash_link {
	struct hash_link *next; /* in its bucket */
	uint64_t hash;
};

/* An empty table is all zeros. */
struct hashtable {
	struct hash_link **buckets; /* owned */
	size_t count;               /* number of links */
	size_t used;                /* buckets in use: `base` to twice `base` */
	size_t base;                /* a power of two */
	size_t cap;                 /* buckets allocated */
};

/* Frees the array. The objects in the table belong to the caller. */
void hashtable_deinit(struct hashtable *t);
/* Makes room for one more link, so that the next insertion cannot fail. Returns 0 or -ENOMEM. */
int hashtable_reserve(struct hashtable *t);
/* Inserts a link whose `hash` is set. The caller has called hashtable_reserve(). */
void hashtable_insert(struct hashtable *t, struct hash_link *link);
/* Removes a link that is in the table. Removing the last one frees the array. */
void hashtable_remove(struct hashtable *t, struct hash_link *link);

/* Returns the index of the bucket for `hash`. */
static inline size_t hashtable_bucket(const struct hashtable *t, uint64_t hash) {
	size_t i = (size_t)hash & (2 * t->base - 1);
	return i < t->used ? i : (size_t)hash & (t->base - 1);
}

/* Returns the first link in the bucket for `hash`, or NULL. */
static inline struct hash_link *hashtable_first(const struct hashtable *t, uint64_t hash) {
	return t->count == 0 ? NULL : t->buckets[hashtable_bucket(t, hash)];
}
