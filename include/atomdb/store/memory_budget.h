/* The memory that all shards share a limit of: max_memory of the configuration.
 *
 * Under a full budget each tenant has a fair share: memory filled like water over the tenants, each up to what it has.
 * Tenants above the level of the water give way; see src/store/keyspace/fair_share.h. */
#pragma once

#include <stdatomic.h>
#include <stddef.h>
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

/* Bytes in use that leave the reserve of this limit free. */
static inline uint64_t memory_budget_most(uint64_t limit) {
	return limit - limit / BUDGET_RESERVE_SHARE;
}

/* Bytes in use beyond that; 0 within it, without a limit, and without a budget (NULL). */
static inline uint64_t memory_budget_excess(const struct memory_budget *b) {
	uint64_t limit = b == NULL ? 0 : atomic_load_explicit(&b->limit, memory_order_relaxed);
	uint64_t used = b == NULL ? 0 : atomic_load_explicit(&b->used, memory_order_relaxed);
	return limit == 0 || used <= memory_budget_most(limit) ? 0 : used - memory_budget_most(limit);
}
