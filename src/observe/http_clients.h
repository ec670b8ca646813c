/* Clients of the HTTP server, and the choice of the client to close.
 *
 * A client is idle until the server has read a whole request, then answered until it has read the whole response. Each
 * kind has its own places, so that idle clients cannot keep requests out, and slow readers cannot keep idle clients
 * out. If all places of a kind are taken, its oldest client is closed. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "atomdb/util/list.h"

/* Number of places of each kind. */
#define HTTP_IDLE_MAX     32
#define HTTP_ANSWERED_MAX 16
/* Most bytes of all responses that are being read; the newest response may exceed it. */
#define HTTP_ANSWERED_BYTES ((size_t)64 << 20)
/* Timeouts of a client for sending a request, and for reading the response. */
#define HTTP_IDLE_NS   (5 * (uint64_t)1000000000)
#define HTTP_ANSWER_NS (10 * (uint64_t)1000000000)

/* All clients of a kind have the same timeout, so that the order of arrival is the order of deadlines. */
struct http_queue {
	struct list clients;
	unsigned count;
	size_t bytes; /* sum of http_client.bytes */
};

struct http_clients {
	uint64_t now_ns; /* CLOCK_MONOTONIC; set by http_clients_expire() */
	unsigned open;   /* number of sockets, including those that are shut down but not closed */
	struct http_queue idle, answered;
};

struct http_client {
	struct list link;
	struct http_queue *queue; /* NULL: shut down */
	uint64_t deadline_ns;
	size_t bytes;                      /* bytes of the response */
	size_t uploaded;                   /* bytes of the request's body so far */
	int fd;                            /* not owned */
	struct MHD_Connection *connection; /* not owned */
	bool handled;                      /* http.c has read the head of the current request */
};

void http_clients_init(struct http_clients *l);
/* Adds an idle client. */
void http_clients_add(struct http_clients *l, struct http_client *c, int fd);
/* Call it when the client has sent a whole request, and has a response of `bytes` to read. */
void http_clients_answer(struct http_clients *l, struct http_client *c, size_t bytes);
/* Call it when the client has read the response. */
void http_clients_answered(struct http_clients *l, struct http_client *c);
/* Shuts down the client's socket. Bytes that were sent before still arrive. */
void http_clients_end(struct http_client *c);
/* Call it when the client's socket is closed. */
void http_clients_remove(struct http_clients *l, struct http_client *c);
/* Shuts down the sockets of clients whose time is over. */
void http_clients_expire(struct http_clients *l, uint64_t now_ns);
/* Shuts down the oldest clients of a kind that exceeds its places. Call it after all ready sockets have been read and
 * written, so that no client is closed whose request has arrived. */
void http_clients_trim(struct http_clients *l);
/* Returns the milliseconds until the next timeout of a client; -1 without clients. */
int64_t http_clients_timeout(const struct http_clients *l, uint64_t now_ns);
