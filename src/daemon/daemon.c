#include "atomdb/daemon/daemon.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "atomdb/commands/table.h"
#include "atomdb/store/registry_walk.h"
#include "atomdb/store/tenant.h"
#include "daemon/cgroup.h"
#include "daemon/control_plane.h"
#include "daemon/daemon_state.h"
#include "daemon/fdstore.h"
#include "daemon/handover.h"
#include "daemon/limits.h"
#include "daemon/live_changes.h"
#include "daemon/main_loop.h"
#include "daemon/notify.h"
#include "daemon/reload.h"
#include "daemon/shards.h"
#include "daemon/sockets.h"

/* Only the main thread's loop handles signals. A write shows that its peer is gone (no SIGPIPE). */
static void set_signals(void) {
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
#ifdef ATOMDB_TEST_HOOKS
	sigaddset(&set, SIGUSR2);
#endif
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
}

static int make_run_id(char out[RUN_ID_DIGITS + 1]) {
	unsigned char random[RUN_ID_DIGITS / 2];
	if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
		return -EIO;
	for (size_t i = 0; i < sizeof(random); i++)
		snprintf(out + 2 * i, 3, "%02x", random[i]);
	return 0;
}

static void describe_worker(struct metrics_worker *m, struct worker *w) {
	const struct worker_counters *f = worker_counters(w);
	const struct environment *e = worker_environment(w);
	*m = (struct metrics_worker){
		.commands = e->commands,
		.clients = &f->clients,
		.states = f->states,
		.waiting = &f->states[CLIENT_WAITING],
		.connections = &f->connections,
		.rejected =
			{
				[METRICS_REJECT_MAX_CLIENTS] = &f->rejected[REJECT_MAX_CLIENTS],
				[METRICS_REJECT_OPEN_FILES] = &f->rejected[REJECT_FILES],
				[METRICS_REJECT_MEMORY] = &f->rejected[REJECT_MEMORY],
				[METRICS_REJECT_TENANT_MAX_CLIENTS] = &e->rejected_clients,
				[METRICS_REJECT_MAX_TENANTS] = &e->rejected_tenants,
			},
		.moved = &f->moved,
		.messages = &f->messages,
		.input_bytes = &f->input_bytes,
		.output_bytes = &f->output_bytes,
		.protocol_errors = &f->protocol_errors,
		.output_limit = &f->output_limit,
		.idle_closed = &f->idle_closed,
		.turns = &f->turns,
		.busy_ticks = &f->busy_ticks,
		.longest_turn_ns = &f->longest_turn_ns,
		.stalls = &f->stalls,
		.auth_failures = &e->auth_failures,
		.unknown_commands = &e->unknown_commands,
	};
}

_Static_assert(CLIENT_STATES <= METRICS_STATES, "each state of clients has a row");

static int make_workers(struct daemon *d, const struct settings *settings, unsigned count) {
	for (unsigned i = 0; i < count; i++) {
		int error = worker_new(&d->workers[i], i, &d->shared, settings, d->resp, d->resp_count);
		if (error != 0)
			return error;
		d->worker_count++;
		describe_worker(&d->counters[i], d->workers[i]);
	}
	return 0;
}

static int make_registry(struct daemon *d) {
	struct registry_hooks hooks = reload_registry_hooks;
	hooks.context = d;
	int error =
		registry_new(&d->registry, d->shards, d->shard_count, &d->config->tenants_config, &hooks, d->events);
	if (error == 0)
		d->shared.registry = d->registry;
	return error;
}

static int make_metrics(struct daemon *d, const struct settings *settings) {
	d->sources = (struct metrics_sources){
		.workers = d->counters,
		.worker_count = d->worker_count,
		.state_names = client_state_names,
		.state_count = CLIENT_STATES,
		.shards = d->shard_counters,
		.shard_count = d->shard_count,
		.recovery = &d->recovery,
		.registry = d->registry,
		.clock_start = d->shared.clock_start,
		.start_ms = d->shared.start_ms,
		.version = ATOMDB_VERSION,
		.redis_version = "7.0.15",
		.tenants_shown = d->config->tenants_shown,
		.log_suppressed = journal_suppressed(d->journal),
		.http_failures = &d->http_auth.failures,
		.max_memory = atomic_load(&d->budget.limit),
		.max_clients = settings->max_clients,
	};
	int error = metrics_new(&d->metrics, &d->sources);
	if (error == 0)
		error = status_api_new(&d->status_api, &d->sources, &d->health, clock_monotonic_ns());
	return error != 0 ? error : page_new(&d->page);
}

static void client_serialized(void *context) {
	notify_leaving(context);
}

/* Makes all parts except the threads. */
static int prepare(struct daemon *d) {
	unsigned count = limits_count_workers(d->config);
	d->client_room = limits_client_room(count);
	d->memory_room = cgroup_memory_limit(d->options->cgroup, d->options->cgroup_root);
	d->memory_allowed = limits_memory_budget(d, d->config);
	atomic_init(&d->budget.limit, d->memory_allowed);
	d->shared.workers = d->workers;
	d->shared.worker_count = count;
	d->shared.command_set = &command_set;
	d->shared.events = d->events;
	d->shared.control = (struct control_plane){control_plane_ask, client_serialized, d};
	clock_rate_init(&d->shared.clock_start);
	d->http_auth.events = d->events;
	reload_set_http_auth(d, d->config);
	d->shared.start_ms = clock_realtime_ms();
	d->shared.run_id = d->run_id;
	d->shared.config_file = d->options->config_file != NULL ? d->options->config_file : "";
	int error = make_run_id(d->run_id);
	if (error != 0)
		return error;
	struct settings settings = limits_settings(d, d->config);
	error = make_workers(d, &settings, count);
	if (error == 0)
		error = shards_make(d);
	if (error == 0)
		error = make_registry(d);
	if (error == 0)
		handover_resume_clients(d);
	if (error == 0)
		error = shards_store(d);
	if (error == 0)
		error = make_metrics(d, &settings);
	return error != 0 ? error : main_loop_open(d);
}

