/* GETBIT, SETBIT, BITCOUNT, BITPOS and BITOP. */
#include "world.h"

#define NIL "$-1\r\n"
#define OK  "+OK\r\n"

static void test_bits_are_set_counted_and_found(void **state) {
	static const struct exchange table[] = {
		{"GETBIT k 7", ":0\r\n"},
		{"SETBIT k 7 1", ":0\r\n"},
		{"GETBIT k 7", ":1\r\n"},
		{"SETBIT k 7 0", ":1\r\n"},
		{"STRLEN k", ":1\r\n"},
		{"SETBIT k 20 1", ":0\r\n"},
		{"STRLEN k", ":3\r\n"},
		{"SETBIT k -1 1", "-ERR bit offset is not an integer or out of range\r\n"},
		{"SETBIT k 4294967296 1", "-ERR bit offset is not an integer or out of range\r\n"},
		{"SETBIT k 1 2", "-ERR bit is not an integer or out of range\r\n"},
		{"SET k foobar", OK},
		{"BITCOUNT k", ":26\r\n"},
		{"BITCOUNT k 0 0", ":4\r\n"},
		{"BITCOUNT k 1 1 BYTE", ":6\r\n"},
		{"BITCOUNT k 5 30 BIT", ":17\r\n"},
		{"BITCOUNT k -1 -2 bogus", ":0\r\n"},
		{"BITCOUNT k 0 1 bogus", "-ERR syntax error\r\n"},
		{"BITCOUNT k 0", "-ERR syntax error\r\n"},
		{"BITCOUNT none x", ":0\r\n"},
		{"BITPOS k 1", ":1\r\n"},
		{"BITPOS k 0 1 2", ":8\r\n"},
		{"BITPOS k 1 7 15 BIT", ":9\r\n"},
		{"BITPOS k 2", "-ERR The bit argument must be 1 or 0.\r\n"},
		{"BITPOS none 0", ":0\r\n"},
		{"BITPOS none 1", ":-1\r\n"},
		{"BITFIELD ones SET u8 0 255", "*1\r\n:0\r\n"},
		{"BITPOS ones 0", ":8\r\n"},
		{"BITPOS ones 0 0 -1", ":-1\r\n"},
		{"BITPOS ones 0 0 -1 BIT", ":-1\r\n"},
	};
	(void)state;
	EXPECT_ON_NEW_SERVER(table);
}

static void test_bitop_combines_values_of_different_lengths(void **state) {
	static const struct exchange table[] = {
		{"MSET a abcd b ab", OK},
		{"BITOP AND d a b", ":4\r\n"},
		{"GETRANGE d 0 1", "$2\r\nab\r\n"},
		{"BITCOUNT d 2 3", ":0\r\n"},
		{"BITOP XOR d a a", ":4\r\n"},
		{"BITCOUNT d", ":0\r\n"},
		{"BITOP OR d b none a", ":4\r\n"},
		{"GET d", "$4\r\nabcd\r\n"},
		{"BITOP NOT d d", ":4\r\n"},
		{"BITOP NOT d d", ":4\r\n"},
		{"GET d", "$4\r\nabcd\r\n"},
		{"BITOP NOT d a b", "-ERR BITOP NOT must be called with a single source key.\r\n"},
		{"BITOP bogus d a", "-ERR syntax error\r\n"},
		{"EXPIRE d 100", ":1\r\n"},
		{"BITOP OR d a", ":4\r\n"},
		{"TTL d", ":-1\r\n"},
		{"BITOP AND d none other", ":0\r\n"},
		{"EXISTS d", ":0\r\n"},
	};
	(void)state;
	EXPECT_ON_NEW_SERVER(table);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bits_are_set_counted_and_found),
		cmocka_unit_test(test_bitop_combines_values_of_different_lengths),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
