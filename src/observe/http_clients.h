/* The clients of the HTTP side, and the choice of the client that must go.
 *
 * A client is idle until the server has read a whole request, and is answered until it has read the whole response.
 * The two kinds have places of their own: idle clients cannot keep a request out, and slow readers cannot keep the
 * clients out that are about to send one. Without a free place the client of that kind that came first goes. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "atomdb/util/list.h"

/* Places of each kind. */
#define HTTP_IDLE_MAX     32
#define HTTP_ANSWERED_MAX 16
/* Bytes of all responses that are being read; the newest one may be larger. */
#define HTTP_ANSWERED_BYTES ((size_t)64 << 20)
/* Time for a client to send a request, and to read the response. */
#define HTTP_IDLE_NS   (5 * (uint64_t)1000000000)
#define HTTP_ANSWER_NS (10 * (uint64_t)1000000000)

/* All clients of one kind wait equally long, so the order of arrival is the order of deadlines. */
struct http_queue {
	struct list clients;
	unsigned count;
	size_t bytes; /* sum of http_client.bytes */
};

struct http_clients {
	uint64_t now_ns; /* CLOCK_MONOTONIC; set by http_clients_expire() */
	unsigned open;   /* sockets, with those that were shut down and are not closed yet */
	struct http_queue idle, answered;
};

struct http_client {
	struct list link;
	struct http_queue *queue; /* NULL: shut down */
	uint64_t deadline_ns;
	size_t bytes;                      /* of the response */
	size_t uploaded;                   /* bytes of the request's body so far */
	int fd;                            /* not owned */
	struct MHD_Connection *connection; /* not owned */
	bool handled;                      /* http.c has read the head of the last request */
};

void http_clients_init(struct http_clients *l);
/* Adds an idle client. */
void http_clients_add(struct http_clients *l, struct http_client *c, int fd);
/* The client sent a whole request, and has a response of `bytes` to read. */
void http_clients_answer(struct http_clients *l, struct http_client *c, size_t bytes);
/* The client read the response. */
void http_clients_answered(struct http_clients *l, struct http_client *c);
/* Shuts down the client's socket. Bytes that were sent before still arrive. */
void http_clients_end(struct http_client *c);
/* The client's socket is closed. */
void http_clients_remove(struct http_clients *l, struct http_client *c);
/* Shuts down the sockets of clients whose time is over. */
void http_clients_expire(struct http_clients *l, uint64_t now_ns);
/* Shuts down the oldest clients of a kind that has more clients than places. Call it after all sockets that were ready
 * have been read and written, so that no client goes whose request has arrived. */
void http_clients_trim(struct http_clients *l);
/* Milliseconds until a client's time is over; -1 without clients. */
int64_t http_clients_timeout(const struct http_clients *l, uint64_t now_ns);
