/* The counters of a shard, and the result of its recovery. */
#pragma once

#include <stdint.h>

#include "atomdb/util/counter.h"

#define LAG_BUCKETS 9
#define AGE_BUCKETS 13
#define AGE_TICK_MS 262144 /* as fine as entries know when they were used */

/* The counters of closed tenants. With them, sums over all tenants never decrease. */
struct retired_counters {
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
struct shard_counters {
	counter tenants; /* open */
	counter keys;
	counter resident;          /* bytes of arena pages that are in memory */
	counter used;              /* bytes of blocks */
	counter hugepages;         /* bytes on huge pages; written by the thread that calls shard_collapse */
	counter resizes;           /* tables that began to grow or shrink */
	counter lag_ms_total;      /* summed delay between deadline and removal by the wheel */
	counter swept;             /* entries removed by the wheel */
	counter refused;           /* blocks that there was no memory for, beyond what the tenant could evict */
	counter shed;              /* entries evicted because all tenants together had too much, not their own */
	counter moved;             /* entries that compaction moved */
	counter moved_bytes;       /* of their blocks */
	counter compacting;        /* 1: entries are being moved together */
	counter used_by_entries;   /* bytes, of `used`; the rest are tables and bookkeeping */
	counter lags[LAG_BUCKETS]; /* `swept` by lag: bucket k up to 4^k ms, the last what is longer */
	/* Evicted entries by how long they had not been used: bucket k less than 2^k ticks of AGE_TICK_MS, the last
	 * what is longer. */
	counter eviction_ages[AGE_BUCKETS];
	counter eviction_age_ticks; /* summed */
	struct retired_counters retired;
};

enum recovery_kind {
	RECOVERY_NEW,     /* nothing was taken over */
	RECOVERY_CLEAN,   /* saved by shard_save, and untouched since */
	RECOVERY_CRASHED, /* rebuilt */
};

/* The result of a take-over. */
struct shard_recovery {
	enum recovery_kind kind;
	uint64_t entries;
	uint64_t bytes;   /* of their blocks */
	uint64_t dropped; /* blocks that failed their checks */
	uint64_t duration_ns;
};
