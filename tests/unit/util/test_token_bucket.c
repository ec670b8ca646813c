#include "atomdb/util/token_bucket.h"
#include "harness.h"

#define SECOND UINT64_C(1000000000)

static uint64_t take_all(struct token_bucket *b, uint64_t now) {
	uint64_t n = 0;
	while (n < 100000 && token_bucket_take(b, now))
		n++;
	return n;
}

static void a_burst_is_one_second_and_comes_back(void **state) {
	struct token_bucket b;
	(void)state;
	token_bucket_init(&b, 10, 5 * SECOND);
	assert_int_equal(take_all(&b, 5 * SECOND), 10);
	assert_false(token_bucket_take(&b, 5 * SECOND + SECOND / 10 - 1));
	assert_true(token_bucket_take(&b, 5 * SECOND + SECOND / 10));
	assert_int_equal(take_all(&b, 5 * SECOND + SECOND / 2), 4);
	assert_int_equal(take_all(&b, 500 * SECOND), 10);
}

static void fractions_are_not_lost(void **state) {
	struct token_bucket b;
	uint64_t taken = 0;
	(void)state;
	token_bucket_init(&b, 3, 0);
	take_all(&b, 0);
	for (uint64_t now = 0; now <= 10 * SECOND; now += 999)
		taken += token_bucket_take(&b, now);
	assert_true(taken >= 29 && taken <= 30);
}

static void zero_means_no_limit(void **state) {
	struct token_bucket b;
	(void)state;
	token_bucket_init(&b, 0, 0);
	assert_int_equal(take_all(&b, 0), 100000);
	token_bucket_set_rate(&b, 5, SECOND);
	assert_int_equal(take_all(&b, SECOND), 5);
	token_bucket_set_rate(&b, 0, SECOND);
	assert_int_equal(take_all(&b, SECOND), 100000);
}

static void a_lower_rate_discards_tokens(void **state) {
	struct token_bucket b;
	(void)state;
	token_bucket_init(&b, 100, 0);
	token_bucket_set_rate(&b, 7, 0);
	assert_int_equal(take_all(&b, 0), 7);
	token_bucket_set_rate(&b, 100, SECOND / 7 * 2 + 2);
	assert_int_equal(take_all(&b, SECOND / 7 * 2 + 2), 2);
}

static void a_clock_that_steps_back_or_a_huge_rate_does_no_harm(void **state) {
	struct token_bucket b;
	(void)state;
	token_bucket_init(&b, 4, 9 * SECOND);
	assert_int_equal(take_all(&b, 8 * SECOND), 4);
	assert_int_equal(take_all(&b, 0), 0);
	assert_int_equal(take_all(&b, 9 * SECOND + SECOND / 4), 1);
	token_bucket_init(&b, UINT64_MAX, 0);
	assert_int_equal(take_all(&b, 0), 100000);
	assert_int_equal(take_all(&b, SECOND - 1), 100000);
	assert_int_equal(take_all(&b, UINT64_MAX), 100000);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_burst_is_one_second_and_comes_back),
		cmocka_unit_test(fractions_are_not_lost),
		cmocka_unit_test(zero_means_no_limit),
		cmocka_unit_test(a_lower_rate_discards_tokens),
		cmocka_unit_test(a_clock_that_steps_back_or_a_huge_rate_does_no_harm),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
