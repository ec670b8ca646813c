/* The Prometheus page: every figure of the daemon, one row a metric in src/observe/metrics.def. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "atomdb/session/command.h"
#include "atomdb/session/counters.h"
#include "atomdb/store/registry.h"
#include "atomdb/store/shard.h"
#include "atomdb/util/buffer.h"
#include "atomdb/util/clock.h"

#define METRICS_STATES 8

/* Why a connection was turned away. */
enum metrics_reject {
	METRICS_REJECT_MAX_CLIENTS,
	METRICS_REJECT_OPEN_FILES,
	METRICS_REJECT_MEMORY,
	METRICS_REJECT_TENANT_MAX_CLIENTS,
	METRICS_REJECT_MAX_TENANTS,
	METRICS_REJECTS
};

/* Where a worker's counters are. The workers are seen through what net exposes as counters, so that observe needs no
 * net. None may be NULL. */
struct metrics_worker {
	const struct command_counters *commands; /* COMMAND_COUNT */
	const counter *clients;
	const counter *states;  /* METRICS_STATES at most, as many as there are state_names */
	const counter *waiting; /* clients whose commands wait */
	const counter *connections;
	const counter *rejected[METRICS_REJECTS];
	const counter *moved;
	const counter *messages;
	const counter *input_bytes;
	const counter *output_bytes;
	const counter *protocol_errors;
	const counter *output_limit;
	const counter *idle_closed;
	const counter *turns;
	const counter *busy_ticks;
	const counter *longest_turn_ns;
	const counter *auth_failures;
	const counter *unknown_commands;
};

/* What this process found of the one before. */
struct recovery_counters {
	uint64_t entries;
	uint64_t bytes;
	uint64_t dropped; /* blocks that failed their checks */
	uint64_t clients; /* connections that were handed over */
	uint64_t duration_ns;
	/* Since the unit was started, over all its processes. */
	uint64_t restarts; /* that found the data as it was left */
	uint64_t crashes;  /* that had to rebuild it */
	uint64_t dropped_total;
};

/* Not owned, and may change between two pages, but for the workers, versions and times. */
struct metrics_sources {
	const struct metrics_worker *workers;
	unsigned worker_count;
	const char *const *state_names; /* of the states of clients */
	unsigned state_count;
	const struct shard_counters *const *shards;
	unsigned shard_count;
	const struct recovery_counters *recovery;
	struct registry *registry;
	struct clock_rate clock_start;
	int64_t start_ms;
	const char *version;           /* AtomDB's */
	const char *redis_version;     /* the one whose behaviour clients may expect */
	unsigned tenants_shown;        /* the largest N by bytes have rows of their own; the others are one, "_other" */
	const counter *log_suppressed; /* may be NULL */
	const counter *http_failures;  /* wrong secrets over HTTP */
	uint64_t max_memory;           /* bytes; 0: none */
	uint64_t live_changes;         /* of the configuration, by the operator */
	uint32_t max_clients;          /* 0: no limit */
};

struct metrics;

/* What is kept from page to page, so that counters made of several never run backwards. 0 or -ENOMEM. */
int metrics_new(struct metrics **out, const struct metrics_sources *sources);
void metrics_free(struct metrics *m);

enum metrics_format {
	METRICS_TEXT,        /* Prometheus's text format, version 0.0.4 */
	METRICS_OPENMETRICS, /* OpenMetrics 1.0.0: counters are named without _total in their heads, and the end is told
			      */
};

/* Appends the page; without `tenants` it says nothing of any tenant. 0 or -ENOMEM. */
int metrics_render(struct metrics *m, enum metrics_format format, bool tenants, struct buffer *out);
