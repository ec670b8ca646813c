/* The commands of keys and of their times to live, and those of whole databases. */
#include "world.h"

#define NIL    "$-1\r\n"
#define OK     "+OK\r\n"
#define SYNTAX "-ERR syntax error\r\n"

static void test_keys(void **state) {
	static const struct exchange table[] = {
		{"MSET a 1 b 2 c 3", OK},
		{"EXISTS a a none", ":2\r\n"},
		{"TOUCH a none b", ":2\r\n"},
		{"TYPE a", "+string\r\n"},
		{"TYPE none", "+none\r\n"},
		{"DEL a none a", ":1\r\n"},
		{"UNLINK b c", ":2\r\n"},
		{"RANDOMKEY", NIL},
		{"KEYS *", "*0\r\n"},
		{"MSET one 1 two 2", OK},
		{"KEYS o*", "*1\r\n$3\r\none\r\n"},
		{"KEYS [^o]wo", "*1\r\n$3\r\ntwo\r\n"},
		{"DBSIZE", ":2\r\n"},
		{"SELECT 1", OK},
		{"DBSIZE", ":0\r\n"},
		{"SET three 3", OK},
		{"RANDOMKEY", "$5\r\nthree\r\n"},
		{"FLUSHDB bogus", SYNTAX},
		{"FLUSHDB SYNC ASYNC", SYNTAX},
		{"FLUSHDB SYNC", OK},
		{"DBSIZE", ":0\r\n"},
		{"SET three 3", OK},
		{"SELECT 0", OK},
		{"DBSIZE", ":2\r\n"},
		{"FLUSHALL async", OK},
		{"DBSIZE", ":0\r\n"},
		{"SELECT 1", OK},
		{"DBSIZE", ":0\r\n"},
	};
	struct client *c;
	struct world *w = open_world(NULL, &c);
	(void)state;
	EXPECT_ALL(c, table);
	close_world(w, c);
}

static void test_scan_errors(void **state) {
	static const struct exchange table[] = {
		{"SCAN a", "-ERR invalid cursor\r\n"},
		{"SCAN _1", "-ERR invalid cursor\r\n"},
		{"SCAN 1x", "-ERR invalid cursor\r\n"},
		{"SCAN +", "-ERR invalid cursor\r\n"},
		{"SCAN 18446744073709551616", "-ERR invalid cursor\r\n"},
		{"SCAN 0 COUNT 0", SYNTAX},
		{"SCAN 0 COUNT a", "-ERR value is not an integer or out of range\r\n"},
		{"SCAN 0 MATCH", SYNTAX},
		{"SCAN 0 bogus 1", SYNTAX},
		{"SCAN 0", "*2\r\n$1\r\n0\r\n*0\r\n"},
		{"SCAN ''", "*2\r\n$1\r\n0\r\n*0\r\n"},
		{"SCAN +0", "*2\r\n$1\r\n0\r\n*0\r\n"},
		{"SET k v", OK},
		{"SCAN 0", "*2\r\n$1\r\n0\r\n*1\r\n$1\r\nk\r\n"},
		{"SCAN 0 TYPE list", "*2\r\n$1\r\n0\r\n*0\r\n"},
		{"SCAN 0 TYPE STRING MATCH k COUNT 5", "*2\r\n$1\r\n0\r\n*1\r\n$1\r\nk\r\n"},
		{"SCAN 0 MATCH x*", "*2\r\n$1\r\n0\r\n*0\r\n"},
	};
	struct client *c;
	struct world *w = open_world(NULL, &c);
	(void)state;
	EXPECT_ALL(c, table);
	close_world(w, c);
}

static void test_scan_finds_every_key(void **state) {
	enum { KEYS = 1000 };
	struct client *c;
	struct world *w = open_world(NULL, &c);
	char line[96];
	bool seen[KEYS] = {false};
	unsigned calls = 0;
	(void)state;
	for (unsigned i = 0; i < KEYS; i++) {
		snprintf(line, sizeof(line), "SET key:%u v", i);
		expect(c, line, OK);
	}
	char cursor[32] = "0";
	do {
		snprintf(line, sizeof(line), "SCAN %s COUNT 20 MATCH key:*", cursor);
		const char *reply = ask(c, line);
		assert_int_equal(sscanf(reply, "*2\r\n$%*d\r\n%31[0-9]\r\n", cursor), 1);
		for (const char *p = strstr(reply, "key:"); p != NULL; p = strstr(p + 1, "key:"))
			seen[atoi(p + 4)] = true;
		calls++;
	} while (strcmp(cursor, "0") != 0);
	assert_in_range(calls, 5, KEYS);
	for (unsigned i = 0; i < KEYS; i++)
		assert_true(seen[i]);
	close_world(w, c);
}

