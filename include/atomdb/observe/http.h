/* The HTTP side, on libmicrohttpd without threads of its own: the live page
 * at / and what it shows under /api, /metrics, /health.
 *
 * Driven by the caller's loop: poll http_fd for input and call http_run when it is readable or http_timeout is over.
 * `now_ns` is CLOCK_MONOTONIC.
 * One object a listening socket. */
#pragma once

#include <stdint.h>

#include "atomdb/observe/health.h"
#include "atomdb/observe/hosts.h"
#include "atomdb/observe/http_auth.h"
#include "atomdb/observe/metrics.h"
#include "atomdb/observe/page.h"
#include "atomdb/observe/status_api.h"

/* What is shown, and to whom. Not owned; used while http_run runs. */
struct http_content {
	const struct health *health;
	struct metrics *metrics;
	struct http_auth *http_auth;
	const struct hosts *hosts;
	struct status_api *status_api;
	const struct page *page;
};

/* Sockets that one object has open at most. */
#define HTTP_OPEN_MAX 64

struct http;

/* Serves on `listen_fd`, a listening stream socket that stays the caller's and becomes non-blocking. `content` is not
 * owned. 0, -ENOMEM, -errno of fcntl or epoll, or -EIO. */
int http_new(struct http **out, int listen_fd, const struct http_content *content);
/* Closes the connections; NULL is fine. */
void http_free(struct http *h);
/* An epoll fd, owned by `h`. */
int http_fd(const struct http *h);
/* Milliseconds until http_run must be called even without input; -1 for never. Ask again after each http_run. */
int64_t http_timeout(const struct http *h, uint64_t now_ns);
/* Accepts, reads, answers and closes what can be without waiting. */
void http_run(struct http *h, uint64_t now_ns);
