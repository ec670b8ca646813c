/* What the live page shows, as JSON: how things stand, and how the last hour was. */
#pragma once

#include "atomdb/observe/health.h"
#include "atomdb/observe/metrics.h"

#define VIEW_TENANTS  12 /* with a row of their own: the largest */
#define VIEW_COMMANDS 12 /* the slowest on average */

struct view;

/* `sources` and `health` are not owned, and read by the calls below. Begins the history at the monotonic time `now_ns`.
 * All its memory is taken here, but for what tenants' rows need, which VIEW_TENANTS bounds. 0 or -ENOMEM. */
int view_new(struct view **out, const struct metrics_sources *sources, const struct health *health, uint64_t now_ns);
void view_free(struct view *v);

/* To be called about once a second, with the monotonic time and milliseconds since 1970. 0, or -ENOMEM: a step of the
 * history will be longer than the others. */
int view_tick(struct view *v, uint64_t now_ns, int64_t now_ms);

/* Appends the state of the service; without `tenants`, nothing of any tenant. 0 or -ENOMEM. */
int view_render_status(struct view *v, bool tenants, struct buffer *out);
/* Appends the points of the history after the one of that number. 0 or -ENOMEM. */
int view_render_history(const struct view *v, uint64_t after, struct buffer *out);
