/* Stalls. The test sets the CPU time that the thread seems to have used. */
#include <sys/resource.h>

#include "lone.h"
#include "net/stall.h"

#define MS UINT64_C(1000000)

static uint64_t thread_ns(void) {
	struct rusage usage;
	assert_int_equal(getrusage(RUSAGE_THREAD, &usage), 0);
	return (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000000 +
	       (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1000;
}

/* Pretends that the thread has used so much CPU time since the last measurement, which was at the begin of the turn.
 * Returns a reading of clock_ticks() which is `ticks` ago. The turn began then. */
static uint64_t pretend(struct worker *w, uint64_t ticks, uint64_t used_ms) {
	uint64_t begin = clock_ticks() - ticks;
	w->stall_ticks = 0;
	w->cpu = (struct cpu_time){.turn = begin, .user_ns = thread_ns() - used_ms * MS};
	return begin;
}

static void cpu_time_without_a_check_point_is_a_stall(void **state) {
	struct lone *l = lone_new();
	(void)state;
	uint64_t begin = pretend(l->worker, 2 * STALL_TICKS, 150);
	assert_true(stall_count(l->worker, begin) >= 150);
	assert_int_equal(counter_get(&worker_counters(l->worker)->stalls), 1);
	lone_free(l);
}

static void time_in_which_the_thread_had_no_cpu_is_no_stall(void **state) {
	struct lone *l = lone_new();
	(void)state;
	uint64_t begin = pretend(l->worker, 1000 * STALL_TICKS, 20);
	assert_int_equal(stall_count(l->worker, begin), 0);
	assert_int_equal(counter_get(&worker_counters(l->worker)->stalls), 0);
	lone_free(l);
}

static void a_short_time_is_not_measured(void **state) {
	struct lone *l = lone_new();
	(void)state;
	(void)pretend(l->worker, 0, 150);
	assert_int_equal(stall_count(l->worker, clock_ticks()), 0);
	lone_free(l);
}

static void work_before_the_command_does_not_count(void **state) {
	struct lone *l = lone_new();
	(void)state;
	uint64_t begin = pretend(l->worker, 2 * STALL_TICKS, 150);
	/* The other turns since the measurement took at least 100 ms. */
	double seconds = clock_ticks_to_seconds(&l->worker->env.clock_start, UINT64_C(1) << 32);
	l->worker->cpu.busy = (uint64_t)(0.1 / seconds * (double)(UINT64_C(1) << 32));
	assert_int_equal(stall_count(l->worker, begin), 0);
	lone_free(l);
}

static void no_time_counts_twice(void **state) {
	struct lone *l = lone_new();
	(void)state;
	uint64_t begin = pretend(l->worker, 2 * STALL_TICKS, 150);
	assert_true(stall_count(l->worker, begin) > 0);
	assert_int_equal(stall_count(l->worker, begin), 0);
	assert_int_equal(counter_get(&worker_counters(l->worker)->stalls), 1);
	lone_free(l);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cpu_time_without_a_check_point_is_a_stall),
		cmocka_unit_test(time_in_which_the_thread_had_no_cpu_is_no_stall),
		cmocka_unit_test(a_short_time_is_not_measured),
		cmocka_unit_test(work_before_the_command_does_not_count),
		cmocka_unit_test(no_time_counts_twice),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
