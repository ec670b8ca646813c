/* The Prometheus page: one row of src/observe/metrics.def for each metric. */
#pragma once

#include <stdbool.h>

#include "atomdb/observe/sources.h"
#include "atomdb/util/buffer.h"

struct metrics;

/* Makes the state that is kept between pages, so that counters which sum several others never decrease. Returns 0 or
 * -ENOMEM. */
int metrics_new(struct metrics **out, const struct metrics_sources *sources);
void metrics_free(struct metrics *m);

enum metrics_format {
	METRICS_TEXT,        /* Prometheus's text format, version 0.0.4 */
	METRICS_OPENMETRICS, /* OpenMetrics 1.0.0: the heads of counters are without _total, and the page ends with #
				EOF */
};

/* Appends the page. Without `tenants`, it has no metrics of tenants. Returns 0 or -ENOMEM. */
int metrics_render(struct metrics *m, enum metrics_format format, bool tenants, struct buffer *out);
