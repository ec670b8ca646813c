/* Random numbers for tests. random_seed() prints the seed; $ATOMDB_TEST_SEED sets it. */
#pragma once

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

static inline uint64_t random_seed(void) {
	const char *given = getenv("ATOMDB_TEST_SEED");
	uint64_t seed = 1;

	if (given != NULL)
		seed = strtoull(given, NULL, 0);
	else if (getrandom(&seed, sizeof seed, 0) != sizeof seed)
		abort();
	printf("ATOMDB_TEST_SEED=%#llx\n", (unsigned long long)seed);
	return seed;
}

/* splitmix64 (Steele, Lea and Flood, 2014). */
static inline uint64_t random_next(uint64_t *seed) {
	uint64_t z = *seed += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}
