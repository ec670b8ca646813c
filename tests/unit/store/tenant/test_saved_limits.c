#include "harness.h"
#include "store/tenant/saved_limits.h"

static void assert_same(const struct tenant_limits *a, const struct tenant_limits *b) {
	assert_int_equal(a->max_entries, b->max_entries);
	assert_int_equal(a->max_memory, b->max_memory);
	assert_int_equal(a->eviction, b->eviction);
	assert_memory_equal(a->sources, b->sources, sizeof a->sources);
}

static void test_limits_are_read_as_they_were_written(void **state) {
	const struct tenant_limits cases[] = {
		{0},
		{.max_entries = 1000, .max_memory = 64u << 20, .sources = {LIMIT_IN_TENANT, LIMIT_IN_DEFAULTS}},
		{.max_entries = 1, .eviction = EVICTION_NONE, .sources = {0, LIMIT_IN_TENANT, LIMIT_IN_DEFAULTS}},
		{.max_memory = UINT64_MAX >> 2, .sources = {LIMIT_IN_DEFAULTS, 0, LIMIT_IN_TENANT}},
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		uint64_t saved[KEY_LIMITS] = {7, 7, 7};
		struct tenant_limits read = {.max_entries = 9, .eviction = EVICTION_NONE};
		saved_limits_write(saved, &cases[i]);
		saved_limits_read(saved, &read);
		assert_same(&read, &cases[i]);
	}
}

static void test_zeros_read_as_no_limit_that_is_built_in(void **state) {
	const uint64_t none[KEY_LIMITS] = {0};
	struct tenant_limits read = {
		.max_entries = 9, .max_memory = 9, .eviction = EVICTION_NONE, .sources = {2, 2, 2}};
	(void)state;
	saved_limits_read(none, &read);
	assert_same(&read, &(struct tenant_limits){0});
}

static void test_a_limit_that_is_too_large_for_its_word_stays_large(void **state) {
	uint64_t saved[KEY_LIMITS];
	struct tenant_limits read = {0};
	(void)state;
	saved_limits_write(saved, &(struct tenant_limits){.max_memory = UINT64_MAX, .sources = {0, 1}});
	saved_limits_read(saved, &read);
	assert_int_equal(read.max_memory, UINT64_MAX >> 2);
	assert_int_equal(read.sources[KEY_LIMIT_MEMORY], LIMIT_IN_DEFAULTS);
}

static void test_damaged_words_read_as_limits(void **state) {
	const uint64_t damaged[KEY_LIMITS] = {UINT64_MAX, 3, UINT64_MAX - 1};
	struct tenant_limits read = {0};
	(void)state;
	saved_limits_read(damaged, &read);
	for (unsigned i = 0; i < KEY_LIMITS; i++)
		assert_int_equal(read.sources[i], LIMIT_IN_TENANT);
	assert_int_equal(read.eviction, EVICTION_NONE);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_limits_are_read_as_they_were_written),
		cmocka_unit_test(test_zeros_read_as_no_limit_that_is_built_in),
		cmocka_unit_test(test_a_limit_that_is_too_large_for_its_word_stays_large),
		cmocka_unit_test(test_damaged_words_read_as_limits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
