/* A tenant's entries in order of use: an intrusive doubly linked list of refs, exact. */
#pragma once

#include "store/arena.h"

/* Lives in the arena. */
struct lru {
	ref newest;
	ref oldest;
};

void lru_push(struct arena *a, struct lru *l, ref entry);  /* a new entry, most recently used */
void lru_touch(struct arena *a, struct lru *l, ref entry); /* used now: to the front */
/* Unlinks; harmless for an entry that is in no list (both links 0 and not the newest). Its links are 0 after it. */
void lru_remove(struct arena *a, struct lru *l, ref entry);
/* `to` takes the place of `from`, which is in the list; `to`'s links are overwritten, `from`'s become 0. */
void lru_replace(struct arena *a, struct lru *l, ref from, ref to);
