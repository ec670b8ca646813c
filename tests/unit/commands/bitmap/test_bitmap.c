/* The commands of bits, and BITFIELD's integers against arithmetic in 128 bits. */
#include "world.h"

#define NIL "$-1\r\n"
#define OK  "+OK\r\n"

static void test_bits(void **state) {
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
	struct client *c;
	struct world *w = open_world(NULL, &c);
	(void)state;
	EXPECT_ALL(c, table);
	close_world(w, c);
}

static void test_bitop(void **state) {
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
	struct client *c;
	struct world *w = open_world(NULL, &c);
	(void)state;
	EXPECT_ALL(c, table);
	close_world(w, c);
}

static void test_bitfield(void **state) {
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
	struct client *c;
	struct world *w = open_world(NULL, &c);
	(void)state;
	EXPECT_ALL(c, table);
	close_world(w, c);
}

/* What INCRBY with OVERFLOW SAT must come to. */
static int64_t saturated(bool has_sign, unsigned width, int64_t value, int64_t amount) {
	__int128 most = has_sign ? ((__int128)1 << (width - 1)) - 1 : ((__int128)1 << width) - 1;
	__int128 least = has_sign ? -most - 1 : 0;
	__int128 sum = (__int128)value + amount;
	return (int64_t)(sum > most ? most : sum < least ? least : sum);
}

static void test_fields_of_every_width(void **state) {
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

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bits),
		cmocka_unit_test(test_bitop),
		cmocka_unit_test(test_bitfield),
		cmocka_unit_test(test_fields_of_every_width),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
