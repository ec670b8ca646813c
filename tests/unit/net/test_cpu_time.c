/* CPU time of tenants. The clock is real: the tests compare figures that come from one clock. */
#include <time.h>

#include "net/cpu_time.h"
#include "server.h"

static uint64_t total(const struct tenant *t) {
	return counter_get(&t->counters.cpu_user_ns) + counter_get(&t->counters.cpu_system_ns);
}

static void spin(uint64_t ticks) {
	for (uint64_t begin = clock_ticks(); clock_ticks() - begin < ticks;)
		;
}

static void ticks_are_charged_to_the_tenant_that_was_entered(void **state) {
	struct tenant a = {0}, b = {0};
	struct cpu_time c;
	(void)state;
	cpu_time_start(&c, 2.0, 0);
	cpu_time_begin_turn(&c, clock_ticks(), 0);
	uint64_t begin = c.read;
	cpu_time_enter(&c, &a);
	spin(10000);
	cpu_time_leave(&c);
	uint64_t end = c.read;
	cpu_time_enter(&c, &b);
	cpu_time_leave(&c);
	assert_true(total(&a) >= 2 * 10000);
	/* Two nanoseconds a tick: all of it in user mode, until the rates are measured. */
	assert_int_equal(total(&a), 2 * (end - begin));
	assert_int_equal(counter_get(&a.counters.cpu_system_ns), 0);
	assert_int_equal(total(&b), 2 * (c.read - end));
}

static void ticks_without_a_tenant_are_charged_to_nobody(void **state) {
	struct tenant a = {0};
	struct cpu_time c;
	(void)state;
	cpu_time_start(&c, 1.0, 0);
	cpu_time_begin_turn(&c, clock_ticks(), 0);
	spin(10000);
	cpu_time_leave(&c);
	uint64_t begin = c.read;
	cpu_time_enter(&c, &a);
	cpu_time_leave(&c);
	assert_int_equal(total(&a), c.read - begin);
	cpu_time_leave(&c);
	assert_true(c.tenant == NULL);
	assert_true(total(&a) <= c.read - begin);
}

/* Time in which the thread sleeps within a turn is no CPU time. */
static void rates_follow_the_cpu_time_of_the_thread(void **state) {
	struct cpu_time c;
	(void)state;
	cpu_time_start(&c, 1.0, 0);
	uint64_t before = c.user_rate + c.system_rate, begin = clock_ticks();
	nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
	uint64_t ticks = clock_ticks() - begin;
	c.now_ns = 99999999;
	cpu_time_end_turn(&c, ticks);
	assert_int_equal(c.user_rate + c.system_rate, before);
	c.now_ns = 100000000;
	cpu_time_end_turn(&c, 0);
	assert_true(c.user_rate + c.system_rate < before / 2);
	assert_int_equal(c.busy, 0);
}

static void few_ticks_give_no_rate(void **state) {
	struct cpu_time c;
	(void)state;
	cpu_time_start(&c, 1.0, 0);
	uint64_t before = c.user_rate;
	c.now_ns = UINT64_C(5000000000);
	cpu_time_end_turn(&c, 1000);
	assert_int_equal(c.user_rate, before);
	assert_int_equal(c.busy, 1000);
}

static void a_measurement_within_a_turn_counts_no_tick_twice(void **state) {
	struct cpu_time c;
	struct clock_rate rate;
	(void)state;
	clock_rate_init(&rate);
	cpu_time_start(&c, 1.0, 0);
	cpu_time_begin_turn(&c, clock_ticks(), 0);
	uint64_t begin = c.turn;
	/* The thread has used 50 ms since the last measurement. */
	c.user_ns -= 50000000;
	assert_true(cpu_time_since(&c, begin, &rate) >= 50000000);
	uint64_t between = clock_ticks();
	spin(10000);
	uint64_t end = clock_ticks();
	cpu_time_end_turn(&c, end - begin);
	assert_in_range(c.busy, end - between, end - begin);
	cpu_time_begin_turn(&c, clock_ticks(), 0);
	assert_true(cpu_time_since(&c, c.turn, &rate) < 50000000);
}

/* A stop of the machine within the work for a tenant is not the tenant's time. */
static void time_in_which_the_thread_had_no_cpu_is_not_charged(void **state) {
	struct tenant a = {0}, b = {0};
	struct cpu_time c;
	(void)state;
	cpu_time_start(&c, 1.0, 0);
	cpu_time_begin_turn(&c, clock_ticks(), 0);
	uint64_t begin = c.turn;
	cpu_time_enter(&c, &b);
	cpu_time_leave(&c);
	/* The thread has used 3 ms in the piece, which seems to have taken half a minute. */
	c.turn -= UINT64_C(1) << 36;
	c.read = c.turn;
	c.user_ns -= 3000000;
	cpu_time_enter(&c, &a);
	cpu_time_leave(&c);
	assert_in_range(total(&a), 3000000, 1000000000);
	assert_true(counter_get(&a.counters.cpu_user_ns) > 0);
	/* The ticks of the piece are not measured again. */
	cpu_time_end_turn(&c, clock_ticks() - c.turn);
	assert_in_range(c.busy, 0, clock_ticks() - begin);
}

/* A stall is measured before its piece ends: the piece is charged at the measured rate. */
static void a_piece_with_a_measurement_in_it_is_charged_at_its_rate(void **state) {
	struct tenant a = {0};
	struct cpu_time c;
	struct clock_rate rate;
	(void)state;
	clock_rate_init(&rate);
	cpu_time_start(&c, 1.0, 0);
	cpu_time_begin_turn(&c, clock_ticks() - (UINT64_C(1) << 36), 0);
	c.user_ns -= 50000000;
	cpu_time_enter(&c, &a);
	(void)cpu_time_since(&c, c.turn, &rate);
	cpu_time_leave(&c);
	assert_in_range(total(&a), 40000000, 1000000000);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ticks_are_charged_to_the_tenant_that_was_entered),
		cmocka_unit_test(ticks_without_a_tenant_are_charged_to_nobody),
		cmocka_unit_test(rates_follow_the_cpu_time_of_the_thread),
		cmocka_unit_test(few_ticks_give_no_rate),
		cmocka_unit_test(a_measurement_within_a_turn_counts_no_tick_twice),
		cmocka_unit_test(time_in_which_the_thread_had_no_cpu_is_not_charged),
		cmocka_unit_test(a_piece_with_a_measurement_in_it_is_charged_at_its_rate),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
