/* INCR, DECR, INCRBY, DECRBY and INCRBYFLOAT. */
#include "world.h"

#define NIL         "$-1\r\n"
#define OK          "+OK\r\n"
#define SYNTAX      "-ERR syntax error\r\n"
#define NOT_INTEGER "-ERR value is not an integer or out of range\r\n"
#define FLOAT       "-ERR value is not a valid float\r\n"

static void test_counters_refuse_overflow_and_text(void **state) {
	static const struct exchange table[] = {
		{"INCR n", ":1\r\n"},
		{"INCRBY n 41", ":42\r\n"},
		{"DECR n", ":41\r\n"},
		{"DECRBY n 50", ":-9\r\n"},
		{"DECRBY n -9", ":0\r\n"},
		{"GET n", "$1\r\n0\r\n"},
		{"EXPIRE n 10", ":1\r\n"},
		{"INCR n", ":1\r\n"},
		{"TTL n", ":10\r\n"},
		{"SET n 9223372036854775807", OK},
		{"INCR n", "-ERR increment or decrement would overflow\r\n"},
		{"DECRBY n -1", "-ERR increment or decrement would overflow\r\n"},
		{"DECRBY n -9223372036854775808", "-ERR decrement would overflow\r\n"},
		{"GET n", "$19\r\n9223372036854775807\r\n"},
		{"INCRBY n a", NOT_INTEGER},
		{"INCRBY n 1.5", NOT_INTEGER},
		{"SET n abc", OK},
		{"INCR n", NOT_INTEGER},
		{"SET n 01", OK},
		{"INCR n", NOT_INTEGER},
		{"SET n ''", OK},
		{"INCR n", NOT_INTEGER},
	};
	(void)state;
	EXPECT_ON_NEW_SERVER(table);
}

static void test_incrbyfloat_refuses_text_and_infinity(void **state) {
	static const struct exchange table[] = {
		{"INCRBYFLOAT f 3.0e3", "$4\r\n3000\r\n"},
		{"INCRBYFLOAT f 0.5", "$6\r\n3000.5\r\n"},
		{"INCRBYFLOAT f -3000.5", "$1\r\n0\r\n"},
		{"EXPIRE f 100", ":1\r\n"},
		{"INCRBYFLOAT f -0", "$1\r\n0\r\n"},
		{"TTL f", ":100\r\n"},
		{"INCRBYFLOAT f x", FLOAT},
		{"INCRBYFLOAT f _1", FLOAT},
		{"INCRBYFLOAT f ''", FLOAT},
		{"INCRBYFLOAT f nan", FLOAT},
		{"INCRBYFLOAT f 1e10000", FLOAT},
		{"INCRBYFLOAT f inf", "-ERR increment would produce NaN or Infinity\r\n"},
		{"SET f text", OK},
		{"INCRBYFLOAT f 1", FLOAT},
	};
	(void)state;
	EXPECT_ON_NEW_SERVER(table);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_counters_refuse_overflow_and_text),
		cmocka_unit_test(test_incrbyfloat_refuses_text_and_infinity),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
