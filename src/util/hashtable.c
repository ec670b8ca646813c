#include "atomdb/util/hashtable.h"

#include <errno.h>
#include <stdlib.h>

#include "atomdb/util/heap.h"

#define FIRST_BUCKETS 8

void hashtable_deinit(struct hashtable *t) {
	heap_free(t->buckets, t->cap * sizeof(*t->buckets));
	*t = (struct hashtable){0};
}

int hashtable_reserve(struct hashtable *t) {
	if (t->used < t->cap)
		return 0;
	size_t cap = t->cap == 0 ? FIRST_BUCKETS : t->cap * 2;
	struct hash_link **buckets = heap_resize(t->buckets, t->cap * sizeof(*buckets), cap * sizeof(*buckets));
	if (buckets == NULL)
		return -ENOMEM;
	t->buckets = buckets;
	t->cap = cap;
	if (t->used == 0) {
		t->buckets[0] = NULL;
		t->used = t->base = 1;
	}
	return 0;
}

/* Splits the next bucket in the order of linear hashing. */
static void split(struct hashtable *t) {
	size_t from = t->used - t->base;
	struct hash_link *link = t->buckets[from];
	t->buckets[from] = t->buckets[t->used] = NULL;
	if (++t->used == 2 * t->base)
		t->base = t->used;
	while (link != NULL) {
		struct hash_link *next = link->next;
		struct hash_link **bucket = &t->buckets[hashtable_bucket(t, link->hash)];
		link->next = *bucket;
		*bucket = link;
		link = next;
	}
}

void hashtable_insert(struct hashtable *t, struct hash_link *link) {
	if (t->count >= t->used && t->used < t->cap)
		split(t);
	struct hash_link **bucket = &t->buckets[hashtable_bucket(t, link->hash)];
	link->next = *bucket;
	*bucket = link;
	t->count++;
}

void hashtable_remove(struct hashtable *t, struct hash_link *link) {
	struct hash_link **at = &t->buckets[hashtable_bucket(t, link->hash)];
	while (*at != link)
		at = &(*at)->next;
	*at = link->next;
	if (--t->count == 0)
		hashtable_deinit(t);
}
