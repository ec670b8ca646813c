/* Sources for the tests of observe: counters of two workers, and a real registry whose tenants the tests open and write
 * to. */
#pragma once

#include <stdlib.h>
#include <string.h>

#include "atomdb/observe/metrics.h"
#include "atomdb/store/shard_open.h"

#define SOURCES_WORKERS 2

/* The counters of a worker. */
struct sources_worker {
	struct command_counters commands[COMMAND_COUNT];
	struct shard_counters shard;
	counter clients, states[2], connections, rejected[METRICS_REJECTS], moved, messages, input_bytes, output_bytes;
	counter protocol_errors, output_limit, idle_closed, turns, busy_ticks, longest_turn_ns, stalls, auth_failures;
	counter unknown_commands;
};

struct counters {
	struct sources_worker workers[SOURCES_WORKERS];
	struct metrics_worker views[SOURCES_WORKERS];
	const struct shard_counters *shards[SOURCES_WORKERS];
	struct recovery_counters recovery;
	struct metrics_sources sources;
	struct shard *shard; /* the shard of the registry's tenants */
	counter log_suppressed, http_failures;
};

static inline void sources_describe(struct metrics_worker *described, const struct sources_worker *w) {
	*described = (struct metrics_worker){
		.commands = w->commands,
		.clients = &w->clients,
		.connections = &w->connections,
		.states = w->states,
		.waiting = &w->states[0],
		.moved = &w->moved,
		.messages = &w->messages,
		.input_bytes = &w->input_bytes,
		.output_bytes = &w->output_bytes,
		.protocol_errors = &w->protocol_errors,
		.output_limit = &w->output_limit,
		.idle_closed = &w->idle_closed,
		.turns = &w->turns,
		.busy_ticks = &w->busy_ticks,
		.longest_turn_ns = &w->longest_turn_ns,
		.stalls = &w->stalls,
		.auth_failures = &w->auth_failures,
		.unknown_commands = &w->unknown_commands,
	};
	for (unsigned i = 0; i < METRICS_REJECTS; i++)
		described->rejected[i] = &w->rejected[i];
}

static const char *const sources_states[] = {"here", "there"};

/* NULL if a member could not be made. */
static inline struct counters *sources_new(void) {
	struct counters *f = calloc(1, sizeof(*f));
	if (f == NULL)
		return NULL;
	for (unsigned i = 0; i < SOURCES_WORKERS; i++) {
		sources_describe(&f->views[i], &f->workers[i]);
		f->shards[i] = &f->workers[i].shard;
	}
	f->sources = (struct metrics_sources){
		.workers = f->views,
		.worker_count = SOURCES_WORKERS,
		.state_names = sources_states,
		.state_count = 2,
		.shards = f->shards,
		.shard_count = SOURCES_WORKERS,
		.recovery = &f->recovery,
		.start_ms = clock_realtime_ms() - 2500,
		.version = "1.2.3",
		.redis_version = "7.0.15",
		.tenants_shown = 50,
		.log_suppressed = &f->log_suppressed,
		.http_failures = &f->http_failures,
		.max_memory = 1 << 20,
		.max_clients = 77,
	};
	clock_rate_init(&f->sources.clock_start);
	const struct tenants_config tenants_config = {.open = true};
	const struct registry_hooks hooks = {0};
	if (shard_new(&f->shard, &(struct shard_options){.id = 0}) != 0 ||
	    registry_new(&f->sources.registry, &f->shard, 1, &tenants_config, &hooks, NULL) != 0)
		return NULL;
	return f;
}

static inline void sources_free(struct counters *f) {
	registry_free(f->sources.registry);
	shard_free(f->shard);
	free(f);
}

/* Returns the tenant that `secret` opens, or NULL. */
static inline struct tenant *sources_tenant(struct counters *f, const char *secret) {
	struct tenant *t = NULL;
	unsigned worker;
	int r = registry_authenticate(f->sources.registry, SLICE("default"), slice_of(secret), &t, &worker);
	return r == 0 ? t : NULL;
}
