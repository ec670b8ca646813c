/* SORT and SORT_RO, without a type that can be sorted. */
#include "world.h"

#define OK     "+OK\r\n"
#define SYNTAX "-ERR syntax error\r\n"

static void test_a_missing_key_sorts_to_an_empty_array(void **state) {
	static const struct exchange table[] = {
		{"SORT none BY x GET # LIMIT 0 1 DESC ALPHA", "*0\r\n"},
		{"SET d 1", OK},
		{"SORT none STORE d", ":0\r\n"},
		{"EXISTS d", ":0\r\n"},
		{"SORT none LIMIT 1", SYNTAX},
		{"SORT none LIMIT a b", "-ERR value is not an integer or out of range\r\n"},
		{"SORT none bogus", SYNTAX},
		{"SET s 1", OK},
		{"SORT s", "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n"},
		{"COMMAND GETKEYS SORT a GET STORE STORE b", "*2\r\n$1\r\na\r\n$1\r\nb\r\n"},
		{"COMMAND GETKEYS BITOP AND a b c", "*3\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n"},
		{"COMMAND GETKEYS OBJECT ENCODING a", "*1\r\n$1\r\na\r\n"},
	};
	(void)state;
	EXPECT_ON_NEW_SERVER(table);
}

static void test_a_refused_sort_keeps_the_destination(void **state) {
	static const struct exchange table[] = {
		{"MSET d 1 s 2", OK},
		{"SORT_RO none STORE d", SYNTAX},
		{"SORT none STORE d LIMIT 0", SYNTAX},
		{"SORT none STORE d LIMIT 0 x", "-ERR value is not an integer or out of range\r\n"},
		{"SORT none STORE", SYNTAX},
		{"SORT s STORE d", "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n"},
		{"GET d", "$1\r\n1\r\n"},
		{"SORT none STORE d STORE s", ":0\r\n"},
		{"EXISTS d", ":1\r\n"},
		{"EXISTS s", ":0\r\n"},
		{"SORT_RO none ASC BY nosort GET # GET *", "*0\r\n"},
	};
	(void)state;
	EXPECT_ON_NEW_SERVER(table);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_missing_key_sorts_to_an_empty_array),
		cmocka_unit_test(test_a_refused_sort_keeps_the_destination),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
