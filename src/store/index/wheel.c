/* The rule of places, and how the wheel keeps it when time moves.
 *
 * A slot of a level covers 64 slots of the level below. The deadline d of an entry and the time n of the wheel give its
 * place: the level is that of the highest group of 6 bits in which d and n differ, and the slot is that group of d.
 *
 *   n = ... 000101 110010 001111        d = ... 000101 110111 000001   ->  level 1, slot 110111
 *            level 2  level 1  level 0                 ^^^^^^
 *
 * The rule has these consequences:
 * - Within a level, only slots after the group of n are occupied. In level 0 the slot of n is occupied too; it holds
 * the entries that are due now, late ones included.
 * - All slots of a level come before the first slot of the next higher level, so the next event is the first slot of
 * the lowest occupied level.
 * - If n moves forward, but not up to the start of that slot, every entry keeps its place.
 * - When n reaches the start of a slot of level 1 or above, that slot is "open": it is now the group of n, and each of
 * its entries must move to a lower level. n stays until the slot is empty, so at most one slot is open at a time, and
 * it starts exactly at n.
 *
 * If the clock is set back from n to an earlier m, let L be the highest level in whose group n and m differ. Entries at
 * L and above are in the right place for m too. Entries at lower levels agree with n from L up, so for m they belong to
 * L, to the slot of n (except for late ones). Therefore n becomes the start of the slot of m at L, and the levels below
 * L are "closing": wheel_next() moves their entries up, one a step. Until it ends, an entry that belongs to a closing
 * level goes into the slot of n at L. Once the levels below are empty, that slot is an open slot. */
#include "store/index/wheel.h"

#include <assert.h>

#include "store/index/block.h"

#define GROUP_BITS 6
#define GROUP_MASK (WHEEL_SLOTS - 1)

static inline struct block_ttl *at(struct arena *a, ref entry) {
	return block_ttl(arena_at(a, entry));
}

static inline unsigned group(int64_t time, unsigned level) {
	return (unsigned)((uint64_t)time >> (GROUP_BITS * level)) & GROUP_MASK;
}

static inline bool is_occupied(const struct wheel *w, unsigned level, unsigned slot) {
	return (w->occupied[level] & (uint64_t)1 << slot) != 0;
}

/* Returns the time at which `slot` of `level` starts, if the time of the wheel is `now`. */
static int64_t slot_start(int64_t now, unsigned level, unsigned slot) {
	unsigned shift = GROUP_BITS * (level + 1);
	uint64_t high = shift < 64 ? (uint64_t)now >> shift << shift : 0;

	return (int64_t)(high | (uint64_t)slot << (GROUP_BITS * level));
}

/* Returns the level of the open slot, or 0 if none is open. */
static unsigned open_level(const struct wheel *w) {
	for (unsigned level = 1; level < WHEEL_LEVELS && group(w->now, level - 1) == 0; level++)
		if (is_occupied(w, level, group(w->now, level)))
			return level;
	return 0;
}

/* Finds the first occupied slot if no slot is open. Returns false if the wheel is empty. */
static bool first_slot(const struct wheel *w, unsigned *level, unsigned *slot) {
	for (unsigned l = 0; l < WHEEL_LEVELS; l++)
		if (w->occupied[l] != 0) {
			*level = l;
			*slot = (unsigned)__builtin_ctzll(w->occupied[l]);
			return true;
		}
	return false;
}

void wheel_add(struct arena *a, struct wheel *w, ref entry) {
	struct block_ttl *t = at(a, entry);
	unsigned level = 0, slot = group(w->now, 0);

	if (t->deadline > w->now) {
		uint64_t differ = (uint64_t)t->deadline ^ (uint64_t)w->now;

		level = (unsigned)(63 - __builtin_clzll(differ)) / GROUP_BITS;
		slot = group(t->deadline, level);
	}
	if (__builtin_expect(level < w->closing, 0)) {
		level = w->closing;
		slot = group(w->now, level);
	}
	ref *head = &w->slots[level * WHEEL_SLOTS + slot];

	t->wheel_prev = 1 + (uint32_t)(head - w->slots);
	t->wheel_next = *head;
	if (*head != 0)
		at(a, *head)->wheel_prev = entry;
	*head = entry;
	w->occupied[level] |= (uint64_t)1 << slot;
}

/* Makes `next` the successor of `prev`: an entry, a slot or the list of held entries. */
static void link_next(struct arena *a, struct wheel *w, uint32_t prev, ref next) {
	if (prev > WHEEL_HELD) {
		at(a, prev)->wheel_next = next;
		return;
	}
	if (prev == WHEEL_HELD) {
		w->held = next;
		return;
	}
	uint32_t slot = prev - 1;

	w->slots[slot] = next;
	if (next == 0)
		w->occupied[slot / WHEEL_SLOTS] &= ~((uint64_t)1 << slot % WHEEL_SLOTS);
}

void wheel_remove(struct arena *a, struct wheel *w, ref entry) {
	struct block_ttl *t = at(a, entry);

	if (t->wheel_prev == 0)
		return;
	link_next(a, w, t->wheel_prev, t->wheel_next);
	if (t->wheel_next != 0)
		at(a, t->wheel_next)->wheel_prev = t->wheel_prev;
	t->wheel_prev = 0;
	t->wheel_next = 0;
}

