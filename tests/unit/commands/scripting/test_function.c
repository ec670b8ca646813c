/* FUNCTION, without any library. */
#include "world.h"

#define OK "+OK\r\n"

static void test_there_is_no_library(void **state) {
	static const struct exchange table[] = {
		{"FUNCTION LIST", "*0\r\n"},
		{"FUNCTION LIST WITHCODE LIBRARYNAME x", "*0\r\n"},
		{"FUNCTION LIST LIBRARYNAME", "-ERR library name argument was not given\r\n"},
		{"FUNCTION LIST WITHCODE WITHCODE", "-ERR Unknown argument WITHCODE\r\n"},
		{"FUNCTION LIST bogus", "-ERR Unknown argument bogus\r\n"},
		{"FUNCTION DELETE x", "-ERR Library not found\r\n"},
		{"FUNCTION KILL", "-NOTBUSY No scripts in execution right now.\r\n"},
		{"FUNCTION FLUSH", OK},
		{"FUNCTION FLUSH async", OK},
		{"FUNCTION FLUSH maybe", "-ERR FUNCTION FLUSH only supports SYNC|ASYNC option\r\n"},
		{"FUNCTION FLUSH SYNC x",
		 "-ERR unknown subcommand or wrong number of arguments for 'FLUSH'. Try FUNCTION HELP.\r\n"},
		{"FUNCTION STATS", "*4\r\n$14\r\nrunning_script\r\n$-1\r\n$7\r\nengines\r\n*2\r\n$3\r\nLUA\r\n*4\r\n"
				   "$15\r\nlibraries_count\r\n:0\r\n$15\r\nfunctions_count\r\n:0\r\n"},
	};
	(void)state;
	EXPECT_ON_NEW_SERVER(table);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_there_is_no_library),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
