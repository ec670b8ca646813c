/* The counters from which the metrics are collected. */
#pragma once

#include <stdint.h>

#include "atomdb/session/command.h"
#include "atomdb/session/counters.h"
#include "atomdb/store/registry.h"
#include "atomdb/store/shard.h"
#include "atomdb/util/clock.h"

#define METRICS_STATES 8

/* Reasons for which a connection was rejected. */
enum metrics_reject {
	METRICS_REJECT_MAX_CLIENTS,
	METRICS_REJECT_OPEN_FILES,
	METRICS_REJECT_MEMORY,
	METRICS_REJECT_TENANT_MAX_CLIENTS,
	METRICS_REJECT_MAX_TENANTS,
	METRICS_REJECTS
};

/* Counters of a worker; no member may be NULL. The daemon points them to the counters of net, so that observe does not
 * depend on net. */
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
	const counter *stalls;
	const counter *auth_failures;
	const counter *unknown_commands;
};

/* The take-over at the start of this process, and sums over all processes since the unit was started. */
struct recovery_counters {
	uint64_t entries;
	uint64_t bytes;
	uint64_t dropped; /* blocks that failed their checks */
	uint64_t clients; /* connections taken over */
	uint64_t duration_ns;
	uint64_t restarts;      /* sum: starts that found the data intact */
	uint64_t crashes;       /* sum: starts that rebuilt the data */
	uint64_t dropped_total; /* sum */
};

/* Nothing is owned. All members except the workers, versions and times may change between two pages. */
struct metrics_sources {
	const struct metrics_worker *workers;
	unsigned worker_count;
	const char *const *state_names; /* names of the states of clients */
	unsigned state_count;
	const struct shard_counters *const *shards;
	unsigned shard_count;
	const struct recovery_counters *recovery;
	struct registry *registry;
	struct clock_rate clock_start;
	int64_t start_ms;
	const char *version;       /* AtomDB's */
	const char *redis_version; /* version of Redis that AtomDB is compatible with */
	unsigned tenants_shown; /* number of tenants with their own rows, the largest by bytes; all others share the row
				   "_other" */
	const counter *log_suppressed; /* may be NULL */
	const counter *http_failures;  /* count of wrong secrets over HTTP */
	uint64_t max_memory;           /* bytes; 0: none */
	uint64_t live_changes;         /* maximum number of clients in the configuration */
	uint32_t max_clients;          /* 0: no limit */
};