static int start_workers(struct daemon *d) {
	for (; d->started < d->worker_count; d->started++) {
		int error = worker_start(d->workers[d->started]);
		if (error != 0)
			return error;
	}
	return 0;
}

static int serve(struct daemon *d) {
	int error = sockets_open(d);
	if (error != 0)
		return error;
	d->has_store = fdstore_works();
	error = prepare(d);
	if (error == 0)
		error = start_workers(d);
	if (error == 0) {
		d->health.state = HEALTH_SERVING;
		log_report(d->events,
			   &(struct log_event){.id = LOG_EVENT_STARTED, .detail = "version " ATOMDB_VERSION});
		notify_ready(d);
		error = main_loop_run(d);
	}
	if (error != 0)
		log_report(d->events,
			   &(struct log_event){.id = LOG_EVENT_WORKER_FAILED, .error = error, .detail = "AtomDB ends"});
	return error;
}

static void close_stored(struct daemon *d) {
	for (unsigned i = 0; i < CONFIG_WORKERS; i++) {
		if (d->stored.shards[i] >= 0)
			close(d->stored.shards[i]);
	}
	const int others[] = {d->stored.state, d->stored.clients, d->stored.restart_counters};
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		if (others[i] >= 0)
			close(others[i]);
	}
}

static void dismantle(struct daemon *d) {
	if (!d->reaper_started) {
		for (unsigned i = 0; i < d->started; i++)
			worker_stop(d->workers[i], 0);
		for (unsigned i = 0; i < d->started; i++)
			worker_join(d->workers[i]);
	}
	control_plane_discard(d);
	main_loop_close(d);
	live_changes_free(d);
	page_free(d->page);
	status_api_free(d->status_api);
	metrics_free(d->metrics);
	if (d->registry != NULL) {
		shards_save(d);
		registry_free(d->registry);
	}
	for (unsigned i = 0; i < d->worker_count; i++)
		worker_free(d->workers[i]);
	sockets_close(d);
	close_stored(d);
	config_free(d->config);
	explicit_bzero(&d->http_auth, sizeof(d->http_auth));
}

struct kept {
	uint64_t keys;
	size_t tenants, clients;
};

static void count_tenant(void *context, const struct tenant *t) {
	struct kept *k = context;
	uint64_t keys = counter_get(&t->counters.keys);
	k->keys += keys;
	k->tenants += keys > 0;
}

/* Logs what happens to keys and clients. */
static void describe_end(const struct daemon *d, const struct kept *k, char *out, size_t size) {
	const struct unit_job *job = &d->unit_job;
	char what[128], starts[UNIT_TRIGGERS_MAX + 64];
	snprintf(what, sizeof(what), "%" PRIu64 " keys of %zu tenants and %zu clients", k->keys, k->tenants,
		 k->clients);
	if (*job->triggers != '\0')
		snprintf(starts, sizeof(starts), "%s will start it again when a client connects", job->triggers);
	else
		snprintf(starts, sizeof(starts), "no socket will start it again");
	if (!d->has_store && k->keys == 0)
		snprintf(out, size, "there were no keys");
	else if (!d->has_store)
		snprintf(out, size, "%" PRIu64 " keys of %zu tenants are lost: no service manager keeps them", k->keys,
			 k->tenants);
	else if (job->fate == UNIT_STARTS)
		snprintf(out, size, "systemd keeps %s for the next process", what);
	else if (job->fate == UNIT_ENDS)
		snprintf(out, size, "%s are lost (systemctl restart would have kept them); %s", what, starts);
	else
		snprintf(out, size,
			 "systemd keeps %s if it starts the unit again (restart), and drops them if not (stop)", what);
}

/* Hands the clients over to the next process, if there will be one. */
static void leave(struct daemon *d, char *detail, size_t size) {
	struct kept kept = {0};
	registry_each(d->registry, count_tenant, &kept);
	/* Without a reaper the workers continue to run. */
	if (d->has_store && d->reaper_started) {
		/* The first step asks systemd at once. */
		d->step_ns = 0;
		notify_leaving(d);
		kept.clients = handover_leave_clients(d);
	}
	describe_end(d, &kept, detail, size);
}

int daemon_run(const struct daemon_options *options, struct config *config, struct journal *journal) {
	struct daemon *d = calloc(1, sizeof(*d));
	if (d == NULL) {
		config_free(config);
		return -ENOMEM;
	}
	d->options = options;
	d->journal = journal;
	d->events = journal_sink(journal);
	d->config = config;
	d->stopped_fd = d->fanouts_fd = -1;
	pthread_mutex_init(&d->fanouts_mutex, NULL);
	list_init(&d->live_changes);
	d->stored.state = d->stored.clients = d->stored.restart_counters = -1;
	memset(d->stored.shards, -1, sizeof(d->stored.shards));
	set_signals();
	int error = serve(d);
	bool orderly = error == 0, stored = d->has_store;
	char detail[512] = "";
	if (orderly)
		leave(d, detail, sizeof(detail));
	dismantle(d);
	if (orderly)
		log_report(journal_sink(journal), &(struct log_event){.id = LOG_EVENT_STOPPED, .detail = detail});
	if (stored)
		fdstore_settle();
	pthread_mutex_destroy(&d->fanouts_mutex);
	free(d);
	return error;
}
