/* A shard: a partition of all tenants, with one arena and one wheel. Owned by one worker.
 *
 * The worker tells it the time at each turn and lets it work when it asks for it: expiring what is due, freeing what
 * was dropped, moving tables, evicting down to lowered quotas, giving pages back. Each slice of work is bounded. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "atomdb/store/tenant.h"
#include "atomdb/util/counter.h"

struct arena_budget;
struct shard;

/* What closed tenants counted in their lives, so that sums over all tenants never run backwards. */
struct retired_figures {
	counter commands;
	counter hits;
	counter misses;
	counter evictions;
	counter expirations;
	counter throttled;
	counter input_bytes;
	counter output_bytes;
};

/* Written by the shard's worker, read by anybody. */
struct shard_figures {
	counter tenants; /* open */
	counter keys;
	counter resident;     /* bytes of arena pages that are in memory */
	counter used;         /* bytes of blocks */
	counter resizes;      /* tables that began to grow or shrink */
	counter lag_ms_total; /* summed delay between deadline and removal by the wheel */
	counter swept;        /* entries removed by the wheel */
	counter shed;         /* entries evicted because all tenants together had too much, not their own */
	struct retired_figures retired;
};

struct shard_options {
	unsigned id;                 /* 0, 1, …: part of the memfd's name */
	unsigned worker;             /* the worker that owns it */
	struct arena_budget *budget; /* not owned; NULL: no limit */
};

int shard_new(struct shard **out, const struct shard_options *options);
void shard_free(struct shard *s);

unsigned shard_worker(const struct shard *s);
const struct shard_figures *shard_figures(const struct shard *s);

/* The time of this turn: milliseconds since 1970 (never runs backwards here) and monotonic nanoseconds. */
void shard_set_now(struct shard *s, int64_t realtime_ms, uint64_t monotonic_ns);
int64_t shard_now(const struct shard *s);

/* The limits of tenants that are not in the configuration, those that are open and those to come. */
void shard_set_defaults(struct shard *s, const struct tenant_limits *limits);

/* Makes the tenant's record in the arena, at its first use; does nothing when it is open already. 0 or ATOMDB_E_OOM. */
int shard_open_tenant(struct shard *s, struct tenant *t);
/* Adds the tenant's counters to the figures of the retired, and drops all that it has; its slot is reused when the last
 * of it is freed. The struct stays the caller's. */
void shard_close_tenant(struct shard *s, struct tenant *t);

/* Does a slice of work, about `units` entries' worth; returns whether there is more to do now. */
bool shard_work(struct shard *s, unsigned units);
/* When shard_work is next needed, in milliseconds since 1970; INT64_MAX for never. */
int64_t shard_deadline(const struct shard *s);
