/* The fair share of memory: who gives way when all tenants together have all that they may.
 *
 * The budget is filled like water over the tenants, each up to what it has (max-min fairness). As long as a sixteenth
 * of it is free, tenants grow as they like. After that, those above the water's level give way: a write of such a
 * tenant first evicts as much of its own, or is refused with eviction = "none", and its worker evicts from it in the
 * background until a sixteenth is free again. Tenants below the level take from that sixteenth, and lose nothing.
 *
 * No writer waits for another worker: the level is worked out by whoever needs it, from the tenants' counters, and the
 * other workers are woken. */
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

/* Evicts of a tenant above its share as much as it is about to grow by; 0 or ATOMDB_E_OOM. */
int fair_share_make_up(struct tenant *t, size_t size, ref keep);

/* Prepares another try at an allocation of `size` bytes for the tenant, which failed `tries` times; `keep` is not
 * evicted. False: give up. Nothing is evicted if the tenant, or for one below its share the others of this shard that
 * are above theirs, have too few bytes to give. Call fair_share_end() afterwards in any case. */
bool fair_share_make_way(struct tenant *t, size_t size, ref keep, unsigned tries);
void fair_share_end(struct shard *s);

/* A block of zeros for a new tenant, from the reserve too. Tenants of this shard above the level give way for it at
 * once. 0: there is none. */
ref fair_share_alloc_zero(struct shard *s, size_t size);

/* Evicts, in a slice of about `units` entries, from this shard's tenants above the level. */
void fair_share_give_way(struct shard *s, unsigned units);
/* When fair_share_give_way is next needed, in milliseconds since 1970; INT64_MAX: never. */
int64_t fair_share_deadline(const struct shard *s);
