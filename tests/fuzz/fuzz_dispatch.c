/* Sends arbitrary bytes as a client to a store with a small quota. Every reply must be one well-formed value. The
 * counters of the tenant must be consistent and within the quota. A key of another tenant must not change.
 *
 * The first byte chooses the limits; the rest is the stream of the client. The clock advances with every command. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "atomdb/commands/table.h"
#include "atomdb/dispatch/dispatch.h"
#include "atomdb/dispatch/modules.h"
#include "atomdb/resp/reader.h"
#include "atomdb/store/shard.h"
#include "atomdb/store/shard_open.h"
#include "atomdb/store/tenant.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MAX_ENTRIES 8
#define MAX_MEMORY  65536
#define DEPTH       24

/* Bits of the first byte. */
enum limit_choice {
	LIMIT_ENTRIES = 1,
	LIMIT_MEMORY = 2,
	LIMIT_NO_EVICTION = 4,
	LIMIT_MAX_TTL = 8,
	LIMIT_DEFAULT_TTL = 16,
	LIMIT_RATE = 32
};

#define MUST(condition)                   \
	do {                              \
		if (!(condition))         \
			__builtin_trap(); \
	} while (0)

struct server {
	struct shard *shard;
	struct registry *registry;
	struct environment env;
};

struct client {
	struct session session;
	struct writer writer;
	struct buffer out;
};

static void describe(struct session *s, struct client_facts *facts) {
	(void)s;
	memset(facts, 0, sizeof(*facts));
	snprintf(facts->address, sizeof(facts->address), "127.0.0.1:1");
}

static void close_session(struct session *s) {
	s->flags |= SESSION_CLOSING;
}

/* Returns the end of the line at `p`, after its CRLF, or NULL if it has none. */
static const char *line_end(const char *p, const char *end) {
	const char *cr = memchr(p, '\r', (size_t)(end - p));
	return cr == NULL || cr + 1 == end || cr[1] != '\n' ? NULL : cr + 2;
}

/* Returns the end of the value at `p`, or NULL if it is malformed. */
static const char *value_end(const char *p, const char *end, unsigned depth) {
	if (p == end || depth == DEPTH)
		return NULL;
	char type = *p;
	const char *next = line_end(p, end);
	if (next == NULL || memchr("+-:_,#$=*%~>", type, 12) == NULL)
		return NULL;
	if (memchr("+-:_,#", type, 6) != NULL)
		return next;
	long long n = strtoll(p + 1, NULL, 10);
	if (n == -1 && (type == '$' || type == '*'))
		return next;
	if (n < 0)
		return NULL;
	if (type == '$' || type == '=') {
		if (n > end - next - 2 || next[n] != '\r' || next[n + 1] != '\n')
			return NULL;
		return next + n + 2;
	}
	for (long long i = type == '%' ? 2 * n : n; i > 0 && next != NULL; i--)
		next = value_end(next, end, depth + 1);
	return next;
}

/* Returns true if the bytes are a sequence of values. */
static bool are_values(struct slice bytes) {
	const char *p = bytes.data, *end = bytes.data + bytes.len;
	while (p != NULL && p != end)
		p = value_end(p, end, 0);
	return p == end;
}

/* A message or an invalidation. It may arrive at any time. */
static void push(struct session *s, struct slice bytes) {
	MUST(s->tenant != NULL && bytes.len != 0 && are_values(bytes));
}

static const struct session_host host = {.describe = describe, .close = close_session, .push = push};

/* Returns true if the command may have no reply or several. */
static bool replies_freely(const struct session *s, uint32_t flags_before) {
	const uint32_t mute = SESSION_REPLY_OFF | SESSION_REPLY_SKIP | SESSION_REPLY_SKIP_NEXT;
	return ((flags_before | s->flags) & mute) != 0 ||
	       (s->last != NULL &&
		(s->last->group == GROUP_PUBSUB || s->last->id == COMMAND_CLIENT || s->last->id == COMMAND_MONITOR));
}

static void check_counters(const struct tenant *t) {
	const struct tenant_counters *f = &t->counters;
	uint64_t keys = 0, expiring = 0;
	for (unsigned i = 0; i < TENANT_DATABASES; i++) {
		MUST(counter_get(&f->db_expiring[i]) <= counter_get(&f->db_keys[i]));
		keys += counter_get(&f->db_keys[i]);
		expiring += counter_get(&f->db_expiring[i]);
	}
	MUST(keys == counter_get(&f->keys));
	MUST(expiring == counter_get(&f->keys_expiring));
	MUST(t->limits.max_entries == 0 || keys <= t->limits.max_entries);
	MUST(t->limits.max_memory == 0 || counter_get(&f->bytes) <= t->limits.max_memory);
}

