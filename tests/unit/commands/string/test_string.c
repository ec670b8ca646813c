/* The commands of string values: replies, conditions, times to live, errors. */
#include "atomdb/store/string.h"
#include "atomdb/store/tenant.h"
#include "world.h"

#define NIL         "$-1\r\n"
#define OK          "+OK\r\n"
#define SYNTAX      "-ERR syntax error\r\n"
#define NOT_INTEGER "-ERR value is not an integer or out of range\r\n"

static void test_get_returns_the_value_of_set(void **state) {
	static const struct exchange table[] = {
		{"GET k", NIL},
		{"SET k v", OK},
		{"GET k", "$1\r\nv\r\n"},
		{"SET k ''", OK},
		{"GET k", "$0\r\n\r\n"},
		{"STRLEN k", ":0\r\n"},
		{"STRLEN none", ":0\r\n"},
		{"SET k 12345", OK},
		{"STRLEN k", ":5\r\n"},
		{"set K other", OK},
		{"gEt K", "$5\r\nother\r\n"},
		{"GET k", "$5\r\n12345\r\n"},
		{"GET", "-ERR wrong number of arguments for 'get' command\r\n"},
		{"GET a b", "-ERR wrong number of arguments for 'get' command\r\n"},
		{"SET k", "-ERR wrong number of arguments for 'set' command\r\n"},
	};
	(void)state;
	EXPECT_ON_NEW_SERVER(table);
}

static void test_set_obeys_its_options(void **state) {
	static const struct exchange table[] = {
		{"SET k v XX", NIL},
		{"SET k v XX GET", NIL},
		{"EXISTS k", ":0\r\n"},
		{"SET k v NX", OK},
		{"SET k w NX", NIL},
		{"SET k w NX GET", "$1\r\nv\r\n"},
		{"GET k", "$1\r\nv\r\n"},
		{"SET k w XX", OK},
		{"SET k x GET", "$1\r\nw\r\n"},
		{"SET n x GET", NIL},
		{"GET n", "$1\r\nx\r\n"},
		{"SET k v NX XX", SYNTAX},
		{"SET k v XX NX", SYNTAX},
		{"SET k v EX", SYNTAX},
		{"SET k v EX 1 PX 1", SYNTAX},
		{"SET k v KEEPTTL EX 1", SYNTAX},
		{"SET k v EX 1 KEEPTTL", SYNTAX},
		{"SET k v PERSIST", SYNTAX},
		{"SET k v bogus", SYNTAX},
		{"SET k v EX a", NOT_INTEGER},
		{"SET k v EX 0", "-ERR invalid expire time in 'set' command\r\n"},
		{"SET k v PX -1", "-ERR invalid expire time in 'set' command\r\n"},
		{"SET k v EX 9223372036854775807", "-ERR invalid expire time in 'set' command\r\n"},
		{"SET k v PX 9223372036854775807", "-ERR invalid expire time in 'set' command\r\n"},
		{"GET k", "$1\r\nx\r\n"},
		{"SET k v EX 10 EX 20", OK},
		{"TTL k", ":20\r\n"},
		{"SET k w KEEPTTL", OK},
		{"TTL k", ":20\r\n"},
		{"SET k w", OK},
		{"TTL k", ":-1\r\n"},
		{"SET k w PX 1500", OK},
		{"PTTL k", ":1500\r\n"},
		{"SET k w EXAT 1700000100", OK},
		{"TTL k", ":100\r\n"},
		{"SET k w pxat 1700000000250", OK},
		{"PTTL k", ":250\r\n"},
		{"SET k w EXAT 1", OK},
		{"GET k", NIL},
		{"SET k w PXAT 5 GET", NIL},
		{"EXISTS k", ":0\r\n"},
		{"SET fresh w KEEPTTL", OK},
		{"TTL fresh", ":-1\r\n"},
	};
	(void)state;
	EXPECT_ON_NEW_SERVER(table);
}

