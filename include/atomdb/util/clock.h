/* Clocks. Only the outermost floors read them and pass the time to the floors below. */
#pragma once

#include <stdint.h>

/* Milliseconds since the Epoch (CLOCK_REALTIME), for deadlines of keys. */
int64_t clock_realtime_ms(void);
/* Microseconds since the Epoch (CLOCK_REALTIME), for TIME. */
int64_t clock_realtime_us(void);
#ifdef ATOMDB_TEST_HOOKS
/* Milliseconds that tests add to both clocks above: the int64_t in the file named by ATOMDB_TEST_CLOCK. */
int64_t clock_test_shift_ms(void);
#endif
/* Nanoseconds of CLOCK_MONOTONIC, for durations. */
uint64_t clock_monotonic_ns(void);

/* Reads the cheapest steady counter of the processor: the time stamp counter on x86-64, otherwise CLOCK_MONOTONIC.
 * Every command reads it. clock_ticks_to_seconds() converts it. */
static inline uint64_t clock_ticks(void) {
#if defined(__x86_64__)
	return __builtin_ia32_rdtsc();
#else
	return clock_monotonic_ns();
#endif
}

/* The values of both clocks at the start. clock_ticks_to_seconds() measures the rate of the ticks since then. */
struct clock_rate {
	uint64_t ticks;
	uint64_t ns;
};
void clock_rate_init(struct clock_rate *start);
/* Converts ticks to seconds, at the average rate since `start`. */
double clock_ticks_to_seconds(const struct clock_rate *start, uint64_t ticks);