static enum outcome run(struct server *server, struct client *c, const struct slice *argv, uint32_t argc) {
	uint64_t ticks = clock_ticks();
	uint32_t flags = c->session.flags;
	enum outcome outcome;
	c->out.len = 0;
	for (;;) {
		struct request r = {.argv = argv, .argc = argc};
		dispatch_prepare(&c->session, &r, 1);
		outcome = dispatch_run(&c->session, &r, &ticks);
		if (outcome != OUTCOME_RETRY)
			break;
		MUST(c->out.len == 0);
		MUST(shard_work(server->shard, 64) || c->session.tenant != NULL);
	}
	MUST(outcome != OUTCOME_MIGRATE);
	if (outcome == OUTCOME_BLOCKED)
		return outcome;
	MUST(server->env.scratch.len == 0);
	MUST(!c->writer.failed);
	MUST(c->writer.protocol == c->session.protocol);
	const char *end = c->out.data + c->out.len;
	/* A line of HTTP has no reply. */
	if (outcome == OUTCOME_HTTP)
		return outcome;
	/* EXEC has one reply for each command that it runs. Some commands have several replies or none. */
	if (c->session.last != NULL && c->session.last->id == COMMAND_EXEC)
		return outcome;
	if (replies_freely(&c->session, flags))
		MUST(are_values(buffer_slice(&c->out)));
	else
		MUST(c->out.len != 0 && value_end(c->out.data, end, 0) == end);
	return outcome;
}

static void client_init(struct server *server, struct client *c, uint64_t id) {
	session_init(&c->session, &server->env, id);
	buffer_init(&c->out);
	writer_init(&c->writer, &c->out, (size_t)1 << 30);
	c->session.reply = &c->writer;
}

static void client_deinit(struct client *c) {
	session_deinit(&c->session);
	buffer_deinit(&c->out);
}

static void pass(struct server *server, int64_t ms) {
	struct environment *env = &server->env;
	env->now_ms += ms;
	env->steady_ms += ms;
	env->now_ns += (uint64_t)ms * 1000000;
	shard_set_now(server->shard, env->now_ms, env->now_ns);
}

static void server_init(struct server *server, uint8_t choice) {
	const struct tenants_config tenants_config = {
		.open = true,
		.defaults = {.max_entries = choice & LIMIT_ENTRIES ? MAX_ENTRIES : 0,
			     .max_memory = choice & LIMIT_MEMORY ? MAX_MEMORY : 0,
			     .eviction = choice & LIMIT_NO_EVICTION ? EVICTION_NONE : EVICTION_LRU,
			     .commands_per_second = choice & LIMIT_RATE ? 10 : 0},
	};
	const struct shard_options options = {.id = 0};
	memset(server, 0, sizeof(*server));
	MUST(shard_new(&server->shard, &options) == 0);
	server->env.registry = NULL;
	MUST(registry_new(&server->registry, &server->shard, 1, &tenants_config, NULL, NULL) == 0);
	server->env.registry = server->registry;
	server->env.host = &host;
	server->env.command_set = &command_set;
	server->env.modules = &dispatch_modules;
	server->env.now_ns = 1000000000;
	pass(server, INT64_C(1700000000000));
}

/* Runs the stream of the client until it ends, violates the protocol, or asks to close the connection. */
static void serve(struct server *server, struct client *c, const char *p, size_t left) {
	const struct reader_limits limits = {
		.max_args = 1000, .max_bulk = 1 << 20, .authenticated = true, .max_bytes = 1 << 20};
	struct reader reader;
	reader_init(&reader);
	while (left > 0) {
		size_t consumed = 0;
		int r = reader_read(&reader, p, left, &limits, &consumed);
		if (r != READER_COMMAND && r != READER_EMPTY)
			break;
		MUST(consumed >= 1 && consumed <= left);
		/* A paused tenant may stay paused. */
		if (r == READER_COMMAND && run(server, c, reader.argv, reader.argc) >= OUTCOME_CLOSE)
			break;
		if (c->session.tenant != NULL)
			check_counters(c->session.tenant);
		pass(server, 40);
		(void)shard_work(server->shard, 4);
		reader_reset(&reader);
		p += consumed;
		left -= consumed;
	}
	reader_deinit(&reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	static const struct slice other[] = {SLICE("AUTH"), SLICE("8f1e7c0a52c34b63a0b4c1e5d9f76021")};
	static const struct slice own[] = {SLICE("AUTH"), SLICE("one")};
	static const struct slice set[] = {SLICE("SET"), SLICE("canary"), SLICE("alive")};
	static const struct slice get[] = {SLICE("GET"), SLICE("canary")};
	struct server server;
	struct client canary, client;
	if (size == 0)
		return 0;
	server_init(&server, data[0] & (uint8_t) ~(LIMIT_MAX_TTL | LIMIT_DEFAULT_TTL));
	client_init(&server, &canary, 1);
	run(&server, &canary, other, 2);
	run(&server, &canary, set, 3);
	client_init(&server, &client, 2);
	run(&server, &client, own, 2);
	/* Only the keys of the client may expire because of the limits. */
	struct tenant_limits strict = client.session.tenant->limits;
	strict.max_ttl = data[0] & LIMIT_MAX_TTL ? 400 : 0;
	strict.default_ttl = data[0] & LIMIT_DEFAULT_TTL ? 200 : 0;
	tenant_set_limits(client.session.tenant, &strict, server.env.now_ns);

	serve(&server, &client, (const char *)data + 1, size - 1);

	pass(&server, 2000);
	run(&server, &canary, get, 2);
	MUST(canary.out.len == 11 && memcmp(canary.out.data, "$5\r\nalive\r\n", 11) == 0);
	check_counters(canary.session.tenant);
	client_deinit(&client);
	client_deinit(&canary);
	registry_free(server.registry);
	shard_free(server.shard);
	buffer_deinit(&server.env.scratch);
	return 0;
}