void wheel_replace(struct arena *a, struct wheel *w, ref from, ref to) {
	struct block_ttl *f = at(a, from);
	struct block_ttl *t = at(a, to);

	assert(f->wheel_prev != 0 && f->deadline == t->deadline);
	t->wheel_prev = f->wheel_prev;
	t->wheel_next = f->wheel_next;
	link_next(a, w, t->wheel_prev, to);
	if (t->wheel_next != 0)
		at(a, t->wheel_next)->wheel_prev = to;
	f->wheel_prev = 0;
	f->wheel_next = 0;
}

void wheel_hold(struct arena *a, struct wheel *w, ref entry) {
	struct block_ttl *t = at(a, entry);

	assert(t->wheel_prev == 0);
	t->wheel_prev = WHEEL_HELD;
	t->wheel_next = w->held;
	if (w->held != 0)
		at(a, w->held)->wheel_prev = entry;
	w->held = entry;
}

void wheel_release(struct arena *a, struct wheel *w, unsigned *steps) {
	for (; w->held != 0 && *steps > 0; --*steps) {
		ref entry = w->held;

		wheel_remove(a, w, entry);
		wheel_add(a, w, entry);
	}
}

void wheel_park(struct arena *a, ref list, ref entry) {
	struct block_ttl *l = at(a, list), *t = at(a, entry);

	assert(t->wheel_prev == 0);
	if (l->wheel_next == 0)
		l->wheel_prev = l->wheel_next = list;
	t->wheel_prev = l->wheel_prev;
	t->wheel_next = list;
	at(a, l->wheel_prev)->wheel_next = entry;
	l->wheel_prev = entry;
}

bool wheel_parks_none(struct arena *a, ref list) {
	ref first = at(a, list)->wheel_next;

	return first == 0 || first == list;
}

ref wheel_unpark(struct arena *a, struct wheel *w, ref list) {
	if (wheel_parks_none(a, list))
		return 0;
	ref entry = at(a, list)->wheel_next;

	wheel_remove(a, w, entry);
	return entry;
}

void wheel_hold_parked(struct arena *a, struct wheel *w, ref list) {
	struct block_ttl *l = at(a, list);

	if (!wheel_parks_none(a, list)) {
		at(a, l->wheel_next)->wheel_prev = WHEEL_HELD;
		at(a, l->wheel_prev)->wheel_next = w->held;
		if (w->held != 0)
			at(a, w->held)->wheel_prev = l->wheel_prev;
		w->held = l->wheel_next;
	}
	l->wheel_prev = l->wheel_next = 0;
}

void wheel_rewind(struct wheel *w, int64_t now) {
	if (now >= w->now)
		return;
	unsigned level = (unsigned)(63 - __builtin_clzll((uint64_t)now ^ (uint64_t)w->now)) / GROUP_BITS;

	/* The slot may have late entries, which it would not make due before the present time of the wheel. */
	while (level < WHEEL_LEVELS - 1 && is_occupied(w, level, group(w->now, level)))
		level++;
	/* Levels that are closing stay so: the present time has zeros in their groups, so the times differ above. */
	assert(level >= w->closing);
	w->closing = level;
	w->now = (int64_t)((uint64_t)now >> (GROUP_BITS * level) << (GROUP_BITS * level));
}

/* Moves one entry of the closing levels to its place by the rule, or to the slot that will be open. */
static void close_step(struct arena *a, struct wheel *w) {
	for (unsigned level = 0; level < w->closing; level++)
		if (w->occupied[level] != 0) {
			ref entry = w->slots[level * WHEEL_SLOTS + (unsigned)__builtin_ctzll(w->occupied[level])];

			wheel_remove(a, w, entry);
			wheel_add(a, w, entry);
			return;
		}
	w->closing = 0;
}

ref wheel_next(struct arena *a, struct wheel *w, int64_t now, unsigned *steps) {
	unsigned level, slot;

	while (now >= w->now) {
		if (__builtin_expect(w->closing != 0, 0)) {
			if (*steps == 0)
				return 0;
			--*steps;
			close_step(a, w);
			continue;
		}
		level = open_level(w);
		if (level != 0) {
			if (*steps == 0)
				return 0;
			--*steps;
			ref entry = w->slots[level * WHEEL_SLOTS + group(w->now, level)];
			wheel_remove(a, w, entry);
			wheel_add(a, w, entry);
			continue;
		}
		ref due = w->slots[group(w->now, 0)];
		if (due != 0) {
			wheel_remove(a, w, due);
			return due;
		}
		if (!first_slot(w, &level, &slot) || slot_start(w->now, level, slot) > now) {
			w->now = now;
			return 0;
		}
		if (*steps == 0)
			return 0;
		--*steps;
		w->now = slot_start(w->now, level, slot);
	}
	return 0;
}

bool wheel_due(const struct wheel *w, int64_t now) {
	int64_t deadline = wheel_deadline(w);

	/* For an empty wheel too, wheel_deadline() returns INT64_MAX. */
	return deadline <= now && deadline != INT64_MAX;
}

int64_t wheel_deadline(const struct wheel *w) {
	unsigned level, slot;

	if (w->closing != 0 || open_level(w) != 0)
		return w->now;
	return first_slot(w, &level, &slot) ? slot_start(w->now, level, slot) : INT64_MAX;
}
