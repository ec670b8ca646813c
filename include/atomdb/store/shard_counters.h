/* The counters of a shard, and the result of its recovery. */
#pragma once

#include <stdint.h>

#include "atomdb/util/counter.h"

#define LAG_BUCKETS 9
#define AGE_BUCKETS 13
#define AGE_TICK_MS 262144 /* milliseconds: the resolution of the time of use of an entry */

/* The sums of the counters of closed tenants, so that sums over all tenants never decrease. */
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

/* The shard's worker writes them. Any thread may read them. */
struct shard_counters {
	counter tenants; /* open tenants */
	counter keys;
	counter resident;          /* bytes of arena pages that are in memory */
	counter used;              /* bytes of blocks */
	counter hugepages;         /* bytes on huge pages; written by the thread that calls shard_collapse */
	counter resizes;           /* tables that began to grow or shrink */
	counter lag_ms_total;      /* sum of the delays between deadline and removal by the wheel */
	counter swept;             /* entries removed by the wheel */
	counter refused;           /* blocks without memory, even after the tenant evicted */
	counter shed;              /* entries evicted because of the limit of all tenants together */
	counter moved;             /* entries that compaction moved */
	counter moved_bytes;       /* bytes of their blocks */
	counter compacting;        /* 1 while a compaction is under way, else 0 */
	counter used_by_entries;   /* bytes, of `used`; the rest are tables and bookkeeping */
	counter lags[LAG_BUCKETS]; /* `swept` by delay: bucket k up to 4^k ms, the last one unbounded */
	/* Evicted entries by the time since their last use: bucket k less than 2^k ticks of AGE_TICK_MS, the last one
	 * unbounded. */
	counter eviction_ages[AGE_BUCKETS];
	counter eviction_age_ticks; /* sum of these times */
	struct retired_counters retired;
};

enum recovery_kind {
	RECOVERY_NEW,     /* a new shard */
	RECOVERY_CLEAN,   /* saved by shard_save() and unchanged since */
	RECOVERY_CRASHED, /* rebuilt from its blocks */
};

/* The result of a recovery. */
struct shard_recovery {
	enum recovery_kind kind;
	uint64_t entries;
	uint64_t bytes;   /* of the blocks of the entries */
	uint64_t dropped; /* blocks that failed their checks */
	uint64_t duration_ns;
};
