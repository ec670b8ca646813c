/* A daemon's figures, made up: two workers, and a real registry whose tenants the tests open and write to. */
#pragma once

#include <stdlib.h>
#include <string.h>

#include "atomdb/observe/metrics.h"

#define FIGURES_WORKERS 2

/* What a worker counts. */
struct figures_worker {
	struct command_figures commands[COMMAND_COUNT];
	struct shard_figures shard;
	counter clients, states[2], connections, rejected[METRICS_REJECTS], moved, messages, input_bytes, output_bytes;
	counter protocol_errors, output_limit, idle_closed, turns, busy_ticks, longest_turn_ns, auth_failures;
	counter unknown_commands;
};

struct figures {
	struct figures_worker workers[FIGURES_WORKERS];
	struct metrics_worker views[FIGURES_WORKERS];
	const struct shard_figures *shards[FIGURES_WORKERS];
	struct recovery_figures recovery;
	struct metrics_sources sources;
	struct shard *shard; /* where the registry's tenants live */
	counter log_suppressed, http_failures;
};

static inline void figures_view(struct metrics_worker *view, const struct figures_worker *w) {
	*view = (struct metrics_worker){
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
		.auth_failures = &w->auth_failures,
		.unknown_commands = &w->unknown_commands,
	};
	for (unsigned i = 0; i < METRICS_REJECTS; i++)
		view->rejected[i] = &w->rejected[i];
}

static const char *const figures_states[] = {"here", "there"};

/* NULL where something could not be made. */
static inline struct figures *figures_new(void) {
	struct figures *f = calloc(1, sizeof(*f));
	if (f == NULL)
		return NULL;
	for (unsigned i = 0; i < FIGURES_WORKERS; i++) {
		figures_view(&f->views[i], &f->workers[i]);
		f->shards[i] = &f->workers[i].shard;
	}
	f->sources = (struct metrics_sources){
		.workers = f->views,
		.worker_count = FIGURES_WORKERS,
		.state_names = figures_states,
		.state_count = 2,
		.shards = f->shards,
		.shard_count = FIGURES_WORKERS,
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
	const struct tenancy tenancy = {.open = true};
	const struct registry_hooks hooks = {0};
	if (shard_new(&f->shard, &(struct shard_options){.id = 0}) != 0 ||
	    registry_new(&f->sources.registry, &f->shard, 1, &tenancy, &hooks, NULL) != 0)
		return NULL;
	return f;
}

static inline void figures_free(struct figures *f) {
	registry_free(f->sources.registry);
	shard_free(f->shard);
	free(f);
}

/* The tenant that `secret` opens, or NULL. */
static inline struct tenant *figures_tenant(struct figures *f, const char *secret) {
	struct tenant *t = NULL;
	unsigned worker;
	int r = registry_authenticate(f->sources.registry, SLICE("default"), slice_of(secret), &t, &worker);
	return r == 0 ? t : NULL;
}
