/* PFADD, PFCOUNT, PFMERGE and PFDEBUG. test_hll.c has the registers. */
#include "world.h"

static void test_replies_are_those_of_redis(void **state) {
	static const struct exchange table[] = {
		{"PFCOUNT a", ":0\r\n"},
		{"PFADD a", ":1\r\n"},
		{"PFADD a", ":0\r\n"},
		{"PFADD a x y z", ":1\r\n"},
		{"PFADD a x y z", ":0\r\n"},
		{"PFCOUNT a", ":3\r\n"},
		{"PFCOUNT a", ":3\r\n"},
		{"PFADD b z w", ":1\r\n"},
		{"PFCOUNT a b none", ":4\r\n"},
		{"EXPIRE a 100", ":1\r\n"},
		{"PFMERGE a b", "+OK\r\n"},
		{"TTL a", ":100\r\n"},
		{"PFCOUNT a", ":4\r\n"},
		{"PFDEBUG ENCODING a", "+sparse\r\n"},
		{"PFDEBUG TODENSE a", ":1\r\n"},
		{"PFDEBUG TODENSE a", ":0\r\n"},
		{"PFDEBUG DECODE a", "-ERR HLL encoding is not sparse\r\n"},
		{"PFCOUNT a", ":4\r\n"},
		{"PFADD a v", ":1\r\n"},
		{"PFCOUNT a", ":5\r\n"},
		{"PFMERGE c a", "+OK\r\n"},
		{"PFDEBUG ENCODING c", "+dense\r\n"},
		{"PFDEBUG bogus c", "-ERR Unknown PFDEBUG subcommand 'bogus'\r\n"},
		{"PFDEBUG ENCODING none", "-ERR The specified key does not exist\r\n"},
		{"SET s text", "+OK\r\n"},
		{"PFADD s x", "-WRONGTYPE Key is not a valid HyperLogLog string value.\r\n"},
		{"PFCOUNT a s", "-WRONGTYPE Key is not a valid HyperLogLog string value.\r\n"},
		{"SETRANGE b 16 AA", ":24\r\n"},
		{"PFCOUNT b none", "-INVALIDOBJ Corrupted HLL object detected\r\n"},
		{"PFADD d x", ":1\r\n"},
		{"APPEND d x", ":21\r\n"},
		{"PFCOUNT d none", "-INVALIDOBJ Corrupted HLL object detected\r\n"},
		{"PFSELFTEST", "+OK\r\n"},
	};
	struct client *c;
	struct world *w = open_world(NULL, &c);
	(void)state;
	EXPECT_ALL(c, table);
	expect_part(c, "PFDEBUG GETREG a", "*16384\r\n:");
	close_world(w, c);
}

#define WRONGTYPE "-WRONGTYPE Key is not a valid HyperLogLog string value.\r\n"

static void test_a_merge_of_a_wrong_value_keeps_the_destination(void **state) {
	static const struct exchange table[] = {
		{"PFADD d x", ":1\r\n"},        {"PFADD a y z", ":1\r\n"},     {"SET s text", "+OK\r\n"},
		{"PFMERGE d a s", WRONGTYPE},   {"PFMERGE s a", WRONGTYPE},    {"PFCOUNT d", ":1\r\n"},
		{"GET s", "$4\r\ntext\r\n"},    {"PFMERGE d none", "+OK\r\n"}, {"PFCOUNT d", ":1\r\n"},
		{"PFMERGE new", "+OK\r\n"},     {"PFCOUNT new", ":0\r\n"},     {"STRLEN new", ":18\r\n"},
		{"PFMERGE new a d", "+OK\r\n"}, {"PFCOUNT new", ":3\r\n"},
	};
	(void)state;
	EXPECT_ON_NEW_SERVER(table);
}

static void test_the_kept_estimate_ends_with_a_change(void **state) {
	static const struct exchange table[] = {
		{"PFADD a x", ":1\r\n"},   {"PFCOUNT a", ":1\r\n"},         {"PFADD a y", ":1\r\n"},
		{"PFCOUNT a", ":2\r\n"},   {"PFDEBUG TODENSE a", ":1\r\n"}, {"PFCOUNT a", ":2\r\n"},
		{"PFADD a z v", ":1\r\n"}, {"PFCOUNT a", ":4\r\n"},         {"PFADD a z v", ":0\r\n"},
		{"PFADD b 1 2", ":1\r\n"}, {"PFCOUNT b", ":2\r\n"},         {"PFMERGE b a", "+OK\r\n"},
		{"PFCOUNT b", ":6\r\n"},
	};
	(void)state;
	EXPECT_ON_NEW_SERVER(table);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_replies_are_those_of_redis),
		cmocka_unit_test(test_a_merge_of_a_wrong_value_keeps_the_destination),
		cmocka_unit_test(test_the_kept_estimate_ends_with_a_change),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
