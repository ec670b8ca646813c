/* A tenant's entries in order of use: an intrusive doubly linked list of refs, exact. */
#pragma once

#include "store/arena/arena.h"
#include "store/index/block.h"

/* Lives in the arena. An entry's lru_prev is the one used next after it (newer), lru_next the one before (older); 0 at
 * the ends. */
struct lru {
	ref newest;
	ref oldest;
};

/* A new entry, most recently used. */
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

/* Takes the entry out, and leaves its own links as they are. */
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

/* Used now: to the front. */
static inline void lru_touch(struct arena *a, struct lru *l, ref entry) {
	if (l->newest == entry)
		return;
	lru_unlink(a, l, arena_at(a, entry));
	lru_push(a, l, entry);
}

/* Unlinks; harmless for an entry that is in no list (both links 0 and not the newest). Its links are 0 after it. */
void lru_remove(struct arena *a, struct lru *l, ref entry);
/* `to` takes the place of `from`, which is in the list; `to`'s links are overwritten, `from`'s become 0. */
void lru_replace(struct arena *a, struct lru *l, ref from, ref to);
