/* What the live page shows, as JSON: how things stand, and how the last hour was. */
#pragma once

#include "atomdb/observe/health.h"
#include "atomdb/observe/metrics.h"

#define STATUS_API_TENANTS  12 /* with a row of their own: the largest */
#define STATUS_API_COMMANDS 12 /* the slowest on average */

struct status_api;

/* `sources` and `health` are not owned, and read by the calls below. Begins the history at the monotonic time `now_ns`.
 * All its memory is taken here, but for what tenants' rows need, which STATUS_API_TENANTS bounds. 0 or -ENOMEM. */
int status_api_new(struct status_api **out, const struct metrics_sources *sources, const struct health *health,
		   uint64_t now_ns);
void status_api_free(struct status_api *v);

/* To be called about once a second, with the monotonic time and milliseconds since 1970. 0, or -ENOMEM: a step of the
 * history will be longer than the others. */
int status_api_tick(struct status_api *v, uint64_t now_ns, int64_t now_ms);

/* Appends the state of the service; without `tenants`, nothing of any tenant. 0 or -ENOMEM. */
int status_api_render_status(struct status_api *v, bool tenants, struct buffer *out);
/* Appends the points of the history after the one of that number. 0 or -ENOMEM. */
int status_api_render_history(const struct status_api *v, uint64_t after, struct buffer *out);
