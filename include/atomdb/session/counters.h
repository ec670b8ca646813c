/* A worker's counters of each command, and the durations of its runs. */
#pragma once

#include <stdint.h>

#include "atomdb/util/counter.h"

/* A run is counted by the highest bit of its length. It takes a multiplication to get from ticks to units: a worker
 * keeps the factor, scaled by 2^DURATION_SCALE_BITS, and the product, 64 bits, leaves so many for the length. */
#define DURATION_UNIT_NS    1024
#define DURATION_SCALE_BITS 30
#define DURATION_BUCKETS    (64 - DURATION_SCALE_BITS + 1)

/* Counters of a command on one worker: written by it, read by anybody. */
struct command_counters {
	counter rejected; /* refused before it ran: arity, authentication, rate */
	counter failed;   /* ran and answered an error */
	counter ticks;    /* clock_ticks spent */
	/* Bucket k counts the runs that took less than 2^k units of DURATION_UNIT_NS, and not less than half of that.
	 */
	counter runs[DURATION_BUCKETS];
};

static inline uint64_t command_calls(const struct command_counters *f) {
	uint64_t calls = 0;
	for (unsigned i = 0; i < DURATION_BUCKETS; i++)
		calls += counter_get(&f->runs[i]);
	return calls;
}
