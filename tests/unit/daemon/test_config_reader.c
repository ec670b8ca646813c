/* The state and the syntax that the parts of the parser share. */
#include <stdio.h>
#include <string.h>

#include "atomdb/daemon/config_fields.h"
#include "atomdb/util/error.h"
#include "daemon/config_reader.h"
#include "harness.h"

/* Writes for each byte of `text` the state after it: '.' plain, 's' string, 'l' and 'b' comments. */
static void scan(const char *text, char *out) {
	enum scan_state state = SCAN_PLAIN;
	size_t len = strlen(text);
	memset(out, '-', len);
	out[len] = '\0';
	for (size_t i = 0; i < len; i++) {
		state = config_scan(state, text, len, &i);
		out[i] = ".slb"[state];
	}
}

static void strings_and_comments_are_told_apart(void **state) {
	static const struct {
		const char *text, *states;
	} cases[] = {
		{"a=\"b\";", "..ss.."},
		{"a#b\nc", ".ll.."},
		{"a//b\nc", ".lll.."},
		{"/*b*/c", "-bb-.."},
		{"a/b", "..."},
		/* A quote in a comment, a comment in a string, an escaped quote. */
		{"#\"\nx", "ll.."},
		{"\"#/*\"x", "ssss.."},
		{"\"\\\"\"x", "s-s.."},
		{"\"\\\\\"x", "s-s.."},
		/* Truncated input. */
		{"\"\\", "ss"},
		{"/*", "-b"},
		{"/", "."},
		{"/**", "-bb"},
	};
	char got[32];
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		scan(cases[i].text, got);
		assert_string_equal(got, cases[i].states);
	}
}

static void a_failure_names_the_file_and_the_line(void **state) {
	struct config_error error;
	struct config_reader r = {.name = "a.conf", .error = &error};
	(void)state;
	assert_int_equal(config_reader_fail(&r, 7, "%s is %d", "it", 3), ATOMDB_E_SYNTAX);
	assert_string_equal(error.text, "a.conf:7: it is 3");
}

static void a_long_name_leaves_room_for_the_reason(void **state) {
	char name[1000], reason[1000];
	struct config_error error;
	struct config_reader r = {.name = name, .error = &error};
	(void)state;
	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	memset(reason, 'r', sizeof(reason) - 1);
	reason[sizeof(reason) - 1] = '\0';
	config_reader_fail(&r, 1, "%s", reason);
	assert_int_equal(strlen(error.text), CONFIG_ERROR_MAX - 1);
	assert_int_equal(strspn(error.text, "n"), 200);
	assert_non_null(strstr(error.text, ":1: rrr"));
}

static void wiping_reaches_strings_at_every_depth(void **state) {
	config_t c;
	(void)state;
	config_init(&c);
	assert_int_equal(config_read_string(&c, "a = \"one\"; n = 5; g: { l = ( \"two\", { s = \"three\"; } ); };"),
			 CONFIG_TRUE);
	const char *texts[3];
	assert_int_equal(config_lookup_string(&c, "a", &texts[0]), CONFIG_TRUE);
	assert_int_equal(config_lookup_string(&c, "g.l.[0]", &texts[1]), CONFIG_TRUE);
	assert_int_equal(config_lookup_string(&c, "g.l.[1].s", &texts[2]), CONFIG_TRUE);
	config_wipe(config_root_setting(&c));
	config_wipe(NULL);
	static const char zeros[5];
	assert_memory_equal(texts[0], zeros, 3);
	assert_memory_equal(texts[1], zeros, 3);
	assert_memory_equal(texts[2], zeros, 5);
	config_destroy(&c);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(strings_and_comments_are_told_apart),
		cmocka_unit_test(a_failure_names_the_file_and_the_line),
		cmocka_unit_test(a_long_name_leaves_room_for_the_reason),
		cmocka_unit_test(wiping_reaches_strings_at_every_depth),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
