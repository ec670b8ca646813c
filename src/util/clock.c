#include "atomdb/util/clock.h"

#include <time.h>

int64_t clock_realtime_us(void) {
	struct timespec ts;
	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

int64_t clock_realtime_ms(void) {
	struct timespec ts;
	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

uint64_t clock_monotonic_ns(void) {
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

void clock_rate_init(struct clock_rate *start) {
	start->ticks = clock_ticks();
	start->ns = clock_monotonic_ns();
}

double clock_ticks_to_seconds(const struct clock_rate *start, uint64_t ticks) {
	uint64_t ticks_since = clock_ticks() - start->ticks;
	uint64_t ns_since = clock_monotonic_ns() - start->ns;
	/* Right after the start there is no rate yet: take a tick for a nanosecond. */
	if (ticks_since == 0 || ns_since == 0)
		return (double)ticks / 1e9;
	return (double)ticks * ((double)ns_since / (double)ticks_since) / 1e9;
}
