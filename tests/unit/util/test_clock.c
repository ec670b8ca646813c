#include <stdlib.h>
#include <time.h>

#include "atomdb/util/clock.h"
#include "harness.h"

static void realtime_units_agree(void **state) {
	(void)state;
	int64_t s = (int64_t)time(NULL);
	int64_t ms = clock_realtime_ms();
	int64_t us = clock_realtime_us();
	assert_true(ms / 1000 >= s && ms / 1000 <= s + 2);
	assert_true(us / 1000 >= ms && us / 1000 <= ms + 2000);
}

static void monotonic_and_ticks_never_go_back(void **state) {
	(void)state;
	uint64_t ns = clock_monotonic_ns(), ticks = clock_ticks();
	for (int i = 0; i < 10000; i++) {
		uint64_t ns_now = clock_monotonic_ns(), ticks_now = clock_ticks();
		assert_true(ns_now >= ns && ticks_now >= ticks);
		ns = ns_now;
		ticks = ticks_now;
	}
}

static void ticks_become_seconds(void **state) {
	struct clock_rate start;
	(void)state;
	clock_rate_init(&start);
	assert_true(clock_ticks_to_seconds(&start, 0) == 0.0);
	uint64_t ns = clock_monotonic_ns(), ticks = clock_ticks();
	struct timespec pause = {.tv_nsec = 50000000};
	nanosleep(&pause, NULL);
	uint64_t ticks_gone = clock_ticks() - ticks;
	double seconds = (double)(clock_monotonic_ns() - ns) / 1e9;
	double got = clock_ticks_to_seconds(&start, ticks_gone);
	assert_true(seconds >= 0.05);
	assert_true(got > seconds * 0.8 && got < seconds * 1.2);
	assert_true(clock_ticks_to_seconds(&start, ticks_gone * 2) > got * 1.9);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(realtime_units_agree),
		cmocka_unit_test(monotonic_and_ticks_never_go_back),
		cmocka_unit_test(ticks_become_seconds),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
