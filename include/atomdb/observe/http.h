/* The HTTP side, on libmicrohttpd without threads of its own: /metrics, /health and a short page at /.
 *
 * Driven by the caller's loop: poll http_fd for input and call http_run when it is readable or http_timeout is over. */
#pragma once

#include <stdint.h>

#include "atomdb/observe/health.h"
#include "atomdb/observe/metrics.h"

struct http;

/* Serves on `listen_fd`, a listening stream socket that stays the caller's. `health` and `metrics` are not owned, and
 * read while http_run runs. 0, -ENOMEM or -EIO. */
int http_new(struct http **out, int listen_fd, const struct health *health, const struct metrics_sources *metrics);
void http_free(struct http *h);
int http_fd(const struct http *h);
/* Milliseconds until http_run must be called even without input; -1 for never. */
int64_t http_timeout(struct http *h);
void http_run(struct http *h);
