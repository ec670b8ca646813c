/* A hierarchical timing wheel of the entries that have a deadline (Varghese and Lauck, 1987), in the arena.
 *
 * A tick is 1 ms. 11 levels of 64 slots cover every deadline that fits an int64_t. An entry lies at the level of the
 * highest group of 6 bits in which its deadline differs from the time of the wheel, in the slot with the number of that
 * group. When the time of the wheel reaches the start of such a slot, its entries move to lower levels, one a step.
 * Therefore the work of a call is bounded however many entries share a slot. The wheel uses no clock and no file
 * descriptor.
 *
 * The wheel_prev of an entry is the ref of the entry before it, 1 + level * 64 + slot for the first entry of a slot,
 * WHEEL_HELD for the first held entry, or 0 for an entry that is not in the wheel. Refs of blocks are larger than any
 * of these numbers. A list of parked entries is circular and includes a block of the caller's. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "store/arena/arena.h"

#define WHEEL_LEVELS 11
#define WHEEL_SLOTS  64
/* The last level uses only 8 slots: a deadline has 63 bits. */
#define WHEEL_ALL_SLOTS ((WHEEL_LEVELS - 1) * WHEEL_SLOTS + 8)

#define WHEEL_HELD (WHEEL_ALL_SLOTS + 1)

/* A wheel, in the arena. All zeros is an empty wheel at time 0. */
struct wheel {
	int64_t now;                     /* milliseconds since 1970: entries due before it have been taken */
	uint64_t occupied[WHEEL_LEVELS]; /* one bit a slot */
	ref slots[WHEEL_ALL_SLOTS];      /* by level * WHEEL_SLOTS + slot */
	uint32_t closing;                /* levels below this one are being emptied: see wheel_rewind(); 0: none */
	ref held;                        /* entries that wait outside the slots: see wheel_hold(); 0: none */
};

/* Adds an entry that is not in the wheel, by its deadline (block_ttl()), which must be > 0. If the deadline has passed,
 * the entry is due at once. */
void wheel_add(struct arena *a, struct wheel *w, ref entry);
/* Removes an entry. Does nothing if the entry is not in the wheel. */
void wheel_remove(struct arena *a, struct wheel *w, ref entry);
/* Puts `to` in the place of `from`, which is in the wheel and has the same deadline. */
void wheel_replace(struct arena *a, struct wheel *w, ref from, ref to);

/* Holds an entry that wheel_next() returned outside the slots until wheel_release(). */
void wheel_hold(struct arena *a, struct wheel *w, ref entry);
/* Moves up to `*steps` held entries back into the slots. Decrements `*steps` by their number. */
void wheel_release(struct arena *a, struct wheel *w, unsigned *steps);

/* Lists of entries outside of the slots. The caller keeps the head of such a list in the part of struct block_ttl of a
 * block. `list` is the ref of that block. All zeros is an empty list. wheel_remove() takes an entry out of the list;
 * wheel_replace() works too. */
/* Appends an entry, which wheel_next() has taken out, to a list. */
__attribute__((cold)) void wheel_park(struct arena *a, ref list, ref entry);
/* Returns whether the list is empty. */
bool wheel_parks_none(struct arena *a, ref list);
/* Takes out the entry that was parked first, and returns it. Returns 0 if the list is empty. */
__attribute__((cold)) ref wheel_unpark(struct arena *a, struct wheel *w, ref list);
/* Holds all entries of the list, as wheel_hold() does, in constant time. Empties the list: it is all zeros. */
__attribute__((cold)) void wheel_hold_parked(struct arena *a, struct wheel *w, ref list);

/* Sets the time of the wheel back to `now`. Does nothing if that is not earlier. The next calls of wheel_next() move
 * the entries that change their place. */
void wheel_rewind(struct wheel *w, int64_t now);

/* Removes and returns an entry whose deadline is <= now, in the order of ticks. Decrements `*steps` for each moved
 * entry and each passed slot. Returns 0 if no entry is due, or if `*steps` is used up; wheel_due() tells which. */
ref wheel_next(struct arena *a, struct wheel *w, int64_t now, unsigned *steps);
/* Returns whether an entry with a deadline <= now may still be in the wheel. */
bool wheel_due(const struct wheel *w, int64_t now);
/* Returns the earliest time at which an entry may be due or a slot must be moved, in milliseconds since 1970; INT64_MAX
 * if the wheel is empty. */
int64_t wheel_deadline(const struct wheel *w);
