/* The HTTP server: the live page at /, its data under /api, /metrics and /health. It uses libmicrohttpd without
 * threads.
 *
 * The caller's loop drives it: it polls http_fd for input, and calls http_run if that is readable or http_timeout is
 * over. `now_ns` is CLOCK_MONOTONIC. There is one object for each listening socket. */
#pragma once

#include <stdint.h>

#include "atomdb/observe/http_content.h"

/* Maximum number of open sockets of one object. */
#define HTTP_OPEN_MAX 64

struct http;

/* Serves on `listen_fd`, a listening stream socket that the caller owns, and makes it non-blocking. `content` is not
 * owned. Returns 0, -ENOMEM, -errno of fcntl or epoll, or -EIO. */
int http_new(struct http **out, int listen_fd, const struct http_content *content);
/* Closes the connections. NULL is allowed. */
void http_free(struct http *h);
/* Returns an epoll fd, owned by `h`. */
int http_fd(const struct http *h);
/* Returns the milliseconds until http_run must be called without input, or -1. Call it after each http_run. */
int64_t http_timeout(const struct http *h, uint64_t now_ns);
/* Accepts connections, reads requests and sends responses, without blocking. */
void http_run(struct http *h, uint64_t now_ns);
