/* The memory that all shards share a limit of: max_memory of the configuration.
 *
 * Under a full budget each tenant has a fair share: memory filled like water over the tenants, each up to what it has.
 * Tenants above the level of the water give way; see src/store/keyspace/fair_share.h. */
#pragma once

#include <stdint.h>

/* A sixteenth of the limit is kept free for tenants that are below their share. */
#define BUDGET_RESERVE_SHARE 16

/* Taken in pages of the arenas, not per block. The limit may be changed at any time, from any thread. */
struct memory_budget {
	_Atomic uint64_t used;  /* bytes */
	_Atomic uint64_t limit; /* bytes; 0: none */
	/* The fair share's: bytes above which a tenant gives way, 0: none has to; how often it was worked out; and when
	 * last, by CLOCK_MONOTONIC. */
	_Atomic uint64_t level;
	_Atomic uint64_t levels;
	_Atomic uint64_t level_ns;
};
