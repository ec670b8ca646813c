/* SipHash-1-3 (Aumasson and Bernstein, 2012): a keyed hash that an attacker who does not know the key cannot flood. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct hash_seed {
	uint64_t k0, k1;
};

/* Fills `seed` from getrandom(2); 0 or -errno. */
int hash_seed_random(struct hash_seed *seed);

uint64_t hash_bytes(const struct hash_seed *seed, const void *bytes, size_t len);
