/* KEYS and SCAN. */
#include "world.h"

#define OK     "+OK\r\n"
#define SYNTAX "-ERR syntax error\r\n"

static void test_keys_are_those_that_match(void **state) {
	static const struct exchange table[] = {
		{"KEYS *", "*0\r\n"},
		{"MSET one 1 two 2", OK},
		{"KEYS o*", "*1\r\n$3\r\none\r\n"},
		{"KEYS [^o]wo", "*1\r\n$3\r\ntwo\r\n"},
		{"SELECT 1", OK},
		{"KEYS *", "*0\r\n"},
	};
	(void)state;
	EXPECT_ON_NEW_SERVER(table);
}

static void test_wrong_cursors_and_options_are_refused(void **state) {
	static const struct exchange table[] = {
		{"SCAN a", "-ERR invalid cursor\r\n"},
		{"SCAN _1", "-ERR invalid cursor\r\n"},
		{"SCAN 1x", "-ERR invalid cursor\r\n"},
		{"SCAN +", "-ERR invalid cursor\r\n"},
		{"SCAN 18446744073709551616", "-ERR invalid cursor\r\n"},
		{"SCAN 0 COUNT 0", SYNTAX},
		{"SCAN 0 COUNT a", "-ERR value is not an integer or out of range\r\n"},
		{"SCAN 0 MATCH", SYNTAX},
		{"SCAN 0 bogus 1", SYNTAX},
		{"SCAN 0", "*2\r\n$1\r\n0\r\n*0\r\n"},
		{"SCAN ''", "*2\r\n$1\r\n0\r\n*0\r\n"},
		{"SCAN +0", "*2\r\n$1\r\n0\r\n*0\r\n"},
		{"SET k v", OK},
		{"SCAN 0", "*2\r\n$1\r\n0\r\n*1\r\n$1\r\nk\r\n"},
		{"SCAN 0 TYPE list", "*2\r\n$1\r\n0\r\n*0\r\n"},
		{"SCAN 0 TYPE STRING MATCH k COUNT 5", "*2\r\n$1\r\n0\r\n*1\r\n$1\r\nk\r\n"},
		{"SCAN 0 MATCH x*", "*2\r\n$1\r\n0\r\n*0\r\n"},
	};
	(void)state;
	EXPECT_ON_NEW_SERVER(table);
}

static void test_scan_finds_every_key(void **state) {
	enum { KEYS = 1000 };
	struct client *c;
	struct world *w = open_world(NULL, &c);
	char line[96];
	bool seen[KEYS] = {false};
	unsigned calls = 0;
	(void)state;
	for (unsigned i = 0; i < KEYS; i++) {
		snprintf(line, sizeof(line), "SET key:%u v", i);
		expect(c, line, OK);
	}
	char cursor[32] = "0";
	do {
		snprintf(line, sizeof(line), "SCAN %s COUNT 20 MATCH key:*", cursor);
		const char *reply = ask(c, line);
		assert_int_equal(sscanf(reply, "*2\r\n$%*d\r\n%31[0-9]\r\n", cursor), 1);
		for (const char *p = strstr(reply, "key:"); p != NULL; p = strstr(p + 1, "key:"))
			seen[atoi(p + 4)] = true;
		calls++;
	} while (strcmp(cursor, "0") != 0);
	assert_in_range(calls, 5, KEYS);
	for (unsigned i = 0; i < KEYS; i++)
		assert_true(seen[i]);
	close_world(w, c);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keys_are_those_that_match),
		cmocka_unit_test(test_wrong_cursors_and_options_are_refused),
		cmocka_unit_test(test_scan_finds_every_key),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
