/* A dry run of evictions: how many of the least recently used entries have to go until an allocation succeeds.
 *
 * The bytes of the evicted entries alone do not tell: the allocation needs a free block of its size class, or whole
 * pages. So the plan counts for each slab the blocks that would be freed. It evicts nothing before it has found enough.
 *
 * The allocation can still fail after the evictions if another worker takes the pages first, or if a table takes them
 * in order to shrink. Then the caller makes another plan.
 *
 * The plan of a write that runs on a fiber has check points. While the command is suspended, the entries of its tenant
 * stay, but other tenants change theirs and the slabs. Then the plan finds its place in their lists again, counts the
 * slabs again before it has found enough, and evicts only from tenants that are still above the level. */
#pragma once

#include "store/keyspace/record.h"

/* The kind of an allocation from the heap, beside enum arena_kind. */
#define EVICTION_PLAN_HEAP ARENA_KINDS

/* The most tenants that one plan evicts from. */
#define EVICTION_PLAN_TENANTS 16

/* Blocks of entries of one size class. */
struct eviction_plan_blocks {
	size_t size; /* see arena_block_size(); at most ARENA_SLAB_MAX */
	uint64_t count;
};

struct eviction_plan {
	/* Set by the caller. */
	struct shard *shard;
	struct tenant *writer;  /* its command makes room (see room.h), and the plan has check points; NULL: none */
	uint64_t level;         /* the fair share, for eviction_plan_others() and eviction_plan_after_quota() */
	size_t size;            /* bytes of the allocation */
	unsigned kind;          /* enum arena_kind or EVICTION_PLAN_HEAP */
	uint64_t least;         /* bytes of entries to evict at least */
	uint64_t lacking;       /* bytes that the budget lacks for the allocation */
	uint64_t lacking_later; /* the same after `later` evictions, which allow to use the reserve */
	unsigned later;
	uint64_t least_entries; /* entries to evict at least */
	/* For several allocations, all blocks of entries that no free block serves; otherwise NULL. `lacking` contains
	 * their pages. The plan reduces the counts by the evicted blocks that serve them. */
	struct eviction_plan_blocks *blocks;
	unsigned block_count;
	uint64_t unsearched; /* bytes of entries that do not count as `searched` */
	uint64_t pages;      /* that all allocations need, with `blocks` */
	bool reserve;        /* with `writer`: `lacking` counts the reserve as room */

	/* The result. */
	struct {
		struct tenant *tenant; /* may be gone after a suspension */
		uint32_t slot;
		uint64_t entries; /* to evict, the least recently used first */
	} parts[EVICTION_PLAN_TENANTS];
	unsigned part_count;
	uint64_t entries;   /* in all parts */
	uint64_t freed;     /* bytes of blocks */
	bool frees_block;   /* one of them has the size class of the allocation; otherwise it needs pages */
	bool uses_reserve;  /* it needs the budget's reserve */
	uint64_t large;     /* bytes of large blocks */
	uint64_t returned;  /* bytes of pages that become free */
	unsigned searched;  /* entries after the first `least` bytes */
	bool suspended;     /* the writer was suspended */
	bool stale;         /* the writer was suspended since `returned` was counted */
	bool lost;          /* a suspension has lost the place in a list: the plan may not have found all entries */
	uint32_t slabs;     /* elements of `freed_of` */
	uint16_t *freed_of; /* owned: blocks freed of each slab */
};

/* Returns the bytes of pages that an allocation needs if no block of its size class is free. */
uint64_t eviction_plan_pages(size_t size, unsigned kind);

/* Returns the bytes of pages that the blocks need if no block of their size class is free. */
uint64_t eviction_plan_pages_of(const struct eviction_plan_blocks *b);

/* Plans evictions of the tenant's entries older than `keep`; 0: of all. Returns false if they are not enough. */
bool eviction_plan_own(struct eviction_plan *p, struct tenant *t, ref keep);
/* Plans evictions of the shard's tenants above the fair share, down to it, the largest first. Returns false if they are
 * not enough. */
bool eviction_plan_others(struct eviction_plan *p);
/* Like eviction_plan_others(), after evictions of `least` bytes and `least_entries` entries of the tenant's own, older
 * than `keep`, which its quota requires. */
bool eviction_plan_after_quota(struct eviction_plan *p, struct tenant *t, ref keep);
/* Evicts as planned. Without a writer, gives the pages back to the budget if the allocation needs them; with a writer,
 * the caller does that. `keep`: as above. Sets the numbers of entries to those that were evicted. */
void eviction_plan_run(struct eviction_plan *p, ref keep);
/* Returns the largest tenant of the shard above `level` whose entries may be evicted, or NULL. Leaves out the tenants
 * in the plan `p`, which may be NULL. */
struct tenant *eviction_plan_above(const struct shard *s, uint64_t level, const struct eviction_plan *p);