static void test_expire(void **state) {
	static const struct exchange table[] = {
		{"EXPIRE none 10", ":0\r\n"},
		{"TTL none", ":-2\r\n"},
		{"PTTL none", ":-2\r\n"},
		{"EXPIRETIME none", ":-2\r\n"},
		{"SET k v", OK},
		{"PEXPIRETIME k", ":-1\r\n"},
		{"PERSIST k", ":0\r\n"},
		{"PERSIST none", ":0\r\n"},
		{"EXPIRE k 10", ":1\r\n"},
		{"PTTL k", ":10000\r\n"},
		{"EXPIRETIME k", ":1700000010\r\n"},
		{"PEXPIRETIME k", ":1700000010000\r\n"},
		{"PERSIST k", ":1\r\n"},
		{"PEXPIRE k 1499", ":1\r\n"},
		{"TTL k", ":1\r\n"},
		{"PEXPIRE k 1500", ":1\r\n"},
		{"TTL k", ":2\r\n"},
		{"EXPIREAT k 1700000100", ":1\r\n"},
		{"TTL k", ":100\r\n"},
		{"PEXPIREAT k 1700000000001", ":1\r\n"},
		{"PTTL k", ":1\r\n"},
		{"PEXPIREAT k 9223372036854775807", ":1\r\n"},
		{"EXPIRETIME k", ":9223372036854776\r\n"},
		{"EXPIRE k a", "-ERR value is not an integer or out of range\r\n"},
		{"EXPIRE k 9223372036854775807", "-ERR invalid expire time in 'expire' command\r\n"},
		{"EXPIRE k -9223372036854775808", "-ERR invalid expire time in 'expire' command\r\n"},
		{"PEXPIRE k 9223372036854775807", "-ERR invalid expire time in 'pexpire' command\r\n"},
		{"EXPIREAT k 9223372036854775", ":1\r\n"},
		{"EXPIRE k 10 bogus", "-ERR Unsupported option bogus\r\n"},
		{"EXPIRE k 10 NX GT", "-ERR NX and XX, GT or LT options at the same time are not compatible\r\n"},
		{"EXPIRE k a GT LT", "-ERR GT and LT options at the same time are not compatible\r\n"},
		{"EXPIRE k -1", ":1\r\n"},
		{"EXISTS k", ":0\r\n"},
		{"SET k v", OK},
		{"PEXPIREAT k 0", ":1\r\n"},
		{"EXISTS k", ":0\r\n"},
		{"SET k v", OK},
		{"EXPIRE k 0", ":1\r\n"},
		{"EXISTS k", ":0\r\n"},
	};
	struct client *c;
	struct world *w = open_world(NULL, &c);
	(void)state;
	EXPECT_ALL(c, table);
	close_world(w, c);
}

/* Every condition, for a key that lives for ever and for one with 100 seconds left. */
static void test_conditions(void **state) {
	static const struct {
		const char *condition;
		const char *seconds;
		bool without; /* whether it takes effect on a key without a deadline */
		bool with;    /* and on one with 100 seconds left */
	} table[] = {
		{"", "50", true, true},         {"NX", "50", true, false},    {"XX", "50", false, true},
		{"GT", "50", false, false},     {"GT", "100", false, false},  {"GT", "101", false, true},
		{"LT", "50", true, true},       {"LT", "100", true, false},   {"LT", "101", true, false},
		{"XX GT", "101", false, true},  {"XX GT", "9", false, false}, {"XX LT", "9", false, true},
		{"XX LT", "101", false, false},
	};
	struct client *c;
	struct world *w = open_world(NULL, &c);
	char line[96];
	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		for (int with = 0; with <= 1; with++) {
			expect(c, with ? "SET k v EX 100" : "SET k v", OK);
			bool works = with ? table[i].with : table[i].without;
			snprintf(line, sizeof(line), "EXPIRE k %s %s", table[i].seconds, table[i].condition);
			expect(c, line, works ? ":1\r\n" : ":0\r\n");
			char ttl[32];
			snprintf(ttl, sizeof(ttl), ":%s\r\n", works ? table[i].seconds : with ? "100" : "-1");
			expect(c, "TTL k", ttl);
		}
	}
	close_world(w, c);
}

static void test_what_is_due_is_gone(void **state) {
	struct client *c;
	struct world *w = open_world(NULL, &c);
	(void)state;
	expect(c, "SET k v PX 100", OK);
	expect(c, "SET stays v", OK);
	world_pass(w, 99);
	expect(c, "PTTL k", ":1\r\n");
	expect(c, "GET k", "$1\r\nv\r\n");
	world_pass(w, 2);
	expect(c, "DBSIZE", ":1\r\n");
	expect(c, "KEYS *", "*1\r\n$5\r\nstays\r\n");
	expect(c, "GET k", NIL);
	expect(c, "TTL k", ":-2\r\n");
	expect(c, "EXPIRE k 10", ":0\r\n");
	expect(c, "RANDOMKEY", "$5\r\nstays\r\n");
	assert_int_equal(counter_get(&c->session.tenant->counters.expirations), 1);
	close_world(w, c);
}

static void test_limits_of_ttl(void **state) {
	const struct tenant_limits limits = {.default_ttl = 60000, .max_ttl = 100000};
	static const struct exchange table[] = {
		{"SET k v", OK},          {"TTL k", ":60\r\n"},  {"SET k v EX 80", OK},       {"TTL k", ":80\r\n"},
		{"SET k v EX 500", OK},   {"TTL k", ":100\r\n"}, {"EXPIRE k 5000", ":1\r\n"}, {"TTL k", ":100\r\n"},
		{"EXPIRE k 5", ":1\r\n"}, {"TTL k", ":5\r\n"},   {"INCR n", ":1\r\n"},        {"TTL n", ":60\r\n"},
	};
	struct client *c;
	struct world *w = open_world(&limits, &c);
	(void)state;
	EXPECT_ALL(c, table);
	close_world(w, c);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_scan_errors),
		cmocka_unit_test(test_scan_finds_every_key),
		cmocka_unit_test(test_expire),
		cmocka_unit_test(test_conditions),
		cmocka_unit_test(test_what_is_due_is_gone),
		cmocka_unit_test(test_limits_of_ttl),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
