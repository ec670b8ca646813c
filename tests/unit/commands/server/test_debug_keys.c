/* The digests of DEBUG against those of redis-server 7.0, and its replies about single keys. */
#include "world.h"

#define OK "+OK\r\n"

static void test_digests_are_those_of_redis(void **state) {
	static const struct exchange table[] = {
		{"DEBUG DIGEST", "+0000000000000000000000000000000000000000\r\n"},
		{"SET foo bar", OK},
		{"DEBUG DIGEST", "+d2ab4820c1be0580ea28efbfe8bfa1dc05bb802a\r\n"},
		{"DEBUG DIGEST-VALUE foo none", "*2\r\n+68467c70ae30376e7ce005bcc8827f5ba7fd67dc\r\n"
						"+0000000000000000000000000000000000000000\r\n"},
		{"PEXPIREAT foo 9999999999999", ":1\r\n"},
		{"DEBUG DIGEST-VALUE foo", "*1\r\n+8ec3828f7209dd3abdf6ee448de8b0c0bd53265f\r\n"},
		{"DEBUG DIGEST", "+8b0c6d22108f15467022bc27c005787072eb4c4b\r\n"},
		{"SELECT 3", OK},
		{"SET n 12", OK},
		{"DEBUG DIGEST", "+f5601d158c2e871ca4ca15b3f890f220489005ae\r\n"},
	};
	struct client *c;
	struct world *w = debug_world(&c);
	(void)state;
	EXPECT_ALL(c, table);
	close_world(w, c);
}

static void test_the_order_of_keys_does_not_count(void **state) {
	char digests[2][64];
	(void)state;
	for (unsigned way = 0; way < 2; way++) {
		struct client *c;
		struct world *w = debug_world(&c);
		for (unsigned i = 0; i < 100; i++) {
			char line[64];
			snprintf(line, sizeof(line), "SET key:%u %u", way ? 99 - i : i, way ? 99 - i : i);
			expect(c, line, OK);
		}
		snprintf(digests[way], sizeof(digests[way]), "%s", ask(c, "DEBUG DIGEST"));
		close_world(w, c);
	}
	assert_string_equal(digests[0], digests[1]);
}

static void test_replies_about_a_key_are_those_of_redis(void **state) {
	static const struct exchange table[] = {
		{"MSET foo bar n 12", OK},
		{"DEBUG SDSLEN n", "-ERR Not an sds encoded string.\r\n"},
		{"DEBUG SDSLEN none", "-ERR no such key\r\n"},
		{"DEBUG LISTPACK foo", "-ERR Not a listpack encoded object.\r\n"},
		{"DEBUG LISTPACK none", "-ERR no such key\r\n"},
		{"DEBUG QUICKLIST foo", "-ERR Not a quicklist encoded object.\r\n"},
		{"DEBUG HTSTATS-KEY foo",
		 "-ERR The value stored at the specified key is not represented using an hash table\r\n"},
		{"DEBUG HTSTATS 16", "-ERR Out of range database\r\n"},
		{"DEBUG HTSTATS -1", "-ERR Out of range database\r\n"},
		{"DEBUG HTSTATS x", "-ERR value is not an integer or out of range\r\n"},
	};
	struct client *c;
	struct world *w = debug_world(&c);
	(void)state;
	EXPECT_ALL(c, table);
	expect_part(c, "DEBUG SDSLEN foo", "+key_sds_len:3, key_sds_avail:0, key_zmalloc: 3, val_sds_len:3, ");
	expect(c, "APPEND n ''", ":2\r\n");
	expect_part(c, "DEBUG SDSLEN n", "+key_sds_len:1, key_sds_avail:0, key_zmalloc: 1, val_sds_len:2, ");
	expect(c, "EXPIRE foo 10", ":1\r\n");
	expect_part(c, "DEBUG HTSTATS 0", " number of elements: 2\n[Expires HT]\n number of elements: 1\n");
	expect_part(c, "DEBUG HTSTATS 15", " number of elements: 0\n");
	close_world(w, c);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_digests_are_those_of_redis),
		cmocka_unit_test(test_the_order_of_keys_does_not_count),
		cmocka_unit_test(test_replies_about_a_key_are_those_of_redis),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
