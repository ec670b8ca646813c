/* The clocks. Only the outermost floors read them; the floors below are told what time it is. */
#pragma once

#include <stdint.h>

/* Milliseconds since 1970 (CLOCK_REALTIME): deadlines of keys. */
int64_t clock_realtime_ms(void);
/* Microseconds since 1970 (CLOCK_REALTIME): TIME. */
int64_t clock_realtime_us(void);
#ifdef ATOMDB_TEST_HOOKS
/* Milliseconds by which tests set the two above ahead: the int64_t in the file that ATOMDB_TEST_CLOCK names. */
int64_t clock_test_shift_ms(void);
#endif
/* Nanoseconds of CLOCK_MONOTONIC: durations. */
uint64_t clock_monotonic_ns(void);

/* Ticks of the cheapest steady counter that the processor has (the time stamp counter on x86-64, else
 * CLOCK_MONOTONIC): one a command, so it must cost next to nothing. Convert with clock_ticks_to_seconds. */
static inline uint64_t clock_ticks(void) {
#if defined(__x86_64__)
	return __builtin_ia32_rdtsc();
#else
	return clock_monotonic_ns();
#endif
}

/* A pair of simultaneous readings, taken once at start; the rate of ticks follows from the time since. */
struct clock_rate {
	uint64_t ticks;
	uint64_t ns;
};
void clock_rate_init(struct clock_rate *start);
/* Seconds that `ticks` ticks last, by the rate seen between `start` and now. */
double clock_ticks_to_seconds(const struct clock_rate *start, uint64_t ticks);
