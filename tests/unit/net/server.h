/* A server for the tests of this floor, with two workers, a registry and a listening socket on loopback; and a client
 * whose reads have a timeout of some seconds. */
#pragma once

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "atomdb/commands/table.h"
#include "atomdb/net/accept.h"
#include "atomdb/net/fanout.h"
#include "atomdb/net/messages.h"
#include "atomdb/net/worker.h"
#include "atomdb/store/registry_walk.h"
#include "atomdb/store/shard.h"
#include "atomdb/store/shard_open.h"
#include "atomdb/store/tenant.h"
#include "harness.h"

#define WORKERS    2
#define PATIENCE_S 60

struct server {
	struct worker_shared shared;
	struct worker *workers[WORKERS];
	struct shard *shards[WORKERS];
	struct listener *listeners[2]; /* TCP, and a Unix socket */
	struct log_sink sink;
	_Atomic unsigned events[LOG_EVENT_COUNT];
	bool running;
};

static void server_report(void *context, const struct log_event *event) {
	struct server *s = context;
	atomic_fetch_add(&s->events[event->id], 1);
}

static struct worker *server_owner(struct server *s, const struct tenant *t) {
	return s->workers[shard_worker(t->shard)];
}

static void server_limits_changed(void *context, struct tenant *t, const struct tenant_limits *limits) {
	assert_int_equal(worker_post_limits(server_owner(context, t), t, limits), 0);
}

static void server_opened_limits_changed(void *context, struct tenant *t, const struct tenant_limits *limits) {
	assert_int_equal(worker_post_opened_limits(server_owner(context, t), t, limits), 0);
}

static void server_defaults_changed(void *context, const struct tenant_limits *limits) {
	struct server *s = context;
	for (unsigned i = 0; i < WORKERS; i++)
		assert_int_equal(worker_post_defaults(s->workers[i], limits), 0);
}

static void server_removed(void *context, struct tenant *t) {
	assert_int_equal(worker_post_removal(server_owner(context, t), t), 0);
}

static inline struct settings server_settings(void) {
	return (struct settings){.query_buffer = UINT64_C(1) << 30, .output_buffer = UINT64_C(256) << 20};
}

static inline struct tenants_config server_open_tenants(void) {
	return (struct tenants_config){.open = true};
}

static inline struct server *server_start(const struct settings *settings,
					  const struct tenants_config *tenants_config) {
	struct server *s = calloc(1, sizeof(*s));
	const struct listener_access access = {.mode = 0600, .group = LISTENER_OWN_GROUP};
	assert_non_null(s);
	s->sink = (struct log_sink){.report = server_report, .context = s};
	char address[64];
	snprintf(address, sizeof(address), "unix:/tmp/atomdb-test-%d.sock", (int)getpid());
	assert_int_equal(listener_open(&s->listeners[0], "127.0.0.1:0", &access), 0);
	assert_int_equal(listener_open(&s->listeners[1], address, &access), 0);
	s->shared = (struct worker_shared){
		.workers = s->workers,
		.worker_count = WORKERS,
		.command_set = &command_set,
		.events = &s->sink,
		.run_id = "0123456789012345678901234567890123456789",
		.config_file = "",
	};
	clock_rate_init(&s->shared.clock_start);
	for (unsigned i = 0; i < WORKERS; i++) {
		assert_int_equal(worker_new(&s->workers[i], i, &s->shared, settings, s->listeners, 2), 0);
		assert_int_equal(shard_new(&s->shards[i], &(struct shard_options){.id = i, .worker = i}), 0);
		assert_int_equal(worker_add_shard(s->workers[i], s->shards[i]), 0);
	}
	struct registry_hooks hooks = {
		.limits_changed = server_limits_changed,
		.opened_limits_changed = server_opened_limits_changed,
		.defaults_changed = server_defaults_changed,
		.removed = server_removed,
		.context = s,
	};
	assert_int_equal(registry_new(&s->shared.registry, s->shards, WORKERS, tenants_config, &hooks, &s->sink), 0);
	for (unsigned i = 0; i < WORKERS; i++)
		assert_int_equal(worker_start(s->workers[i]), 0);
	s->running = true;
	return s;
}

static inline void server_stop(struct server *s, unsigned timeout_ms) {
	for (unsigned i = 0; i < WORKERS; i++)
		worker_stop(s->workers[i], timeout_ms);
	for (unsigned i = 0; i < WORKERS; i++)
		worker_join(s->workers[i]);
	s->running = false;
}

static inline void server_free(struct server *s) {
	if (s->running)
		server_stop(s, 0);
	for (unsigned i = 0; i < WORKERS; i++)
		assert_int_equal(counter_get(&worker_counters(s->workers[i])->clients), 0);
	registry_free(s->shared.registry);
	for (unsigned i = 0; i < WORKERS; i++)
		worker_free(s->workers[i]);
	assert_int_equal(atomic_load(&s->shared.clients), 0);
	listener_close(s->listeners[0]);
	listener_close(s->listeners[1]);
	free(s);
}

