/* The heaviest keys in a stream of keys, in bounded memory.
 *
 * Two functions differ in the replacement of the lightest key:
 *
 *   top_keys_count  counts uses: the Space-Saving sketch (Metwally, Agrawal and El Abbadi, "Efficient Computation of
 *                   Frequent and Top-k Elements in Data Streams", 2005). The new key replaces the lightest key, whose
 *                   weight it takes as its maximum error. A key with more than 1/TOP_KEYS of all uses is always kept.
 *   top_keys_set    records sizes: the new key replaces the lightest key if it is heavier.
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

/* All zeros means empty. */
struct top_keys {
	unsigned count;
	size_t bytes; /* bytes of the names, as allocated */
	struct top_key keys[TOP_KEYS];
};

void top_keys_clear(struct top_keys *top);

/* Adds `times` to the weight of `key`. Skips it if there is no memory for its name. */
void top_keys_count(struct top_keys *top, const struct key *key, uint64_t times);
/* Halves all weights, so that recent uses outweigh old ones. */
void top_keys_fade(struct top_keys *top);

/* Sets the weight of `key`. Skips it if there is no memory for its name. */
void top_keys_set(struct top_keys *top, const struct key *key, uint64_t weight);
/* Returns the weight that a key must exceed for top_keys_set(). */
uint64_t top_keys_least(const struct top_keys *top);
/* Removes number `i` (< count); the last key takes its index. */
void top_keys_remove(struct top_keys *top, unsigned i);

/* Returns the part of its weight that is certainly its own. */
static inline uint64_t top_key_sure(const struct top_key *k) {
	return k->weight - k->error;
}
/* Returns the weight of `key`; 0 if it is not kept. */
uint64_t top_keys_weight(const struct top_keys *top, const struct key *key);

static inline struct key top_keys_at(const struct top_keys *top, unsigned i) {
	const struct top_key *k = &top->keys[i];
	return (struct key){.name = {k->name, k->len}, .hash = k->hash, .db_slot = k->db_slot};
}

/* Fills `order` with the indexes of the keys in database slot `place`, sorted by weight without error, the heaviest
 * first. Returns their number. */
unsigned top_keys_order(const struct top_keys *top, unsigned db_slot, uint8_t order[TOP_KEYS]);
