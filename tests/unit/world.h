/* A server without a network for the tests of commands: the shards of two workers, a registry, and sessions whose
 * replies are text. The test sets the clock. The other worker and the control plane answer a fanout at once. */
#pragma once

#include <stdio.h>
#include <stdlib.h>

#include "atomdb/commands/table.h"
#include "atomdb/dispatch/dispatch.h"
#include "atomdb/dispatch/modules.h"
#include "atomdb/events/events.h"
#include "atomdb/session/fanout.h"
#include "atomdb/session/tenant_stats.h"
#include "atomdb/store/shard.h"
#include "atomdb/store/shard_open.h"
#include "atomdb/store/tenant.h"
#include "harness.h"

#define WORLD_START_MS INT64_C(1700000000000)
#define WORLD_START_NS UINT64_C(1000000000)

struct client {
	struct session session; /* the first member: the host casts it */
	struct client *next;    /* in world.clients */
	struct writer writer;
	struct buffer out;
	enum outcome outcome; /* of the last command */
	char *text;           /* the last reply, terminated */
	struct buffer pushed; /* replies and messages from other sessions */
};

struct world {
	struct shard *shards[2];
	struct registry *registry;
	struct environment env[2];
	struct client *clients;
	enum control control; /* the last request to the control plane */
	uint64_t next_id;
	unsigned failures; /* LOG_EVENT_AUTH_FAILED reported */
	unsigned left;     /* sessions that were told to leave a tenant */
	struct registry_hooks hooks;
};

static void world_report(void *context, const struct log_event *event) {
	struct world *w = context;
	w->failures += event->id == LOG_EVENT_AUTH_FAILED;
}

static void world_describe(struct session *s, struct client_facts *facts) {
	memset(facts, 0, sizeof(*facts));
	snprintf(facts->address, sizeof(facts->address), "127.0.0.1:%u", 40000 + (unsigned)s->global_id);
	snprintf(facts->local_address, sizeof(facts->local_address), "127.0.0.1:8080");
	facts->fd = 7;
	facts->query_bytes = 26;
}

static void world_removed(void *context, struct tenant *t) {
	(void)context;
	t->clients.removed = true;
}

static void world_limits_changed(void *context, struct tenant *t, const struct tenant_limits *limits) {
	(void)context;
	tenant_set_limits(t, limits, 0);
}

static struct world *world_of(const struct environment *env) {
	return env->events->context;
}

/* The session still has its tenant. */
static void world_leaving(struct session *s) {
	assert_non_null(s->tenant);
	world_of(s->env)->left++;
}

static void world_close(struct session *s) {
	s->flags |= SESSION_CLOSING;
}

static void visit_sessions(struct environment *env, struct fanout *f) {
	for (struct client *c = world_of(env)->clients; c != NULL; c = c->next) {
		if (c->session.env == env)
			f->kind->on_session(env, f, &f->answers[env->worker], &c->session);
	}
}

static void world_visit(struct environment *env, struct fanout *f) {
	visit_sessions(env, f);
	(void)fanout_answered(f);
}

static int world_prepare_fanout(struct environment *env, struct fanout *c) {
	(void)env, (void)c;
	return 0;
}

/* Answers for the other worker, or for the control plane with "+CONTROL". client_run() runs the command again. */
static void world_send_fanout(struct environment *env, struct fanout *c) {
	struct world *w = world_of(env);
	unsigned other = 1 - env->worker;
	if (c->kind->on_worker != NULL)
		c->kind->on_worker(&w->env[other], c, &c->answers[other]);
	if (c->kind->on_session != NULL)
		visit_sessions(&w->env[other], c);
	if (c->kind->on_worker == NULL && c->kind->on_session == NULL) {
		w->control = c->kind->control;
		assert_int_equal(buffer_append(&c->answers[0].text, "+CONTROL\r\n", 10, SIZE_MAX), 0);
	}
	assert_true(fanout_answered(c));
	fanout_done(env, c);
}

static void world_wake(struct environment *env) {
	(void)env;
}

static void world_push(struct session *s, struct slice bytes) {
	struct client *c = (struct client *)(void *)s;
	assert_int_equal(buffer_append(&c->pushed, bytes.data, bytes.len, SIZE_MAX), 0);
}

static void world_set_time(struct world *w, int64_t ms, uint64_t ns) {
	for (unsigned i = 0; i < 2; i++) {
		w->env[i].now_ms = ms;
		w->env[i].now_ns = ns;
		w->env[i].steady_ms = (int64_t)(ns / 1000000);
		shard_set_now(w->shards[i], ms, ns);
	}
}

/* Sends the messages that wait for the end of a turn. */
static inline void world_end_turn(struct environment *env) {
	for (struct tenant *t; (t = events_next_unsent(env)) != NULL;)
		events_send_unsent(t);
}

static inline void world_pass(struct world *w, int64_t ms) {
	world_set_time(w, w->env[0].now_ms + ms, w->env[0].now_ns + (uint64_t)ms * 1000000);
}

