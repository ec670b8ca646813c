/* BITFIELD and BITFIELD_RO: known replies, and fields of every width against arithmetic of 128 bits. */
#include "world.h"

#define OK     "+OK\r\n"
#define NIL    "$-1\r\n"
#define SYNTAX "-ERR syntax error\r\n"
#define TYPE   "-ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.\r\n"

static void test_replies_are_those_of_redis(void **state) {
	static const struct exchange table[] = {
		{"BITFIELD k", "*0\r\n"},
		{"EXISTS k", ":0\r\n"},
		{"BITFIELD k SET i8 #1 -1 GET u4 8 GET i64 0", "*3\r\n:0\r\n:15\r\n:71776119061217280\r\n"},
		{"BITFIELD k OVERFLOW SAT INCRBY u2 100 3 INCRBY u2 100 1", "*2\r\n:3\r\n:3\r\n"},
		{"BITFIELD k OVERFLOW FAIL INCRBY u2 100 1", "*1\r\n" NIL},
		{"BITFIELD k INCRBY u2 100 1", "*1\r\n:0\r\n"},
		{"BITFIELD k OVERFLOW SAT SET i8 0 -9223372036854775808", "*1\r\n:0\r\n"},
		{"BITFIELD k GET i8 0", "*1\r\n:127\r\n"},
		{"BITFIELD_RO k GET i8 0", "*1\r\n:127\r\n"},
		{"BITFIELD_RO k SET i8 0 1", "-ERR BITFIELD_RO only supports the GET subcommand\r\n"},
		{"BITFIELD k OVERFLOW bogus", "-ERR Invalid OVERFLOW type specified\r\n"},
		{"BITFIELD k GET u8", "-ERR syntax error\r\n"},
		{"BITFIELD k GET u64 0", "-ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not "
					 "supported but i64 is.\r\n"},
		{"BITFIELD k GET u8 -1", "-ERR bit offset is not an integer or out of range\r\n"},
		{"BITFIELD k SET u8 0 x", "-ERR value is not an integer or out of range\r\n"},
		{"BITFIELD k SET i64 4294967295 1",
		 "-ERR string exceeds maximum allowed size (proto-max-bulk-len)\r\n"},
	};
	(void)state;
	EXPECT_ON_NEW_SERVER(table);
}

/* Returns the result of INCRBY with OVERFLOW SAT. */
static int64_t saturated(bool has_sign, unsigned width, int64_t value, int64_t amount) {
	__int128 most = has_sign ? ((__int128)1 << (width - 1)) - 1 : ((__int128)1 << width) - 1;
	__int128 least = has_sign ? -most - 1 : 0;
	__int128 sum = (__int128)value + amount;
	return (int64_t)(sum > most ? most : sum < least ? least : sum);
}

static void test_saturated_sums_are_those_of_128_bits(void **state) {
	struct client *c;
	struct world *w = open_world(NULL, &c);
	uint64_t random = 88172645463325252u;
	(void)state;
	for (unsigned round = 0; round < 2000; round++) {
		random ^= random << 13;
		random ^= random >> 7;
		random ^= random << 17;
		bool has_sign = round % 2;
		unsigned width = 1 + (unsigned)(random % (has_sign ? 64 : 63)), offset = (unsigned)(random >> 20 & 127);
		int64_t amount = (int64_t)(random * 0x9E3779B97F4A7C15) >> (random >> 40 & 63);
		char line[160], reply[64];
		long long before, after;
		snprintf(line, sizeof(line), "BITFIELD k GET %c%u %u", has_sign ? 'i' : 'u', width, offset);
		assert_int_equal(sscanf(ask(c, line), "*1 :%lld", &before), 1);
		snprintf(line, sizeof(line), "BITFIELD k OVERFLOW SAT INCRBY %c%u %u %lld", has_sign ? 'i' : 'u', width,
			 offset, (long long)amount);
		after = saturated(has_sign, width, before, amount);
		snprintf(reply, sizeof(reply), "*1\r\n:%lld\r\n", after);
		expect(c, line, reply);
		snprintf(line, sizeof(line), "BITFIELD_RO k GET %c%u %u", has_sign ? 'i' : 'u', width, offset);
		expect(c, line, reply);
	}
	close_world(w, c);
}

static void test_types_have_bounds(void **state) {
	static const struct exchange table[] = {
		{"BITFIELD k GET i64 0 GET u63 0 GET i1 0 GET u1 0", "*4\r\n:0\r\n:0\r\n:0\r\n:0\r\n"},
		{"BITFIELD k GET i65 0", TYPE},
		{"BITFIELD k GET u64 0", TYPE},
		{"BITFIELD k GET i0 0", TYPE},
		{"BITFIELD k GET u-1 0", TYPE},
		{"BITFIELD k GET i 0", TYPE},
		{"BITFIELD k GET x8 0", TYPE},
		{"BITFIELD k GET 8 0", TYPE},
		{"BITFIELD k GET I8 0", TYPE},
		{"BITFIELD k SET u8 4294967288 0 bogus", SYNTAX},
		{"BITFIELD k GET u8 #536870912", "-ERR bit offset is not an integer or out of range\r\n"},
		{"BITFIELD k GET u8 #536870911", "*1\r\n:0\r\n"},
		{"EXISTS k", ":0\r\n"},
	};
	(void)state;
	EXPECT_ON_NEW_SERVER(table);
}

static void test_a_refused_field_refuses_all(void **state) {
	static const struct exchange table[] = {
		{"SET k a", OK},
		{"BITFIELD k SET u8 0 98 GET u8", SYNTAX},
		{"BITFIELD k SET u8 0 98 GET u64 0", TYPE},
		{"BITFIELD k SET u8 0 98 OVERFLOW NONE", "-ERR Invalid OVERFLOW type specified\r\n"},
		{"BITFIELD_RO k GET u8 0 SET u8 0 98", "-ERR BITFIELD_RO only supports the GET subcommand\r\n"},
		{"GET k", "$1\r\na\r\n"},
		{"BITFIELD k SET u8 0 98 GET u8 #1 SET u8 #0 99", "*3\r\n:97\r\n:0\r\n:98\r\n"},
		{"GET k", "$1\r\nc\r\n"},
	};
	(void)state;
	EXPECT_ON_NEW_SERVER(table);
}

static void test_overflow_holds_for_the_fields_that_follow(void **state) {
	static const struct exchange table[] = {
		{"BITFIELD k INCRBY u2 0 5 OVERFLOW FAIL INCRBY u2 0 3 OVERFLOW SAT INCRBY u2 0 9 INCRBY u2 0 -9",
		 "*4\r\n:1\r\n" NIL ":3\r\n:0\r\n"},
		{"BITFIELD k INCRBY i8 8 127 INCRBY i8 8 1", "*2\r\n:127\r\n:-128\r\n"},
		{"BITFIELD k OVERFLOW FAIL SET i8 8 128 GET i8 8", "*2\r\n" NIL ":-128\r\n"},
	};
	(void)state;
	EXPECT_ON_NEW_SERVER(table);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_replies_are_those_of_redis),
		cmocka_unit_test(test_saturated_sums_are_those_of_128_bits),
		cmocka_unit_test(test_types_have_bounds),
		cmocka_unit_test(test_a_refused_field_refuses_all),
		cmocka_unit_test(test_overflow_holds_for_the_fields_that_follow),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
