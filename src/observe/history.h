/* The history of the last hour, in steps of five seconds: the increase of counters in each step, and the gauges at its
 * end.
 *
 * It has no clock: the caller passes the time and the counters. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "atomdb/session/counters.h"
#include "observe/text.h"

#define HISTORY_STEP_NS UINT64_C(5000000000)
#define HISTORY_POINTS  720

/* Counters: they never decrease. */
enum history_count {
	HISTORY_COMMANDS,
	HISTORY_HITS,
	HISTORY_MISSES,
	HISTORY_EVICTIONS,
	HISTORY_EXPIRATIONS,
	HISTORY_INPUT_BYTES,
	HISTORY_OUTPUT_BYTES,
	HISTORY_COUNTS
};

/* Gauges. */
enum history_gauge {
	HISTORY_KEYS,
	HISTORY_USED_BYTES,
	HISTORY_RESIDENT_BYTES,
	HISTORY_CLIENTS,
	HISTORY_TENANTS,
	HISTORY_GAUGES
};

/* All counters at one moment. */
struct history_counters {
	uint64_t counts[HISTORY_COUNTS]; /* counted since any start */
	uint64_t gauges[HISTORY_GAUGES];
	uint64_t runs[DURATION_BUCKETS]; /* runs of commands by duration: see counters.h */
};

struct history_point {
	uint64_t number;                 /* number of the point, from 1 */
	int64_t at_ms;                   /* end of the step: milliseconds since 1970 */
	uint64_t span_ms;                /* length of the step */
	uint64_t counts[HISTORY_COUNTS]; /* increase within the step */
	uint64_t gauges[HISTORY_GAUGES];
	uint64_t median_ns, p99_ns, longest_ns; /* percentiles of the durations of its commands; 0 without any */
};

struct history {
	uint64_t taken; /* number of points so far; point n is in points[(n - 1) % HISTORY_POINTS] */
	uint64_t last_ns, due_ns;
	struct history_counters last;
	struct history_point points[HISTORY_POINTS];
};

/* Starts at the monotonic time `now_ns` with the counters `f`. */
void history_init(struct history *h, uint64_t now_ns, const struct history_counters *f);
/* Returns whether a step is complete: then call history_add. */
bool history_is_due(const struct history *h, uint64_t now_ns);
/* Ends a step; `now_ms`: milliseconds since 1970. A counter that decreased counts as unchanged. */
void history_add(struct history *h, uint64_t now_ns, int64_t now_ms, const struct history_counters *f);
/* Appends, as a JSON object, the available points after number `after`: the names of columns, and a row for each point.
 */
void history_render(const struct history *h, uint64_t after, struct text *t);

/* Returns the nanoseconds that `permille` of the runs did not exceed, to the precision of the buckets; 0 without runs.
 */
uint64_t history_quantile(const uint64_t runs[DURATION_BUCKETS], unsigned permille);
