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

#include "store/keyspace/eviction_plan.h"
#include "store/keyspace/record.h"

/* The memory of one tenant. */
struct fair_share_demand {
	uint64_t bytes;
	bool evicts; /* its eviction is not "none" */
};

/* Returns the level above which the demands together hold `excess` bytes: 1 or more. */
uint64_t fair_share_level(const struct fair_share_demand *demands, size_t count, uint64_t excess);

/* Computes the level for these demands, puts it in force and returns it: 0 if the budget has room for `wanted` bytes
 * more. */
uint64_t fair_share_publish(struct memory_budget *b, const struct fair_share_demand *demands, size_t count,
			    uint64_t wanted);

/* Reads the level that is in force. The shard calls it once a turn. */
void fair_share_read_level(struct shard *s);

/* Returns whether the tenant is above the level with `more` bytes more. */
static inline bool fair_share_is_above(const struct tenant *t, uint64_t more) {
	return counter_get(&t->counters.bytes) + more > t->shard->fair_share.level;
}

/* The allocations of a write. */
struct fair_share_blocks {
	struct eviction_plan_blocks *small; /* of entries, by size class; fair_share_make_room() changes the counts */
	unsigned sizes;                     /* elements of `small` */
	size_t large;                       /* bytes of larger blocks of entries */
	size_t table;                       /* bytes that a table grows by, or 0 */
	bool table_optional;                /* the entries fit into the table without this growth */
	size_t database;                    /* bytes of a new database, or 0 */
	uint64_t level;                     /* set by fair_share_make_room(): the level at its start */
};

/* Makes room for a write by which the tenant grows by `size` bytes and `entries` entries, before the quota evicts for
 * it. `size` contains the growth of the table. A tenant above its share evicts as many bytes of its own entries, those
 * older than `keep`. If the budget lacks pages for `blocks`, it evicts more of them; for a tenant below its share, the
 * tenants of this shard above theirs do, after the entries that its own quota requires to go. Returns 0, or
 * ATOMDB_E_OOM if the allocations remain impossible. Nothing has been evicted then, unless others took the pages during
 * a suspension. Has check points. The tenant keeps the pages until room_use(). Call room_end() and fair_share_end()
 * after the allocations. */
int fair_share_make_room(struct tenant *t, size_t size, struct fair_share_blocks *blocks, uint64_t entries, ref keep);

/* Makes room for an allocation of `size` bytes that failed `tries` times. `kind` is the block's enum arena_kind, or
 * EVICTION_PLAN_HEAP. A tenant above its share gives way itself, with entries older than `keep`; for another one the
 * tenants of this shard above their share do. Evicts only as many entries as make the allocation possible, and none if
 * that is impossible. Returns true if the caller should try again: another worker may take the pages first. Returns
 * false if it should give up. Call fair_share_end() afterwards in any case. */
bool fair_share_make_way(struct tenant *t, size_t size, unsigned kind, ref keep, unsigned tries);
void fair_share_end(struct shard *s);

/* Allocates a block of zeros for a new tenant, also from the reserve. Evicts entries of this shard's tenants above the
 * level for it. Returns 0 if there is no room. */
ref fair_share_alloc_zero(struct shard *s, size_t size);

/* Looks for tenants above the level in the next slice: one more may give way. */
void fair_share_look_again(struct shard *s);
/* Evicts, in a slice of about `units` entries, from this shard's tenants above the level. */
void fair_share_give_way(struct shard *s, unsigned units);
/* Returns when to call fair_share_give_way() next, in milliseconds since 1970, or INT64_MAX for never. */
int64_t fair_share_deadline(const struct shard *s);