#define server_sum(s, counter_now)                                     \
	(counter_get(&worker_counters((s)->workers[0])->counter_now) + \
	 counter_get(&worker_counters((s)->workers[1])->counter_now))

static inline void pass_ms(long ms) {
	nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

/* Waits until `condition` holds. Fails on a timeout. */
#define wait_for(condition)                                         \
	do {                                                        \
		int steps_ = 0;                                     \
		while (!(condition) && steps_++ < PATIENCE_S * 200) \
			pass_ms(5);                                 \
		assert_true(condition);                             \
	} while (0)

/* --- clients ---------------------------------------------------------------------------------------------------- */

static inline int client_socket(void) {
	struct timeval patience = {.tv_sec = PATIENCE_S};
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	assert_true(fd >= 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	return fd;
}

static inline void client_connect(const struct server *s, int fd) {
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(listener_port(s->listeners[0]))};
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
}

static inline int client_open(const struct server *s) {
	int fd = client_socket();
	client_connect(s, fd);
	return fd;
}

static inline int client_open_unix(const struct server *s) {
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	snprintf(to.sun_path, sizeof(to.sun_path), "%s", strchr(listener_address(s->listeners[1]), ':') + 1);
	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	return fd;
}

static inline void client_send_bytes(int fd, const char *bytes, size_t len) {
	while (len > 0) {
		ssize_t n = send(fd, bytes, len, MSG_NOSIGNAL);
		assert_true(n > 0);
		bytes += n;
		len -= (size_t)n;
	}
}

static inline void client_send(int fd, const char *text) {
	client_send_bytes(fd, text, strlen(text));
}

static inline void client_read(int fd, char *bytes, size_t len) {
	while (len > 0) {
		ssize_t n = recv(fd, bytes, len, 0);
		assert_true(n > 0);
		bytes += n;
		len -= (size_t)n;
	}
}

/* Expects exactly `text` as the next bytes. */
static inline void client_expect(int fd, const char *text) {
	char got[512];
	size_t len = strlen(text);
	assert_true(len < sizeof(got));
	client_read(fd, got, len);
	got[len] = '\0';
	assert_string_equal(got, text);
}

/* Expects the end of the connection without further bytes. A reset counts: the server had unread bytes. */
static inline void client_expect_end(int fd) {
	char byte;
	ssize_t n = recv(fd, &byte, 1, 0);
	assert_true(n == 0 || (n < 0 && errno == ECONNRESET));
	close(fd);
}

static inline int client_auth(const struct server *s, const char *secret) {
	char text[128];
	int fd = client_open(s);
	snprintf(text, sizeof(text), "AUTH %s\r\n", secret);
	client_send(fd, text);
	client_expect(fd, "+OK\r\n");
	return fd;
}

/* Sends a SET of `size` bytes, all `fill`. */
static inline void client_set(int fd, const char *key, char fill, size_t size) {
	char head[128];
	char *value = malloc(size + 2);
	assert_non_null(value);
	memset(value, fill, size);
	memcpy(value + size, "\r\n", 2);
	snprintf(head, sizeof(head), "*3\r\n$3\r\nSET\r\n$%zu\r\n%s\r\n$%zu\r\n", strlen(key), key, size);
	client_send(fd, head);
	client_send_bytes(fd, value, size + 2);
	free(value);
	client_expect(fd, "+OK\r\n");
}

/* Expects a bulk string of `size` bytes, all `fill`. */
static inline void client_expect_fill(int fd, char fill, size_t size) {
	char head[64];
	char *value = malloc(size + 2);
	assert_non_null(value);
	snprintf(head, sizeof(head), "$%zu\r\n", size);
	client_expect(fd, head);
	client_read(fd, value, size + 2);
	for (size_t i = 0; i < size; i++) {
		if (value[i] != fill)
			fail_msg("byte %zu of the value is wrong", i);
	}
	assert_memory_equal(value + size, "\r\n", 2);
	free(value);
}

/* --- counters of the tenants ------------------------------------------------------------------------------------- */

struct tenant_sum {
	uint64_t keys, bytes, clients;
};

static void tenant_add(void *context, const struct tenant *t) {
	struct tenant_sum *sum = context;
	sum->keys += counter_get(&t->counters.keys);
	sum->bytes += counter_get(&t->counters.bytes);
	sum->clients += counter_get(&t->counters.clients);
}

static inline struct tenant_sum server_tenants(struct server *s) {
	struct tenant_sum sum = {0};
	registry_each(s->shared.registry, tenant_add, &sum);
	return sum;
}