static void test_variants_of_set_answer_as_in_redis(void **state) {
	static const struct exchange table[] = {
		{"SETNX k v", ":1\r\n"},
		{"SETNX k w", ":0\r\n"},
		{"GETSET k w", "$1\r\nv\r\n"},
		{"GETSET n w", NIL},
		{"GETDEL n", "$1\r\nw\r\n"},
		{"GETDEL n", NIL},
		{"SETEX k 10 v", OK},
		{"TTL k", ":10\r\n"},
		{"GETSET k w", "$1\r\nv\r\n"},
		{"TTL k", ":-1\r\n"},
		{"PSETEX k 10 v", OK},
		{"PTTL k", ":10\r\n"},
		{"SETEX k 0 v", "-ERR invalid expire time in 'setex' command\r\n"},
		{"SETEX k a v", NOT_INTEGER},
		{"PSETEX k -1 v", "-ERR invalid expire time in 'psetex' command\r\n"},
		{"MSET a 1 b 2 a 3", OK},
		{"MGET a b none", "*3\r\n$1\r\n3\r\n$1\r\n2\r\n$-1\r\n"},
		{"MSET a 1 b", "-ERR wrong number of arguments for 'mset' command\r\n"},
		{"MSET a", "-ERR wrong number of arguments for 'mset' command\r\n"},
	};
	(void)state;
	EXPECT_ON_NEW_SERVER(table);
}

static void test_getex_changes_the_deadline(void **state) {
	static const struct exchange table[] = {
		{"GETEX k", NIL},
		{"GETEX k EX a", NIL},
		{"SET k v", OK},
		{"GETEX k", "$1\r\nv\r\n"},
		{"TTL k", ":-1\r\n"},
		{"GETEX k EX 10", "$1\r\nv\r\n"},
		{"TTL k", ":10\r\n"},
		{"GETEX k", "$1\r\nv\r\n"},
		{"TTL k", ":10\r\n"},
		{"GETEX k PERSIST", "$1\r\nv\r\n"},
		{"TTL k", ":-1\r\n"},
		{"GETEX k PX 700", "$1\r\nv\r\n"},
		{"PTTL k", ":700\r\n"},
		{"GETEX k EX 0", "-ERR invalid expire time in 'getex' command\r\n"},
		{"GETEX k EX a", NOT_INTEGER},
		{"GETEX k PERSIST EX 1", SYNTAX},
		{"GETEX k EX 1 PERSIST", SYNTAX},
		{"GETEX k KEEPTTL", SYNTAX},
		{"GETEX k EX", SYNTAX},
		{"PTTL k", ":700\r\n"},
		{"GETEX k PXAT 1", "$1\r\nv\r\n"},
		{"GET k", NIL},
	};
	(void)state;
	EXPECT_ON_NEW_SERVER(table);
}

static void test_append_extends_the_value_and_keeps_the_deadline(void **state) {
	static const struct exchange table[] = {
		{"APPEND k Hello", ":5\r\n"},
		{"APPEND k World", ":10\r\n"},
		{"GET k", "$10\r\nHelloWorld\r\n"},
		{"APPEND k ''", ":10\r\n"},
		{"APPEND none ''", ":0\r\n"},
		{"EXISTS none", ":1\r\n"},
		{"SET n 12", OK},
		{"APPEND n 34", ":4\r\n"},
		{"INCR n", ":1235\r\n"},
		{"SET t v EX 10", OK},
		{"APPEND t w", ":2\r\n"},
		{"TTL t", ":10\r\n"},
	};
	(void)state;
	EXPECT_ON_NEW_SERVER(table);
}

static void test_append_beyond_the_limit_is_refused(void **state) {
	struct client *c;
	struct world *w = open_world(NULL, &c);
	(void)state;
	char *big = calloc(1, STRING_MAX);
	assert_non_null(big);
	struct slice argv[3] = {SLICE("APPEND"), SLICE("big"), {big, STRING_MAX}};
	assert_string_equal(client_run(c, argv, 3), ":536870912\r\n");
	expect(c, "APPEND big x", "-ERR string exceeds maximum allowed size (proto-max-bulk-len)\r\n");
	expect(c, "STRLEN big", ":536870912\r\n");
	expect(c, "DEL big", ":1\r\n");
	free(big);
	close_world(w, c);
}

