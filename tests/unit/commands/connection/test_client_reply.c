/* CLIENT REPLY. */
#include "world.h"

#define OK "+OK\r\n"

static void test_off_mutes_until_on(void **state) {
	static const struct exchange table[] = {
		{"CLIENT REPLY maybe", "-ERR syntax error\r\n"},
		{"CLIENT REPLY OFF", ""},
		{"SET k v", ""},
		{"CLIENT REPLY SKIP", ""},
		{"CLIENT REPLY maybe", ""},
		{"GET k", ""},
		{"CLIENT REPLY ON", OK},
		{"GET k", "$1\r\nv\r\n"},
	};
	(void)state;
	EXPECT_ON_NEW_SERVER(table);
}

static void test_skip_mutes_one_command(void **state) {
	static const struct exchange table[] = {
		{"CLIENT REPLY SKIP", ""}, {"SET k v", ""}, {"GET k", "$1\r\nv\r\n"}, {"CLIENT REPLY SKIP", ""},
		{"CLIENT REPLY SKIP", ""}, {"PING", ""},    {"PING", "+PONG\r\n"},    {"CLIENT REPLY ON", OK},
	};
	(void)state;
	EXPECT_ON_NEW_SERVER(table);
}

static void test_the_reply_of_exec_is_whole(void **state) {
	static const struct exchange table[] = {
		{"MULTI", OK},
		{"CLIENT REPLY OFF", "+QUEUED\r\n"},
		{"PING", "+QUEUED\r\n"},
		{"EXEC", "*2\r\n$-1\r\n+PONG\r\n"},
		{"PING", ""},
		{"CLIENT REPLY ON", OK},
	};
	(void)state;
	EXPECT_ON_NEW_SERVER(table);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_off_mutes_until_on),
		cmocka_unit_test(test_skip_mutes_one_command),
		cmocka_unit_test(test_the_reply_of_exec_is_whole),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