static struct world *world_new(const struct tenants_config *tenants_config) {
	static const struct session_host host = {
		.describe = world_describe,
		.close = world_close,
		.push = world_push,
		.leaving = world_leaving,
		.wake = world_wake,
		.visit = world_visit,
		.prepare_fanout = world_prepare_fanout,
		.send_fanout = world_send_fanout,
	};
	struct world *w = calloc(1, sizeof(*w));
	assert_non_null(w);
	struct log_sink *sink = malloc(sizeof(*sink));
	assert_non_null(sink);
	*sink = (struct log_sink){.report = world_report, .context = w};
	for (unsigned i = 0; i < 2; i++) {
		struct shard_options options = {.id = i, .worker = i};
		assert_int_equal(shard_new(&w->shards[i], &options), 0);
	}
	w->hooks = (struct registry_hooks){.limits_changed = world_limits_changed, .removed = world_removed};
	assert_int_equal(registry_new(&w->registry, w->shards, 2, tenants_config, &w->hooks, sink), 0);
	for (unsigned i = 0; i < 2; i++) {
		struct environment *env = &w->env[i];
		env->registry = w->registry;
		env->worker = i;
		env->worker_count = 2;
		env->host = &host;
		env->command_set = &command_set;
		env->modules = &dispatch_modules;
		env->events = sink;
		env->start_ms = WORLD_START_MS;
		env->clock_start.ns = WORLD_START_NS;
		env->run_id = "0123456789012345678901234567890123456789";
		env->config_file = "";
		env->settings.port = 8080;
		env->settings.max_clients = 10000;
		snprintf(env->settings.anonymous, sizeof(env->settings.anonymous), "%s", tenants_config->anonymous);
	}
	world_set_time(w, WORLD_START_MS, WORLD_START_NS);
	return w;
}

static void world_free(struct world *w) {
	struct log_sink *sink = (struct log_sink *)(uintptr_t)w->env[0].events;
	registry_free(w->registry);
	for (unsigned i = 0; i < 2; i++) {
		shard_free(w->shards[i]);
		buffer_deinit(&w->env[i].scratch);
	}
	free(sink);
	free(w);
}

static struct client *client_new(struct world *w, unsigned worker) {
	struct client *c = calloc(1, sizeof(*c));
	assert_non_null(c);
	session_init(&c->session, &w->env[worker], ++w->next_id);
	buffer_init(&c->out);
	writer_init(&c->writer, &c->out, (size_t)1 << 30);
	c->session.reply = &c->writer;
	c->next = w->clients;
	w->clients = c;
	return c;
}

static void client_free(struct client *c) {
	struct client **at = &world_of(c->session.env)->clients;
	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	session_deinit(&c->session);
	buffer_deinit(&c->out);
	buffer_deinit(&c->pushed);
	free(c->text);
	free(c);
}

/* Runs one command on the worker of the session. Does the work that the shard asks for and runs the command again. */
static const char *client_run(struct client *c, const struct slice *argv, uint32_t argc) {
	struct session *s = &c->session;
	/* Commands take no time, so that none is slow by chance. */
	uint64_t ticks = UINT64_MAX;
	c->out.len = 0;
	for (unsigned tries = 0;; tries++) {
		struct request r = {.argv = argv, .argc = argc};
		dispatch_prepare(s, &r, 1);
		c->outcome = dispatch_run(s, &r, &ticks);
		assert_true(s->env->scratch.len == 0);
		bool answered = c->outcome == OUTCOME_BLOCKED && fanout_of(s) != NULL && fanout_of(s)->done;
		if (c->outcome != OUTCOME_RETRY && !answered)
			break;
		assert_true(c->out.len == 0);
		assert_true(tries < 10000);
		if (!answered)
			(void)shard_work(s->tenant->shard, 64);
	}
	c->text = realloc(c->text, c->out.len + 1);
	assert_non_null(c->text);
	if (c->out.len != 0)
		memcpy(c->text, c->out.data, c->out.len);
	c->text[c->out.len] = '\0';
	return c->text;
}

/* Runs a command written as words between single spaces; two quotes are an empty word, '_' within an
 * argument a space. */
static const char *ask(struct client *c, const char *line) {
	struct slice argv[64];
	char copy[2048];
	uint32_t argc = 0;
	char *rest = copy;
	snprintf(copy, sizeof(copy), "%s", line);
	for (char *word = strtok_r(copy, " ", &rest); word != NULL; word = strtok_r(NULL, " ", &rest)) {
		for (char *p = word; *p != '\0'; p++)
			*p = *p == '_' && argc != 0 ? ' ' : *p;
		assert_true(argc < 64);
		argv[argc++] = strcmp(word, "''") == 0 ? SLICE("") : slice_of(word);
	}
	return client_run(c, argv, argc);
}

#define expect(client, line, reply)     assert_string_equal(ask((client), (line)), (reply))
#define expect_part(client, line, part) assert_non_null(strstr(ask((client), (line)), (part)))

