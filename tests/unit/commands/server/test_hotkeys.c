#include "atomdb/session/hotkeys.h"
#include "world.h"

static void test_counts_are_from_1_to_1000(void **state) {
	static const struct exchange table[] = {
		{"HOTKEYS", "*0\r\n"},
		{"BIGKEYS COUNT 1", "*0\r\n"},
		{"HOTKEYS COUNT 1000", "*0\r\n"},
		{"HOTKEYS COUNT 0", "-ERR value is out of range, value must between 1 and 1000\r\n"},
		{"BIGKEYS COUNT 1001", "-ERR value is out of range, value must between 1 and 1000\r\n"},
		{"HOTKEYS COUNT x", "-ERR value is not an integer or out of range\r\n"},
		{"HOTKEYS COUNT", "-ERR syntax error\r\n"},
		{"BIGKEYS LIMIT 3", "-ERR syntax error\r\n"},
	};
	(void)state;
	expect_on_new_server(table, sizeof(table) / sizeof(table[0]));
}

static void test_bigkeys_show_the_largest_first_by_their_present_size(void **state) {
	struct client *c;
	struct world *w = open_world(NULL, &c);
	(void)state;
	expect(c, "SETRANGE one 1999 x", ":2000\r\n");
	expect(c, "SETRANGE two 2999 x", ":3000\r\n");
	const char *reply = ask(c, "BIGKEYS");
	assert_non_null(strstr(reply, "one"));
	assert_true(strstr(reply, "two") < strstr(reply, "one"));
	expect_part(c, "BIGKEYS COUNT 1", "two");
	expect(c, "DEL two", ":1\r\n");
	assert_null(strstr(ask(c, "BIGKEYS"), "two"));
	close_world(w, c);
}

static void test_hotkeys_show_keys_of_samples(void **state) {
	struct client *c;
	struct world *w = open_world(NULL, &c);
	const struct slice argv[] = {SLICE("GET"), SLICE("hot")};
	struct request r = {.argv = argv, .argc = 2};
	(void)state;
	dispatch_prepare(&c->session, &r, 1);
	hotkeys_sample(&c->session, &r, 1);
	expect(c, "HOTKEYS", "*1\r\n*2\r\n$3\r\nhot\r\n:256\r\n");
	expect(c, "SELECT 1", "+OK\r\n");
	expect(c, "HOTKEYS", "*0\r\n");
	close_world(w, c);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_counts_are_from_1_to_1000),
		cmocka_unit_test(test_bigkeys_show_the_largest_first_by_their_present_size),
		cmocka_unit_test(test_hotkeys_show_keys_of_samples),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
