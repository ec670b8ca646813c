/* RENAME, RENAMENX, MOVE and COPY. */
#include "world.h"

#define OK     "+OK\r\n"
#define NIL    "$-1\r\n"
#define SYNTAX "-ERR syntax error\r\n"
#define INDEX  "-ERR DB index is out of range\r\n"
#define SAME   "-ERR source and destination objects are the same\r\n"

static void test_rename_keeps_value_and_deadline(void **state) {
	static const struct exchange table[] = {
		{"RENAME none x", "-ERR no such key\r\n"},
		{"RENAMENX none none", "-ERR no such key\r\n"},
		{"SET a 1 EX 100", OK},
		{"RENAME a a", OK},
		{"RENAMENX a a", ":0\r\n"},
		{"RENAME a b", OK},
		{"TTL b", ":100\r\n"},
		{"EXISTS a", ":0\r\n"},
		{"SET c 2", OK},
		{"RENAMENX b c", ":0\r\n"},
		{"RENAMENX b d", ":1\r\n"},
		{"RENAME d c", OK},
		{"GET c", "$1\r\n1\r\n"},
		{"DBSIZE", ":1\r\n"},
	};
	(void)state;
	EXPECT_ON_NEW_SERVER(table);
}

static void test_move_and_copy_reach_other_databases(void **state) {
	static const struct exchange table[] = {
		{"SET a 1", OK},
		{"MOVE a 0", SAME},
		{"MOVE a 16", INDEX},
		{"MOVE a x", "-ERR value is not an integer or out of range\r\n"},
		{"MOVE none 1", ":0\r\n"},
		{"MOVE a 1", ":1\r\n"},
		{"EXISTS a", ":0\r\n"},
		{"SET a 2", OK},
		{"MOVE a 1", ":0\r\n"},
		{"COPY a a", SAME},
		{"COPY a a DB 1", ":0\r\n"},
		{"COPY a a DB 1 REPLACE", ":1\r\n"},
		{"COPY none b", ":0\r\n"},
		{"COPY a b bogus", SYNTAX},
		{"COPY a b DB", SYNTAX},
		{"COPY a b DB -1", INDEX},
		{"COPY a b", ":1\r\n"},
		{"DBSIZE", ":2\r\n"},
		{"SELECT 1", OK},
		{"DBSIZE", ":1\r\n"},
		{"GET a", "$1\r\n2\r\n"},
	};
	(void)state;
	EXPECT_ON_NEW_SERVER(table);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rename_keeps_value_and_deadline),
		cmocka_unit_test(test_move_and_copy_reach_other_databases),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