/* One command and its reply, in a table. */
struct exchange {
	const char *line;
	const char *reply;
};

static inline void expect_all(struct client *c, const struct exchange *table, size_t count) {
	for (size_t i = 0; i < count; i++) {
		const char *reply = ask(c, table[i].line);
		if (strcmp(reply, table[i].reply) != 0)
			fail_msg("%s: got \"%s\", want \"%s\"", table[i].line, reply, table[i].reply);
	}
}
#define EXPECT_ALL(client, table) expect_all((client), (table), sizeof(table) / sizeof((table)[0]))

/* An open server and a client of one tenant. */
static inline struct world *open_world(const struct tenant_limits *limits, struct client **client) {
	struct tenants_config tenants_config = {.open = true};
	if (limits != NULL)
		tenants_config.defaults = *limits;
	struct world *w = world_new(&tenants_config);
	*client = client_new(w, 0);
	if (strcmp(ask(*client, "AUTH secret"), "+OK\r\n") != 0) {
		/* The tenant is on the other worker. */
		assert_int_equal((*client)->outcome, OUTCOME_MIGRATE);
		client_free(*client);
		*client = client_new(w, 1);
		expect(*client, "AUTH secret", "+OK\r\n");
	}
	return w;
}

/* The same with DEBUG enabled. */
static inline struct world *debug_world(struct client **c) {
	struct world *w = open_world(NULL, c);
	w->env[0].settings.debug = w->env[1].settings.debug = true;
	return w;
}

static inline void close_world(struct world *w, struct client *c) {
	client_free(c);
	world_free(w);
}

/* Makes another client of the tenant of `first`. */
static inline struct client *join(struct world *w, const struct client *first) {
	struct client *c = client_new(w, first->session.env->worker);
	expect(c, "AUTH secret", "+OK\r\n");
	return c;
}

/* Makes a client of another tenant. */
static inline struct client *stranger(struct world *w, unsigned worker) {
	struct client *c = client_new(w, worker);
	char line[32];
	for (unsigned n = 0; n < 100 && c->session.tenant == NULL; n++) {
		snprintf(line, sizeof(line), "AUTH other%u", n);
		ask(c, line);
	}
	assert_non_null(c->session.tenant);
	return c;
}

/* Returns the bytes pushed to the client since the last call. */
static inline const char *pushed(struct client *c) {
	assert_int_equal(buffer_append(&c->pushed, "", 1, SIZE_MAX), 0);
	free(c->text);
	c->text = strdup(c->pushed.data);
	assert_non_null(c->text);
	c->pushed.len = 0;
	return c->text;
}

/* Makes an open server with an operator, and returns its client. */
static inline struct world *operator_world(struct client **operator) {
	struct secret admin;
	secret_digest(SLICE("admin"), &admin);
	const struct tenants_config tenants_config = {.open = true, .admin = &admin};
	struct world *w = world_new(&tenants_config);
	*operator= client_new(w, 0);
	if (strcmp(ask(*operator, "AUTH admin"), "+OK\r\n") != 0) {
		(*operator)->session.env = &w->env[1];
		expect(*operator, "AUTH admin", "+OK\r\n");
	}
	return w;
}

/* Runs a table on a new open server. */
static inline void expect_on_new_server(const struct exchange *table, size_t count) {
	struct client *c;
	struct world *w = open_world(NULL, &c);
	expect_all(c, table, count);
	close_world(w, c);
}
#define EXPECT_ON_NEW_SERVER(table) expect_on_new_server((table), sizeof(table) / sizeof((table)[0]))

/* Returns the ticks of a duration. */
static inline uint64_t ticks_of(const struct client *c, double seconds) {
	double per_tick = clock_ticks_to_seconds(&c->session.env->clock_start, 1000000000) / 1e9;
	return (uint64_t)(seconds / per_tick);
}

/* Makes an open server with a constant rate of ticks: one tick per nanosecond over the last 100 seconds. */
static inline struct world *timed_world(const struct tenant_limits *limits, struct client **c) {
	const uint64_t span = UINT64_C(100000000000);
	struct world *w = open_world(limits, c);
	struct clock_rate start;
	clock_rate_init(&start);
	start.ticks -= span;
	start.ns -= span;
	w->env[0].clock_start = w->env[1].clock_start = start;
	world_set_time(w, w->env[0].now_ms, start.ns);
	return w;
}

/* Counts a command with this duration. */
static inline void note_command(struct client *c, const char *command, const char *argument, double seconds) {
	struct slice argv[2] = {slice_of(command), slice_of(argument)};
	struct request r = {.argv = argv, .argc = 2, .command = command_find(&command_set, argv[0])};
	tenant_stats_count_command(&c->session, &r, ticks_of(c, seconds));
}

/* Returns the bytes that the tenant is charged for its clients. */
static inline uint64_t charged_for_clients(const struct client *c) {
	return counter_get(&c->session.tenant->counters.client_bytes);
}
