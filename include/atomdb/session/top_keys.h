/* The few keys of a tenant that weigh most, of a stream that names far more of them than are kept.
 *
 * Two uses, which differ in what becomes of the lightest key that is kept when another comes:
 *
 *   top_keys_count  how often: the Space-Saving sketch (Metwally, Agrawal and El Abbadi, "Efficient Computation of
 *                   Frequent and Top-k Elements in Data Streams", 2005). The newcomer takes the place of the lightest,
 *                   and its weight as an error that it may have at most. A key that is named in more than one of
 *                   TOP_KEYS cases is there.
 *   top_keys_set    how large: the newcomer takes the place of the lightest if it is heavier.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "atomdb/store/keyspace.h"

#define TOP_KEYS 64
/* Longer names are not kept. */
#define TOP_KEY_NAME 256

struct top_key {
	uint64_t hash;
	uint64_t weight;
	uint64_t error; /* of the weight, how much may be of other keys */
	char *name;     /* owned */
	uint16_t len;
	uint8_t db_slot;
};

/* All zeros is empty. */
struct top_keys {
	unsigned count;
	size_t bytes; /* of the names, as allocated */
	struct top_key keys[TOP_KEYS];
};

void top_keys_clear(struct top_keys *top);

/* `key` was named `times` times more. Without memory for its name it is left out. */
void top_keys_count(struct top_keys *top, const struct key *key, uint64_t times);
/* Halves all weights, so that what was does not outweigh what is. */
void top_keys_fade(struct top_keys *top);

/* `key` weighs `weight` now. Likewise. */
void top_keys_set(struct top_keys *top, const struct key *key, uint64_t weight);
/* Returns the weight that a key must exceed for top_keys_set(). */
uint64_t top_keys_least(const struct top_keys *top);
/* Leaves out number `i` (< count); the last takes its place. */
void top_keys_remove(struct top_keys *top, unsigned i);

/* Of its weight, what is no other key's. */
static inline uint64_t top_key_sure(const struct top_key *k) {
	return k->weight - k->error;
}
/* That of `key`; 0 when it is not kept. */
uint64_t top_keys_weight(const struct top_keys *top, const struct key *key);

static inline struct key top_keys_at(const struct top_keys *top, unsigned i) {
	const struct top_key *k = &top->keys[i];
	return (struct key){.name = {k->name, k->len}, .hash = k->hash, .db_slot = k->db_slot};
}

/* Fills `order` with the numbers of the keys at `place`, by weight without error, the heaviest first; how many. */
unsigned top_keys_order(const struct top_keys *top, unsigned db_slot, uint8_t order[TOP_KEYS]);
