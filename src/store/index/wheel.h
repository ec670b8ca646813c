/* A hierarchical timing wheel of the entries that have a deadline (Varghese and Lauck, 1987), in the arena.
 *
 * Ticks of 1 ms, 11 levels of 64 slots: every deadline that fits an int64_t. An entry lies at the level of the highest
 * group of 6 bits in which its deadline differs from the wheel's time, in the slot that this group names; when the
 * wheel's time reaches the start of such a slot, its entries move to lower levels, one a step, so the work of a call is
 * bounded however many entries share a slot. The wheel knows no clock and no fd.
 *
 * wheel_prev of an entry is the ref before it, or 1 + level * 64 + slot for the first of a slot, or WHEEL_HELD for the
 * first of those that are held (refs of blocks are larger than any such number), or 0 for an entry that is in none. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "store/arena/arena.h"

#define WHEEL_LEVELS 11
#define WHEEL_SLOTS  64
/* Of the last level 8 slots are in use: a deadline has 63 bits. */
#define WHEEL_ALL_SLOTS ((WHEEL_LEVELS - 1) * WHEEL_SLOTS + 8)

#define WHEEL_HELD (WHEEL_ALL_SLOTS + 1)

/* Lives in the arena; all zeros is an empty wheel at time 0. */
struct wheel {
	int64_t now;                     /* milliseconds since 1970: everything due before it has been taken */
	uint64_t occupied[WHEEL_LEVELS]; /* a bit a slot */
	ref slots[WHEEL_ALL_SLOTS];      /* by level * WHEEL_SLOTS + slot */
	uint32_t closing;                /* levels below this one are being emptied: see wheel_rewind; 0: none */
	ref held;                        /* entries that wait outside the slots: see wheel_hold; 0: none */
};

/* Adds an entry by its deadline (block_ttl(), which must be > 0); it is in no slot. A deadline that has passed is due.
 */
void wheel_add(struct arena *a, struct wheel *w, ref entry);
/* Takes it out; harmless for one that is in no slot. */
void wheel_remove(struct arena *a, struct wheel *w, ref entry);
/* `to` takes the place of `from`, which is in a slot and has the same deadline. */
void wheel_replace(struct arena *a, struct wheel *w, ref from, ref to);

/* Keeps an entry, which wheel_next has taken out, beside the slots until wheel_release. */
void wheel_hold(struct arena *a, struct wheel *w, ref entry);
/* Puts the entries that are held back into the slots, at most `*steps` of them; decremented. */
void wheel_release(struct arena *a, struct wheel *w, unsigned *steps);

/* The clock was set back to `now`; does nothing where the wheel's time is not later. The entries that have to move are
 * moved by the next calls of wheel_next. */
void wheel_rewind(struct wheel *w, int64_t now);

/* Takes out one entry whose deadline is <= now, in order of ticks; 0 when there is none, or when `*steps` (moved or
 * passed slots; decremented) is used up: then wheel_due says whether there is more. */
ref wheel_next(struct arena *a, struct wheel *w, int64_t now, unsigned *steps);
/* Whether an entry with a deadline <= now may still be in the wheel. */
bool wheel_due(const struct wheel *w, int64_t now);
/* When to look again: the earliest time at which something may be due or a slot must be moved; INT64_MAX when empty. */
int64_t wheel_deadline(const struct wheel *w);
