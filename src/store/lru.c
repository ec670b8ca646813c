#include "store/lru.h"

#include "store/entry.h"

/* lru_prev is the entry used next after this one (newer), lru_next the one before (older); 0 at the ends. */

static inline struct entry *at(struct arena *a, ref entry) {
	return arena_at(a, entry);
}

static void unlink_entry(struct arena *a, struct lru *l, const struct entry *e) {
	if (e->lru_prev != 0)
		at(a, e->lru_prev)->lru_next = e->lru_next;
	else
		l->newest = e->lru_next;
	if (e->lru_next != 0)
		at(a, e->lru_next)->lru_prev = e->lru_prev;
	else
		l->oldest = e->lru_prev;
}

void lru_push(struct arena *a, struct lru *l, ref entry) {
	struct entry *e = at(a, entry);

	e->lru_prev = 0;
	e->lru_next = l->newest;
	if (l->newest != 0)
		at(a, l->newest)->lru_prev = entry;
	else
		l->oldest = entry;
	l->newest = entry;
}

void lru_touch(struct arena *a, struct lru *l, ref entry) {
	if (l->newest == entry)
		return;
	unlink_entry(a, l, at(a, entry));
	lru_push(a, l, entry);
}

void lru_remove(struct arena *a, struct lru *l, ref entry) {
	struct entry *e = at(a, entry);

	if (e->lru_prev == 0 && e->lru_next == 0 && l->newest != entry)
		return;
	unlink_entry(a, l, e);
	e->lru_prev = 0;
	e->lru_next = 0;
}

void lru_replace(struct arena *a, struct lru *l, ref from, ref to) {
	struct entry *f = at(a, from);
	struct entry *t = at(a, to);

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
