/* The Prometheus page: every figure of the daemon, one row a metric in metrics.def. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "atomdb/command/command.h"
#include "atomdb/store/registry.h"
#include "atomdb/store/shard.h"
#include "atomdb/util/buffer.h"
#include "atomdb/util/clock.h"

/* Where the figures are. The workers are seen through what net exposes as counters, so that observe needs no net. */
struct metrics_worker {
	const struct command_figures *commands; /* COMMAND_COUNT */
	const struct shard_figures *shard;
	const counter *clients, *connections, *rejected_max_clients, *rejected_files, *moved, *input_bytes,
		*output_bytes, *protocol_errors, *output_limit, *idle_closed, *turns, *longest_turn_ns, *auth_failures,
		*unknown_commands;
};

struct metrics_sources {
	const struct metrics_worker *workers;
	unsigned worker_count;
	struct registry *registry;
	struct clock_rate clock_start;
	int64_t start_ms;
	const char *version;
	unsigned tenants_shown; /* the largest N by bytes have rows of their own; the others are summed as "_other" */
	const counter *log_suppressed; /* may be NULL */
	uint64_t max_memory;           /* bytes; 0: none */
	uint32_t max_clients;
};

/* Appends the page in Prometheus's text format, version 0.0.4. 0 or -ENOMEM. */
int metrics_render(const struct metrics_sources *m, struct buffer *out);
