/* GETRANGE, SETRANGE and SUBSTR. */
#include "world.h"

#define OK      "+OK\r\n"
#define INTEGER "-ERR value is not an integer or out of range\r\n"

static void test_ranges_are_cut_to_the_value_and_writes_extend_it(void **state) {
	static const struct exchange table[] = {
		{"SETRANGE none 0 ''", ":0\r\n"},
		{"EXISTS none", ":0\r\n"},
		{"SETRANGE k 5 world", ":10\r\n"},
		{"SETRANGE k 0 hello", ":10\r\n"},
		{"GET k", "$10\r\nhelloworld\r\n"},
		{"SETRANGE k 1 ''", ":10\r\n"},
		{"SETRANGE k -1 x", "-ERR offset is out of range\r\n"},
		{"SETRANGE k x x", INTEGER},
		{"SETRANGE k 536870912 x", "-ERR string exceeds maximum allowed size (proto-max-bulk-len)\r\n"},
		{"GETRANGE k 0 -1", "$10\r\nhelloworld\r\n"},
		{"GETRANGE k -5 -3", "$3\r\nwor\r\n"},
		{"GETRANGE k -3 -5", "$0\r\n\r\n"},
		{"GETRANGE k -100 0", "$1\r\nh\r\n"},
		{"GETRANGE k 8 100", "$2\r\nld\r\n"},
		{"GETRANGE k 5 4", "$0\r\n\r\n"},
		{"SUBSTR k 0 x", INTEGER},
		{"SUBSTR none 0 1", "$0\r\n\r\n"},
		{"SET n 1234567890", OK},
		{"SUBSTR n 2 3", "$2\r\n34\r\n"},
		{"EXPIRE n 100", ":1\r\n"},
		{"SETRANGE n 1 x", ":10\r\n"},
		{"GET n", "$10\r\n1x34567890\r\n"},
		{"TTL n", ":100\r\n"},
	};
	(void)state;
	EXPECT_ON_NEW_SERVER(table);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ranges_are_cut_to_the_value_and_writes_extend_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
