/* A connection of a worker without a thread: the test calls the functions of the worker. */
#pragma once

#include "net/connection.h"
#include "net/worker.h"
#include "server.h"

/* A worker without a thread, and its connection. */
struct lone {
	struct worker_shared shared;
	struct worker *worker;
	struct connection *connection;
	int peer;
	struct log_sink sink;
	struct log_event event; /* the last one */
	char client[64], detail[64];
};

static void keep_event(void *context, const struct log_event *event) {
	struct lone *l = context;
	l->event = *event;
	snprintf(l->client, sizeof(l->client), "%s", event->client != NULL ? event->client : "");
	snprintf(l->detail, sizeof(l->detail), "%s", event->detail != NULL ? event->detail : "");
}

static inline struct lone *lone_new(void) {
	struct settings settings = server_settings();
	struct lone *l = calloc(1, sizeof(*l));
	int ends[2];
	assert_non_null(l);
	l->sink = (struct log_sink){.report = keep_event, .context = l};
	l->shared.worker_count = 1;
	l->shared.events = &l->sink;
	atomic_store(&l->shared.clients, 1);
	assert_int_equal(worker_new(&l->worker, 0, &l->shared, &settings, NULL, 0), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
	l->peer = ends[0];
	l->connection = connection_new(l->worker, ends[1], 1);
	assert_non_null(l->connection);
	return l;
}

static inline void lone_free(struct lone *l) {
	connection_close(l->connection);
	connection_free_closed(l->worker);
	assert_int_equal(atomic_load(&l->shared.clients), 0);
	close(l->peer);
	worker_free(l->worker);
	free(l);
}
