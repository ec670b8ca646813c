/* A worker whose turns the test runs one by one, and clients of it. In each turn one command on a fiber goes on to its
 * next check point. */
#pragma once

#include "net/connection.h"
#include "net/loop.h"
#include "net/output.h"
#include "net/pending.h"
#include "net/schedule.h"
#include "net/task.h"
#include "net/worker.h"
#include "server.h"

struct turned {
	struct worker_shared shared;
	struct worker *worker, *workers[1];
	struct shard *shard;
	struct log_sink sink;
	unsigned events[LOG_EVENT_COUNT];
	char detail[64]; /* of the last event */
};

struct turned_client {
	struct turned *of;
	struct connection *connection; /* valid until it is closed */
	int fd;
};

static void turned_report(void *context, const struct log_event *event) {
	struct turned *s = context;
	s->events[event->id]++;
	snprintf(s->detail, sizeof(s->detail), "%s", event->detail != NULL ? event->detail : "");
}

static void turned_limits(void *context, struct tenant *t, const struct tenant_limits *limits) {
	struct turned *s = context;
	assert_int_equal(worker_post_limits(s->worker, t, limits), 0);
}

static void turned_defaults(void *context, const struct tenant_limits *limits) {
	struct turned *s = context;
	assert_int_equal(worker_post_defaults(s->worker, limits), 0);
}

static void turned_removed(void *context, struct tenant *t) {
	struct turned *s = context;
	assert_int_equal(worker_post_removal(s->worker, t), 0);
}

/* Makes a worker with one shard: a new one if `fd` is 0, or that of a memfd, which it owns. */
static inline struct turned *turned_over(int fd) {
	struct turned *s = calloc(1, sizeof(*s));
	struct settings settings = server_settings();
	struct tenants_config tenants = server_open_tenants();
	const struct registry_hooks hooks = {.limits_changed = turned_limits,
					     .defaults_changed = turned_defaults,
					     .removed = turned_removed,
					     .context = s};
	assert_non_null(s);
	s->sink = (struct log_sink){turned_report, s};
	s->shared = (struct worker_shared){.workers = s->workers,
					   .worker_count = 1,
					   .command_set = &command_set,
					   .events = &s->sink,
					   .run_id = "0123456789012345678901234567890123456789",
					   .config_file = ""};
	clock_rate_init(&s->shared.clock_start);
	assert_int_equal(worker_new(&s->worker, 0, &s->shared, &settings, NULL, 0), 0);
	s->workers[0] = s->worker;
	const struct shard_options options = {.fd = fd, .now_ms = clock_realtime_ms()};
	assert_int_equal(shard_new(&s->shard, &options), 0);
	assert_int_equal(worker_add_shard(s->worker, s->shard), 0);
	assert_int_equal(registry_new(&s->shared.registry, &s->shard, 1, &tenants, &hooks, &s->sink), 0);
	s->worker->env.registry = s->shared.registry;
	return s;
}

static inline struct turned *turned_new(void) {
	return turned_over(0);
}

static inline void turned_turns(struct turned *s, unsigned count) {
	while (count-- > 0)
		loop_turn(s->worker, 0);
}

/* Runs turns until no command is suspended, nor begins to be. */
static inline void turned_finish(struct turned *s) {
	unsigned quiet = 0;
	for (unsigned i = 0; i < 100000 && quiet < 20; i++) {
		loop_turn(s->worker, 0);
		quiet = list_empty(&s->worker->tasks) ? quiet + 1 : 0;
	}
	assert_int_equal(quiet, 20);
}

static inline void turned_free(struct turned *s) {
	schedule_abandon(s->worker);
	worker_close_clients(s->worker);
	assert_int_equal(atomic_load(&s->shared.clients), 0);
	registry_free(s->shared.registry);
	worker_free(s->worker);
	free(s);
}

static inline struct turned_client turned_connect(struct turned *s) {
	int ends[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
	atomic_fetch_add(&s->shared.clients, 1);
	uint64_t id = 1 + atomic_fetch_add(&s->shared.next_client_id, 1);
	struct turned_client c = {.of = s, .fd = ends[0], .connection = connection_new(s->worker, ends[1], id)};
	assert_non_null(c.connection);
	return c;
}

/* Expects that exactly `text` has come. */
static inline void turned_expect(struct turned_client c, const char *text) {
	static char got[1 << 20];
	ssize_t n = recv(c.fd, got, sizeof(got) - 1, 0);
	got[n > 0 ? n : 0] = '\0';
	assert_string_equal(got, text);
}

/* Sends commands, and expects that the next turn answers them with `reply`. */
static inline void turned_ask(struct turned_client c, const char *commands, const char *reply) {
	client_send(c.fd, commands);
	loop_turn(c.of->worker, 0);
	turned_expect(c, reply);
}

static inline struct turned_client turned_auth(struct turned *s, const char *secret) {
	struct turned_client c = turned_connect(s);
	char text[128];
	snprintf(text, sizeof(text), "AUTH %s\r\n", secret);
	turned_ask(c, text, "+OK\r\n");
	/* No CPU time passes for tenants here: all of them have the same share. */
	if (c.connection->session.tenant != NULL)
		c.connection->session.tenant->share_ns = 1;
	return c;
}
