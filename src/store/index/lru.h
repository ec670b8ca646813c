/* The exact LRU of a tenant: an intrusive doubly linked list of its entries in the order of their use. */
#pragma once

#include "store/arena/arena.h"
#include "store/index/block.h"

/* A list, in the arena. The lru_prev of an entry is the next newer entry, its lru_next is the next older one, and 0 is
 * the end. */
struct lru {
	ref newest;
	ref oldest;
};

/* Adds an entry as the most recently used one. */
static inline void lru_push(struct arena *a, struct lru *l, ref entry) {
	struct block *e = arena_at(a, entry), *newest = arena_at(a, l->newest);

	e->lru_prev = 0;
	e->lru_next = l->newest;
	if (__builtin_expect(l->newest != 0, 1))
		newest->lru_prev = entry;
	else
		l->oldest = entry;
	l->newest = entry;
}

/* Removes an entry, and leaves its own links unchanged. */
static inline void lru_unlink(struct arena *a, struct lru *l, const struct block *e) {
	struct block *newer = arena_at(a, e->lru_prev), *older = arena_at(a, e->lru_next);

	if (__builtin_expect(e->lru_prev != 0, 1))
		newer->lru_next = e->lru_next;
	else
		l->newest = e->lru_next;
	if (__builtin_expect(e->lru_next != 0, 1))
		older->lru_prev = e->lru_prev;
	else
		l->oldest = e->lru_prev;
}

/* Makes an entry of the list the most recently used one. */
static inline void lru_touch(struct arena *a, struct lru *l, ref entry) {
	if (l->newest == entry)
		return;
	lru_unlink(a, l, arena_at(a, entry));
	lru_push(a, l, entry);
}

/* Removes an entry and sets its links to 0. Does nothing if the entry is in no list (both links are 0, and it is not
 * the newest). */
void lru_remove(struct arena *a, struct lru *l, ref entry);
/* Puts `to` in the place of `from`, which is in the list, and sets the links of `from` to 0. */
void lru_replace(struct arena *a, struct lru *l, ref from, ref to);
