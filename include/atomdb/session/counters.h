/* A worker's counters of each command, and the durations of its runs. */
#pragma once

#include <stdint.h>

#include "atomdb/util/counter.h"

/* A bucket has the runs whose length has the same highest bit. The worker converts ticks to units by a factor that is
 * scaled by 2^DURATION_SCALE_BITS; the remaining bits of 64 hold the length. */
#define DURATION_UNIT_NS    1024
#define DURATION_SCALE_BITS 30
#define DURATION_BUCKETS    (64 - DURATION_SCALE_BITS + 1)

/* Counters of a command on one worker, which alone writes them. Any thread may read them. */
struct command_counters {
	counter rejected; /* refused before it ran: arity, authentication, rate */
	counter failed;   /* ran and replied with an error */
	counter ticks;    /* clock_ticks of all runs */
	/* Bucket k counts runs that took less than 2^k units of DURATION_UNIT_NS, and at least half of that. */
	counter runs[DURATION_BUCKETS];
};

static inline uint64_t command_calls(const struct command_counters *f) {
	uint64_t calls = 0;
	for (unsigned i = 0; i < DURATION_BUCKETS; i++)
		calls += counter_get(&f->runs[i]);
	return calls;
}
