#include "atomdb/session/range.h"
#include "harness.h"

static void check(int64_t length, int64_t start, int64_t end, int64_t first, int64_t last) {
	assert_true(range_resolve(length, &start, &end));
	assert_int_equal(start, first);
	assert_int_equal(end, last);
}

static bool is_empty(int64_t length, int64_t start, int64_t end) {
	return !range_resolve(length, &start, &end);
}

static void test_negative_ends_count_from_the_end(void **state) {
	(void)state;
	check(10, 0, -1, 0, 9);
	check(10, -5, -3, 5, 7);
	check(10, -10, 0, 0, 0);
}

static void test_ends_beyond_the_value_are_clamped(void **state) {
	(void)state;
	check(10, -100, 0, 0, 0);
	check(10, 8, 100, 8, 9);
	check(10, INT64_MIN, INT64_MAX, 0, 9);
}

static void test_a_range_without_a_position_is_empty(void **state) {
	(void)state;
	assert_true(is_empty(10, 5, 4));
	assert_true(is_empty(10, 3, -100));
	assert_true(is_empty(10, 10, 20));
	assert_true(is_empty(0, 0, -1));
	assert_true(is_empty(0, INT64_MIN, INT64_MAX));
}

static void test_two_negative_ends_in_the_wrong_order_are_backwards(void **state) {
	(void)state;
	assert_true(range_backwards(-3, -5));
	assert_false(range_backwards(-5, -3));
	assert_false(range_backwards(-3, -3));
	assert_false(range_backwards(3, -5));
	assert_false(range_backwards(5, 3));
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_negative_ends_count_from_the_end),
		cmocka_unit_test(test_ends_beyond_the_value_are_clamped),
		cmocka_unit_test(test_a_range_without_a_position_is_empty),
		cmocka_unit_test(test_two_negative_ends_in_the_wrong_order_are_backwards),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
