/* The arguments of commands that are keys. */
#include "atomdb/session/keys.h"
#include "world.h"

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
	};
	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		const struct command *c = command_find_full(&command_set, slice_of(table[i].command));
		assert_non_null(c);
		struct command_keys keys = command_keys_begin(c, table[i].argc);
		uint32_t count = command_keys_count(&keys), found = 0;
		char text[64] = "";
		for (uint32_t at; command_keys_next(&keys, &at); found++)
			snprintf(text + strlen(text), sizeof(text) - strlen(text), found == 0 ? "%u" : " %u", at);
		assert_string_equal(text, table[i].keys);
		assert_int_equal(found, count);
	}
}

static void check_bounds(const struct command *c) {
	for (uint32_t argc = 1; argc < 10; argc++) {
		struct command_keys keys = command_keys_begin(c, argc);
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
		cmocka_unit_test(test_no_command_has_a_key_beyond_its_arguments),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
