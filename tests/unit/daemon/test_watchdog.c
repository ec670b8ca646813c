
#include "daemon/watchdog.h"
#include "harness.h"

#define LIMIT 30

static void expect(struct watchdog_turn turn, bool ping, bool answered, bool stuck) {
	assert_int_equal(turn.ping, ping);
	assert_int_equal(turn.answered, answered);
	assert_int_equal(turn.stuck, stuck);
}

static void a_worker_that_answers_is_pinged_each_time(void **state) {
	(void)state;
	struct watchdog w = {0};
	for (uint64_t i = 0; i < 10; i++)
		expect(watchdog_look(&w, i, 1000 + i * 10, LIMIT), true, true, false);
}

static void a_worker_that_owes_an_answer_is_not_pinged_again(void **state) {
	(void)state;
	struct watchdog w = {0};
	expect(watchdog_look(&w, 7, 1000, LIMIT), true, true, false);
	expect(watchdog_look(&w, 7, 1010, LIMIT), false, false, false);
	expect(watchdog_look(&w, 7, 1029, LIMIT), false, false, false);
	expect(watchdog_look(&w, 7, 1030, LIMIT), false, false, true);
	expect(watchdog_look(&w, 7, 9000, LIMIT), false, false, true);
	/* A late answer ends the stuck state. */
	expect(watchdog_look(&w, 8, 9010, LIMIT), true, true, false);
	expect(watchdog_look(&w, 8, 9020, LIMIT), false, false, false);
}

static void a_stop_that_stands_still_is_counted_by_looks(void **state) {
	(void)state;
	struct watchdog_stop w = {0};
	assert_true(watchdog_advances(&w, 5));
	assert_true(watchdog_advances(&w, 6));
	assert_false(watchdog_advances(&w, 6));
	assert_false(watchdog_advances(&w, 6));
	assert_int_equal(w.idle, 2);
	assert_true(watchdog_advances(&w, 7));
	assert_int_equal(w.idle, 0);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_worker_that_answers_is_pinged_each_time),
		cmocka_unit_test(a_worker_that_owes_an_answer_is_not_pinged_again),
		cmocka_unit_test(a_stop_that_stands_still_is_counted_by_looks),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