/* The error is the whole reply, although SET writes the reply of its GET option before it. */
static void test_a_write_to_a_full_tenant_answers_only_the_error(void **state) {
	const struct tenant_limits limits = {.max_entries = 1, .eviction = EVICTION_NONE};
	static const char oom[] = "-OOM command not allowed when used memory > 'maxmemory'.\r\n";
	struct client *c;
	struct world *w = open_world(&limits, &c);
	(void)state;
	expect(c, "SET a 1", OK);
	expect(c, "SET b 1", oom);
	expect(c, "SET b 1 GET", oom);
	expect(c, "GETSET b 1", oom);
	expect(c, "SETNX b 1", oom);
	expect(c, "MSET b 1", oom);
	expect(c, "APPEND b 1", oom);
	expect(c, "INCR b", oom);
	expect(c, "SET a 2 GET", "$1\r\n1\r\n");
	expect(c, "DBSIZE", ":1\r\n");
	close_world(w, c);
}

static void test_the_least_recently_used_key_is_evicted(void **state) {
	const struct tenant_limits limits = {.max_entries = 3};
	static const struct exchange table[] = {
		{"MSET a 1 b 2 c 3", OK},
		{"GET a", "$1\r\n1\r\n"},
		{"SET d 4", OK},
		{"EXISTS a b c d", ":3\r\n"},
		{"EXISTS b", ":0\r\n"},
		{"TTL c", ":-1\r\n"}, /* TTL is not a use */
		{"SET e 5", OK},
		{"EXISTS c", ":0\r\n"},
		{"TOUCH a", ":1\r\n"},
		{"SET f 6", OK},
		{"MGET a d e f", "*4\r\n$1\r\n1\r\n$-1\r\n$1\r\n5\r\n$1\r\n6\r\n"},
	};
	struct client *c;
	struct world *w = open_world(&limits, &c);
	(void)state;
	EXPECT_ALL(c, table);
	close_world(w, c);
}

static void test_each_read_counts_as_a_hit_or_a_miss(void **state) {
	struct client *c;
	struct world *w = open_world(NULL, &c);
	(void)state;
	expect(c, "SET k v", OK);
	const struct tenant_counters *f = &c->session.tenant->counters;
	assert_int_equal(counter_get(&f->hits) + counter_get(&f->misses), 0);
	static const char *const counted[] = {"GET", "STRLEN", "MGET", "EXISTS", "TOUCH", "TTL", "TYPE", "GETEX"};
	for (size_t i = 0; i < sizeof(counted) / sizeof(counted[0]); i++) {
		char line[64];
		snprintf(line, sizeof(line), "%s k", counted[i]);
		ask(c, line);
		snprintf(line, sizeof(line), "%s none", counted[i]);
		ask(c, line);
		assert_int_equal(counter_get(&f->hits), i + 1);
		assert_int_equal(counter_get(&f->misses), i + 1);
	}
	close_world(w, c);
}

static void test_msetnx_sets_all_keys_or_none(void **state) {
	static const struct exchange table[] = {
		{"MSETNX a 1 b 2 a 3", ":1\r\n"},
		{"MGET a b", "*2\r\n$1\r\n3\r\n$1\r\n2\r\n"},
		{"MSETNX c 1 b 3", ":0\r\n"},
		{"EXISTS c", ":0\r\n"},
		{"MSETNX c 1 b", "-ERR wrong number of arguments for 'msetnx' command\r\n"},
	};
	(void)state;
	EXPECT_ON_NEW_SERVER(table);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_get_returns_the_value_of_set),
		cmocka_unit_test(test_set_obeys_its_options),
		cmocka_unit_test(test_variants_of_set_answer_as_in_redis),
		cmocka_unit_test(test_getex_changes_the_deadline),
		cmocka_unit_test(test_append_extends_the_value_and_keeps_the_deadline),
		cmocka_unit_test(test_append_beyond_the_limit_is_refused),
		cmocka_unit_test(test_a_write_to_a_full_tenant_answers_only_the_error),
		cmocka_unit_test(test_the_least_recently_used_key_is_evicted),
		cmocka_unit_test(test_each_read_counts_as_a_hit_or_a_miss),
		cmocka_unit_test(test_msetnx_sets_all_keys_or_none),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
