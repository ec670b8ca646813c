/* Collects the counters of one moment into rows of plain numbers for the metrics page. */
#pragma once

#include <stdint.h>

#include "atomdb/observe/sources.h"
#include "observe/process.h"
#include "observe/tenant_set.h"
#include "observe/text.h"

/* Bucket i counts values up to first << (shift * i), and the last bucket counts larger ones. All servers use the same
 * bounds, so that their histograms can be summed. */
#define HISTOGRAM_BOUNDS 12
struct histogram_bounds {
	unsigned count; /* at most HISTOGRAM_BOUNDS */
	uint64_t first;
	unsigned shift;
};
extern const struct histogram_bounds duration_bounds; /* nanoseconds */
extern const struct histogram_bounds lag_bounds;      /* milliseconds */
extern const struct histogram_bounds age_bounds;      /* milliseconds */

struct histogram_sample {
	uint64_t counts[HISTOGRAM_BOUNDS + 1];
	uint64_t sum;
};

/* Rows begin with their labels. All other members that metrics.def names are uint64_t. */
struct global_sample {
	struct labels labels; /* number of labels: none */
	uint64_t up;
	uint64_t uptime_ms, start_ms;
	uint64_t clients, max_clients, connections, rejected_max_clients, auth_failures, http_failures;
	uint64_t input_bytes, output_bytes;
	uint64_t calls, unknown_commands;
	uint64_t hits, misses, expirations, evictions;
	uint64_t memory_used, memory_max, fragmentation, compacting;
	uint64_t memory_entries, memory_overhead, system_memory;
	uint64_t waiting, process_id;
	uint64_t none; /* number of labels: 0 */
	uint64_t tenants, orphans, orphaned_keys, orphaned_bytes;
	uint64_t log_suppressed;
	uint64_t live_changes;
	uint64_t recovered_keys, recovered_bytes, recovered_clients, recovery_ns;
	uint64_t restarts, crashes, dropped_blocks;
	uint64_t cpu_us, cpu_user_us, cpu_system_us, resident_bytes, virtual_bytes, open_fds, max_fds;
	uint64_t process_start_ms;
	struct histogram_sample expiry_lags, eviction_ages;
};

/* A row whose labels carry the information. */
struct info_sample {
	struct labels labels;
	uint64_t one;
};
#define instance_sample info_sample
#define build_sample    info_sample

struct database_sample {
	struct labels labels;
	uint64_t keys, expiring;
};

/* A command that was called at least once. */
struct command_sample {
	struct labels labels;
	uint64_t calls, nanoseconds, rejected, failed;
	struct histogram_sample durations;
};

/* A row with one label. */
struct state_sample {
	struct labels labels;
	uint64_t clients;
};
struct reject_sample {
	struct labels labels;
	uint64_t connections;
};
struct use_sample {
	struct labels labels; /* labels: the shard and the use */
	uint64_t bytes;
};
enum arena_use { USE_ENTRIES, USE_TABLES, USE_FREE, ARENA_USES };

struct worker_sample {
	struct labels labels;
	uint64_t clients, connections, moved, messages, input_bytes, output_bytes;
	uint64_t protocol_errors, output_limit, idle_closed, turns, busy_ns, longest_turn_ns, stalls;
};

struct shard_sample {
	struct labels labels;
	uint64_t resident, used, hugepages, fragmentation, compacting, moved, moved_bytes, tenants, keys, resizes,
		swept, shed;
};

/* A sum of durations. The length of a tick is measured ever more precisely, so that each tick is converted once: a
 * later conversion of all ticks could make the sum decrease. */
struct spent {
	uint64_t ticks, nanoseconds;
};

struct sample {
	struct global_sample global;
	struct info_sample instance, build;
	struct database_sample databases[TENANT_DATABASES];
	struct command_sample commands[COMMAND_COUNT];
	unsigned command_count;
	struct worker_sample *workers; /* owned: worker_count elements */
	struct shard_sample *shards;   /* owned: shard_count elements */
	struct use_sample *uses;       /* owned: ARENA_USES elements for each shard */
	struct spent *busy;            /* owned: worker_count elements */
	unsigned worker_count, shard_count, state_count;
	struct state_sample states[METRICS_STATES];
	struct reject_sample rejects[METRICS_REJECTS];
	struct tenant_set tenants;
	struct spent spent[COMMAND_COUNT];
};

/* Allocates and labels the rows. Returns 0 or -ENOMEM. */
int sample_init(struct sample *s, const struct metrics_sources *sources);
void sample_deinit(struct sample *s);
/* Collects all counters. Returns 0 or -ENOMEM. */
int sample_collect(struct sample *s, const struct metrics_sources *sources);
