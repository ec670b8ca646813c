/* The options of a command, read by a table. */
#include "atomdb/session/options.h"
#include "harness.h"

enum { A = 1 << 0, B = 1 << 1, ONE = 1 << 2, TWO = 1 << 3, LONG = 1 << 4 };

static const struct command_option table[] = {
	OPTION("a", .flag = A, .excludes = B),   OPTION("b", .flag = B, .excludes = A | B),
	OPTION("one", .flag = ONE, .values = 1), OPTION("two", .flag = TWO, .values = 2),
	OPTION("withmatchlen", .flag = LONG),
};

/* Splits `line` at spaces into a request and starts to read at its second word. */
static struct options begin(const char *line) {
	static char copy[128];
	static struct slice argv[16];
	static struct request r;
	char *rest;
	r = (struct request){.argv = argv};
	strncpy(copy, line, sizeof(copy) - 1);
	for (char *word = strtok_r(copy, " ", &rest); word != NULL; word = strtok_r(NULL, " ", &rest))
		argv[r.argc++] = slice_of(word);
	return OPTIONS_BEGIN(&r, 1, table);
}

static void test_options_are_returned_in_order_with_their_values(void **state) {
	struct options o = begin("CMD TWO x y A one z a WithMatchLen");
	(void)state;
	assert_int_equal(options_next(&o)->flag, TWO);
	assert_true(slice_equal(o.value[0], SLICE("x")) && slice_equal(o.value[1], SLICE("y")));
	assert_int_equal(options_next(&o)->flag, A);
	assert_int_equal(options_next(&o)->flag, ONE);
	assert_true(slice_equal(o.value[0], SLICE("z")));
	assert_int_equal(options_next(&o)->flag, A);
	assert_int_equal(options_next(&o)->flag, LONG);
	assert_null(options_next(&o));
	assert_int_equal(o.error, OPTIONS_OK);
	assert_int_equal(o.seen, A | ONE | TWO | LONG);
}

static void test_the_first_error_ends_the_options(void **state) {
	static const struct {
		const char *line;
		enum options_error error;
		uint32_t at, seen;
	} errors[] = {
		{"CMD", OPTIONS_OK, 1, 0},
		{"CMD a c one x", OPTIONS_UNKNOWN, 2, A},
		{"CMD withmatchle", OPTIONS_UNKNOWN, 1, 0},
		{"CMD withmatchlex", OPTIONS_UNKNOWN, 1, 0},
		{"CMD withmatchlenx", OPTIONS_UNKNOWN, 1, 0},
		{"CMD a b", OPTIONS_EXCLUDED, 2, A},
		{"CMD b a", OPTIONS_EXCLUDED, 2, B},
		{"CMD b b", OPTIONS_EXCLUDED, 2, B},
		{"CMD a one", OPTIONS_SHORT, 2, A},
		{"CMD two x", OPTIONS_SHORT, 1, 0},
		{"CMD one a", OPTIONS_OK, 3, ONE},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		struct options o = begin(errors[i].line);
		while (options_next(&o) != NULL)
			;
		assert_int_equal(o.error, errors[i].error);
		assert_int_equal(o.next, errors[i].at);
		assert_int_equal(o.seen, errors[i].seen);
	}
}

static void test_an_option_that_is_not_allowed_is_unknown(void **state) {
	struct options o = begin("CMD a one x");
	(void)state;
	o.allowed = ~(uint32_t)ONE;
	assert_int_equal(options_next(&o)->flag, A);
	assert_null(options_next(&o));
	assert_int_equal(o.error, OPTIONS_UNKNOWN);
}

static void test_a_name_with_a_nul_is_another_name(void **state) {
	(void)state;
	assert_ptr_equal(options_find(table, 5, SLICE("ONE")), &table[2]);
	assert_null(options_find(table, 5, SLICE("a\0")));
	assert_null(options_find(table, 5, SLICE("on\0")));
	assert_null(options_find(table, 5, SLICE("withmatch\0en")));
	assert_null(options_find(table, 5, SLICE("")));
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_options_are_returned_in_order_with_their_values),
		cmocka_unit_test(test_the_first_error_ends_the_options),
		cmocka_unit_test(test_an_option_that_is_not_allowed_is_unknown),
		cmocka_unit_test(test_a_name_with_a_nul_is_another_name),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
