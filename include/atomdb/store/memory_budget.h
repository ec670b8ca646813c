/* The memory limit of all shards together: `max_memory` of the configuration.
 *
 * Under a full budget each tenant has a fair share: the memory is filled like water over the tenants, each up to its
 * need. Tenants above the level give way: see src/store/keyspace/fair_share.h. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* 1/16 of the limit is kept free for tenants below their share. */
#define BUDGET_RESERVE_SHARE 16

/* Arenas take memory from it in pages, not in blocks. Any thread may change the limit at any time. */
struct memory_budget {
	_Atomic uint64_t used;  /* bytes */
	_Atomic uint64_t limit; /* bytes; 0: none */
	/* Of the fair share. */
	_Atomic uint64_t level;    /* bytes above which a tenant gives way; 0: no tenant has to */
	_Atomic uint64_t levels;   /* how often the level was computed */
	_Atomic uint64_t level_ns; /* CLOCK_MONOTONIC when it was computed last */
};

/* Returns the most bytes in use that leave the reserve of this limit free. */
static inline uint64_t memory_budget_most(uint64_t limit) {
	return limit - limit / BUDGET_RESERVE_SHARE;
}

/* Returns the bytes that the budget lacks for `bytes` more, or 0. `reserve` says whether they may use the reserve.
 * Without a limit, and if `b` is NULL, returns 0. */
static inline uint64_t memory_budget_lacking(const struct memory_budget *b, uint64_t bytes, bool reserve) {
	uint64_t limit = b == NULL ? 0 : atomic_load_explicit(&b->limit, memory_order_relaxed);
	uint64_t used = b == NULL ? 0 : atomic_load_explicit(&b->used, memory_order_relaxed);
	uint64_t most = reserve ? limit : memory_budget_most(limit);
	return limit == 0 || used + bytes <= most ? 0 : used + bytes - most;
}

/* Returns the bytes in use beyond memory_budget_most(), or 0. Without a limit, and if `b` is NULL, returns 0. */
static inline uint64_t memory_budget_excess(const struct memory_budget *b) {
	uint64_t limit = b == NULL ? 0 : atomic_load_explicit(&b->limit, memory_order_relaxed);
	uint64_t used = b == NULL ? 0 : atomic_load_explicit(&b->used, memory_order_relaxed);
	return limit == 0 || used <= memory_budget_most(limit) ? 0 : used - memory_budget_most(limit);
}
