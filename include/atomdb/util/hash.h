/* SipHash-1-3 (Aumasson and Bernstein, 2012): a keyed hash. An attacker who does not know the key cannot produce
 * collisions on purpose. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct hash_seed {
	uint64_t k0, k1;
};

/* Fills `seed` from getrandom(2). Returns 0 or -errno. */
int hash_seed_random(struct hash_seed *seed);

uint64_t hash_bytes(const struct hash_seed *seed, const void *bytes, size_t len);
/* The same, with check points. */
uint64_t hash_bytes_in_slices(const struct hash_seed *seed, const void *bytes, size_t len);
