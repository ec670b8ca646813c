/* The fair share of memory: max-min fairness over all tenants.
 *
 * The budget is filled like water over the tenants, each up to its own bytes. While a sixteenth of the budget is free,
 * every tenant can grow. Otherwise the tenants above the level of the water give way: a write of such a tenant first
 * evicts as many bytes of its own entries, or is refused if its eviction is "none", and its worker evicts its entries
 * in the background until a sixteenth is free again. Tenants below the level take memory from that sixteenth and lose
 * no key. A write that is refused evicts nothing: see eviction_plan.h.
 *
 * No writer waits for another worker. The worker that needs the level computes it from the counters of the tenants, and
 * wakes the other workers. */
#pragma once

#include "store/keyspace/record.h"

/* The memory of one tenant. */
struct fair_share_demand {
	uint64_t bytes;
	bool evicts; /* its eviction is not "none" */
};

/* The level above which the demands hold `excess` bytes together: 1 or more. */
uint64_t fair_share_level(const struct fair_share_demand *demands, size_t count, uint64_t excess);

/* Puts the level for these demands in force: 0 where the budget has room for `wanted` bytes more. Returns it. */
uint64_t fair_share_publish(struct memory_budget *b, const struct fair_share_demand *demands, size_t count,
			    uint64_t wanted);

/* Takes over the level that is in force: once a turn. */
void fair_share_read_level(struct shard *s);

/* Whether the tenant is above the level, with so many bytes more. */
static inline bool fair_share_is_above(const struct tenant *t, uint64_t more) {
	return counter_get(&t->counters.bytes) + more > t->shard->fair_share.level;
}

/* Evicts as many bytes of a tenant above its share as it is about to grow by: entries older than `keep`. `block` is the
 * size of the entry that it allocates next, and `growth` that of a table, or 0; block = 0: not known. Returns 0, or
 * ATOMDB_E_OOM if there are too few bytes or if the allocations of known size remain impossible; then nothing was
 * evicted. Call fair_share_end() after the allocations. */
int fair_share_make_up(struct tenant *t, size_t size, size_t block, size_t growth, ref keep);

/* Makes room for an allocation of `size` bytes that failed `tries` times. `kind` is the block's enum arena_kind, or
 * EVICTION_PLAN_HEAP. A tenant above its share gives way itself, with entries older than `keep`; for another one the
 * tenants of this shard above their share do. Evicts only as many entries as make the allocation possible, and none if
 * that is impossible. Returns true: try again; another worker may have taken the pages meanwhile. Returns false: give
 * up. Call fair_share_end() afterwards in any case. */
bool fair_share_make_way(struct tenant *t, size_t size, unsigned kind, ref keep, unsigned tries);
void fair_share_end(struct shard *s);

/* A block of zeros for a new tenant, from the reserve too. Tenants of this shard above the level give way for it at
 * once. 0: there is none. */
ref fair_share_alloc_zero(struct shard *s, size_t size);

/* Looks for tenants above the level in the next slice: one more may give way. */
void fair_share_look_again(struct shard *s);
/* Evicts, in a slice of about `units` entries, from this shard's tenants above the level. */
void fair_share_give_way(struct shard *s, unsigned units);
/* When fair_share_give_way is next needed, in milliseconds since 1970; INT64_MAX: never. */
int64_t fair_share_deadline(const struct shard *s);
