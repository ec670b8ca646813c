#include "store/index/lru.h"

static inline struct block *at(struct arena *a, ref entry) {
	return arena_at(a, entry);
}

void lru_remove(struct arena *a, struct lru *l, ref entry) {
	struct block *e = at(a, entry);

	if (e->lru_prev == 0 && e->lru_next == 0 && l->newest != entry)
		return;
	lru_unlink(a, l, e);
	e->lru_prev = 0;
	e->lru_next = 0;
}

void lru_replace(struct arena *a, struct lru *l, ref from, ref to) {
	struct block *f = at(a, from);
	struct block *t = at(a, to);

	t->lru_prev = f->lru_prev;
	t->lru_next = f->lru_next;
	if (t->lru_prev != 0)
		at(a, t->lru_prev)->lru_next = to;
	else
		l->newest = to;
	if (t->lru_next != 0)
		at(a, t->lru_next)->lru_prev = to;
	else
		l->oldest = to;
	f->lru_prev = 0;
	f->lru_next = 0;
}
