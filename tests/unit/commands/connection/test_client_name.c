/* CLIENT SETNAME, GETNAME and SETINFO. */
#include "world.h"

#define OK "+OK\r\n"

static void test_replies_are_those_of_redis(void **state) {
	static const struct exchange table[] = {
		{"CLIENT GETNAME", "$-1\r\n"},
		{"CLIENT SETNAME me", OK},
		{"CLIENT GETNAME", "$2\r\nme\r\n"},
		{"CLIENT SETNAME a_b", "-ERR Client names cannot contain spaces, newlines or special characters.\r\n"},
		{"CLIENT GETNAME", "$2\r\nme\r\n"},
		{"CLIENT SETNAME ''", OK},
		{"CLIENT GETNAME", "$-1\r\n"},
		{"CLIENT SETNAME me", OK},
		{"CLIENT SETINFO lib-name redis-py", OK},
		{"CLIENT SETINFO LIB-VER 4.3", OK},
		{"CLIENT SETINFO lib-foo x", "-ERR Unrecognized option 'lib-foo'\r\n"},
		{"CLIENT SETINFO lib-ver a_b",
		 "-ERR lib-ver cannot contain spaces, newlines or special characters.\r\n"},
	};
	(void)state;
	EXPECT_ON_NEW_SERVER(table);
}

static void test_a_name_has_at_most_128_printable_characters(void **state) {
	struct client *c;
	struct world *w = open_world(NULL, &c);
	char name[130];
	struct slice set[] = {SLICE("CLIENT"), SLICE("SETNAME"), {name, 128}};
	(void)state;
	memset(name, '~', sizeof(name));
	assert_string_equal(client_run(c, set, 3), OK);
	set[2].len = 129;
	assert_string_equal(client_run(c, set, 3), "-ERR names of clients have a limit of 128 bytes\r\n");
	static const char wrong[] = {' ', '\n', '\0', 0x7f, (char)0x80};
	for (size_t i = 0; i < sizeof(wrong); i++) {
		set[2] = (struct slice){wrong + i, 1};
		assert_string_equal(client_run(c, set, 3),
				    "-ERR Client names cannot contain spaces, newlines or special characters.\r\n");
	}
	assert_int_equal(strlen(c->session.name), 128);
	close_world(w, c);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_replies_are_those_of_redis),
		cmocka_unit_test(test_a_name_has_at_most_128_printable_characters),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
