/* The last hour, in steps of five seconds: the events within each step, and the gauges at its end.
 *
 * It has no clock: the caller passes the time and the counters. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "atomdb/session/counters.h"
#include "observe/text.h"

#define HISTORY_STEP_NS UINT64_C(5000000000)
#define HISTORY_POINTS  720

/* Counters: they only rise. */
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

/* The counters of a moment. */
struct history_counters {
	uint64_t counts[HISTORY_COUNTS]; /* since some start */
	uint64_t gauges[HISTORY_GAUGES];
	uint64_t runs[DURATION_BUCKETS]; /* of commands, by length: see counters.h */
};

struct history_point {
	uint64_t number;                 /* 1 for the first one */
	int64_t at_ms;                   /* its end: since 1970 */
	uint64_t span_ms;                /* its length */
	uint64_t counts[HISTORY_COUNTS]; /* within it */
	uint64_t gauges[HISTORY_GAUGES];
	uint64_t median_ns, p99_ns, longest_ns; /* of the commands within it; 0 without any */
};

struct history {
	uint64_t taken; /* points so far; point n is in points[(n - 1) % HISTORY_POINTS] */
	uint64_t last_ns, due_ns;
	struct history_counters last;
	struct history_point points[HISTORY_POINTS];
};

/* Begins at the monotonic time `now_ns`, when the counters are `f`. */
void history_init(struct history *h, uint64_t now_ns, const struct history_counters *f);
/* Returns whether a step is over: then call history_add. */
bool history_is_due(const struct history *h, uint64_t now_ns);
/* Ends a step; `now_ms`: milliseconds since 1970. A figure that fell is taken to have stood still. */
void history_add(struct history *h, uint64_t now_ns, int64_t now_ms, const struct history_counters *f);
/* Appends, as a JSON object, the points that are there of those after number `after`: names of columns, and a row a
 * point. */
void history_render(const struct history *h, uint64_t after, struct text *t);

/* Returns the nanoseconds that `permille` of the runs did not exceed, to the precision of their buckets; 0 without a
 * run. */
uint64_t history_quantile(const uint64_t runs[DURATION_BUCKETS], unsigned permille);
