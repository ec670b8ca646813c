/* The data of the live page as JSON: the present state and the last hour. */
#pragma once

#include "atomdb/observe/health.h"
#include "atomdb/observe/metrics.h"

#define STATUS_API_TENANTS  12 /* tenants with their own row: the largest */
#define STATUS_API_COMMANDS 12 /* commands shown: the slowest on average */

struct status_api;

/* Starts the history at the monotonic time `now_ns`. The functions below read `sources` and `health`, which are not
 * owned. They allocate only rows of tenants, at most STATUS_API_TENANTS. Returns 0 or -ENOMEM. */
int status_api_new(struct status_api **out, const struct metrics_sources *sources, const struct health *health,
		   uint64_t now_ns);
void status_api_free(struct status_api *v);

/* Call it about once a second, with the monotonic time and the milliseconds since 1970. Returns 0, or -ENOMEM: then a
 * step of the history takes longer. */
int status_api_tick(struct status_api *v, uint64_t now_ns, int64_t now_ms);

/* Appends the state of the service, with `tenants` also the state of tenants. Returns 0 or -ENOMEM. */
int status_api_render_status(struct status_api *v, bool tenants, struct buffer *out);
/* Appends the points of the history after the point with that number. Returns 0 or -ENOMEM. */
int status_api_render_history(const struct status_api *v, uint64_t after, struct buffer *out);
