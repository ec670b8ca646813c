/* The arguments of commands that are keys. */
#include "atomdb/session/keys.h"
#include "world.h"

#define ARGUMENTS 10

static const struct slice plain[ARGUMENTS] = {
	SLICE("a"), SLICE("b"), SLICE("c"), SLICE("d"), SLICE("e"),
	SLICE("f"), SLICE("g"), SLICE("h"), SLICE("i"), SLICE("j"),
};

/* Expects the numbers of the arguments that are keys, and their count. */
static void expect_keys(struct command_keys keys, const char *numbers) {
	uint32_t count = command_keys_count(&keys), found = 0;
	char text[64] = "";
	for (uint32_t at; command_keys_next(&keys, &at); found++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), found == 0 ? "%u" : " %u", at);
	assert_string_equal(text, numbers);
	assert_int_equal(found, count);
}

static void test_keys_are_those_of_the_row(void **state) {
	static const struct {
		const char *command;
		uint32_t argc;
		const char *keys; /* the numbers of arguments */
	} table[] = {
		{"get", 2, "1"},       {"get", 1, ""},
		{"ping", 2, ""},       {"subscribe", 3, ""},
		{"del", 4, "1 2 3"},   {"del", 1, ""},
		{"mset", 5, "1 3"},    {"mset", 4, "1 3"},
		{"rename", 3, "1 2"},  {"rename", 2, "1"},
		{"bitop", 5, "2 3 4"}, {"lcs", 5, "1 2"},
		{"touch", 3, "1 2"},   {"object|encoding", 3, "2"},
		{"sort", 2, "1"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		const struct command *c = command_find_full(&command_set, slice_of(table[i].command));
		assert_non_null(c);
		struct command_keys keys = command_keys_begin(c, plain, table[i].argc);
		expect_keys(keys, table[i].keys);
	}
}

/* Splits a line of words. Returns their count. */
static uint32_t split(const char *line, struct slice argv[ARGUMENTS]) {
	uint32_t argc = 0;
	for (const char *p = line; *p != '\0'; argc++) {
		size_t n = strcspn(p, " ");
		assert_in_range(argc, 0, ARGUMENTS - 1);
		argv[argc] = (struct slice){p, n};
		p += n + (p[n] == ' ');
	}
	return argc;
}

static void test_the_key_behind_an_option_comes_last(void **state) {
	static const struct {
		const char *line, *keys;
	} table[] = {
		{"sort a", "1"},
		{"sort a store b", "1 3"},
		{"sort a LIMIT 0 1 STORE b DESC", "1 6"},
		{"sort a store b store c", "1 5"},
		/* A pattern, and an option without its value. */
		{"sort a by store store b", "1 5"},
		{"sort a get store", "1"},
		{"sort a store", "1"},
		/* SORT_RO has no STORE. */
		{"sort_ro a store b", "1"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct slice argv[ARGUMENTS];
		uint32_t argc = split(table[i].line, argv);
		const struct command *c = command_find(&command_set, argv[0]);
		expect_keys(command_keys_begin(c, argv, argc), table[i].keys);
	}
}

static void test_the_flags_of_a_key_follow_the_arguments(void **state) {
	const uint32_t reads = KEY_RO | KEY_ACCESS, sets = KEY_OW | KEY_UPDATE,
		       updates = KEY_RW | KEY_ACCESS | KEY_UPDATE;
	const struct {
		const char *line;
		uint32_t at, flags;
	} table[] = {
		{"get a", 1, reads},
		{"set a 1", 1, sets},
		{"set a 1 ex 10", 1, sets},
		{"set a get", 1, sets}, /* the value */
		{"set a 1 nx GET", 1, updates},
		{"bitfield a", 1, reads},
		{"bitfield a GET u8 0 overflow sat get u8 8", 1, reads},
		{"bitfield a get u8 0 set u8 0 1", 1, updates},
		{"bitfield a incrby u8 0 1", 1, updates},
		/* Arguments that the command refuses. */
		{"bitfield a get u8", 1, updates},
		{"bitfield a bogus", 1, updates},
		{"bitop and a b c", 2, sets},
		{"bitop and a b c", 4, reads},
		{"sort a store b", 1, reads},
		{"sort a store b", 3, sets},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct slice argv[ARGUMENTS];
		uint32_t argc = split(table[i].line, argv);
		const struct command *c = command_find(&command_set, argv[0]);
		assert_int_equal(command_key_flags(c, argv, argc, table[i].at), table[i].flags);
	}
}

static void test_only_a_row_with_variable_flags_has_the_hook_for_them(void **state) {
	(void)state;
	for (size_t i = 0; i < COMMAND_COUNT; i++) {
		const struct command *c = &command_set.rows[i];
		assert_int_equal((c->key_flags & KEY_VARIABLE_FLAGS) != 0, c->call_key_flags != NULL);
	}
}

static void check_bounds(const struct command *c) {
	for (uint32_t argc = 1; argc < ARGUMENTS; argc++) {
		struct command_keys keys = command_keys_begin(c, plain, argc);
		assert_true(keys.step >= 1);
		for (uint32_t at; command_keys_next(&keys, &at);)
			assert_in_range(at, 1, argc - 1);
	}
}

static void test_no_command_has_a_key_beyond_its_arguments(void **state) {
	(void)state;
	for (size_t i = 0; i < COMMAND_COUNT; i++) {
		size_t count;
		const struct command *sub = command_subcommands(&command_set, &command_set.rows[i], &count);
		check_bounds(&command_set.rows[i]);
		for (size_t k = 0; k < count; k++)
			check_bounds(&sub[k]);
	}
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keys_are_those_of_the_row),
		cmocka_unit_test(test_the_key_behind_an_option_comes_last),
		cmocka_unit_test(test_the_flags_of_a_key_follow_the_arguments),
		cmocka_unit_test(test_only_a_row_with_variable_flags_has_the_hook_for_them),
		cmocka_unit_test(test_no_command_has_a_key_beyond_its_arguments),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
