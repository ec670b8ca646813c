/* A level's slot covers 64 slots of the level below. Where an entry lies follows from its deadline d and the wheel's
 * time n alone: the level is that of the highest group of 6 bits in which d and n differ, the slot is that group of d.
 *
 *   n = ... 000101 110010 001111        d = ... 000101 110111 000001   ->  level 1, slot 110111
 *            level 2  level 1  level 0                 ^^^^^^
 *
 * What follows from it:
 * - Within a level, only slots after the group of n are occupied; in level 0 also the slot of n itself, which holds
 *   what is due now (late entries included).
 * - All of a lower level comes before the first slot of a higher one, so the next thing to happen is the first slot of
 *   the lowest level that is occupied.
 * - Moving n forward, short of the start of that slot, leaves every entry where the rule wants it.
 * - When n reaches the start of a slot of level 1 or above, that slot is "open": it is now the group of n, and each of
 *   its entries must move to a lower level. n stays until the slot is empty, so at most one slot is open at a time and
 *   it starts exactly at n. */
#include "store/wheel.h"

#include <assert.h>

#include "store/entry.h"

#define GROUP_BITS 6
#define GROUP_MASK (WHEEL_SLOTS - 1)

static inline struct entry_ttl *at(struct arena *a, ref entry) {
	return entry_ttl(arena_at(a, entry));
}

static inline unsigned group(int64_t time, unsigned level) {
	return (unsigned)((uint64_t)time >> (GROUP_BITS * level)) & GROUP_MASK;
}

static inline uint32_t slot_code(unsigned level, unsigned slot) {
	return 1 + level * WHEEL_SLOTS + slot;
}

/* The time with which `slot` of `level` starts, seen from the wheel's time. */
static int64_t slot_start(int64_t now, unsigned level, unsigned slot) {
	unsigned shift = GROUP_BITS * (level + 1);
	uint64_t high = shift < 64 ? (uint64_t)now >> shift << shift : 0;

	return (int64_t)(high | (uint64_t)slot << (GROUP_BITS * level));
}

/* The level of the open slot, or 0. */
static unsigned open_level(const struct wheel *w) {
	for (unsigned level = 1; level < WHEEL_LEVELS && group(w->now, level - 1) == 0; level++)
		if (w->occupied[level] & (uint64_t)1 << group(w->now, level))
			return level;
	return 0;
}

/* Finds what happens next when no slot is open; false in an empty wheel. */
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
	struct entry_ttl *t = at(a, entry);
	unsigned level = 0, slot = group(w->now, 0);

	if (t->deadline > w->now) {
		uint64_t differ = (uint64_t)t->deadline ^ (uint64_t)w->now;

		level = (unsigned)(63 - __builtin_clzll(differ)) / GROUP_BITS;
		slot = group(t->deadline, level);
	}
	ref head = w->slots[level][slot];

	t->wheel_prev = slot_code(level, slot);
	t->wheel_next = head;
	if (head != 0)
		at(a, head)->wheel_prev = entry;
	w->slots[level][slot] = entry;
	w->occupied[level] |= (uint64_t)1 << slot;
}

/* Makes what `prev` names (an entry or a slot) point to `next`. */
static void link_next(struct arena *a, struct wheel *w, uint32_t prev, ref next) {
	if (prev > slot_code(WHEEL_LEVELS - 1, WHEEL_SLOTS - 1)) {
		at(a, prev)->wheel_next = next;
		return;
	}
	unsigned level = (prev - 1) / WHEEL_SLOTS, slot = (prev - 1) % WHEEL_SLOTS;

	w->slots[level][slot] = next;
	if (next == 0)
		w->occupied[level] &= ~((uint64_t)1 << slot);
}

void wheel_remove(struct arena *a, struct wheel *w, ref entry) {
	struct entry_ttl *t = at(a, entry);

	if (t->wheel_prev == 0)
		return;
	link_next(a, w, t->wheel_prev, t->wheel_next);
	if (t->wheel_next != 0)
		at(a, t->wheel_next)->wheel_prev = t->wheel_prev;
	t->wheel_prev = 0;
	t->wheel_next = 0;
}

void wheel_replace(struct arena *a, struct wheel *w, ref from, ref to) {
	struct entry_ttl *f = at(a, from);
	struct entry_ttl *t = at(a, to);

	assert(f->wheel_prev != 0 && f->deadline == t->deadline);
	t->wheel_prev = f->wheel_prev;
	t->wheel_next = f->wheel_next;
	link_next(a, w, t->wheel_prev, to);
	if (t->wheel_next != 0)
		at(a, t->wheel_next)->wheel_prev = to;
	f->wheel_prev = 0;
	f->wheel_next = 0;
}

ref wheel_next(struct arena *a, struct wheel *w, int64_t now, unsigned *steps) {
	unsigned level, slot;

	while (now >= w->now) {
		level = open_level(w);
		if (level != 0) {
			if (*steps == 0)
				return 0;
			--*steps;
			ref entry = w->slots[level][group(w->now, level)];
			wheel_remove(a, w, entry);
			wheel_add(a, w, entry);
			continue;
		}
		ref due = w->slots[0][group(w->now, 0)];
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

	/* INT64_MAX is also how an empty wheel answers. */
	return deadline <= now && deadline != INT64_MAX;
}

int64_t wheel_deadline(const struct wheel *w) {
	unsigned level, slot;

	if (open_level(w) != 0)
		return w->now;
	return first_slot(w, &level, &slot) ? slot_start(w->now, level, slot) : INT64_MAX;
}
