/* EXPIRE and its variants, TTL and its variants, PERSIST. */
#include "atomdb/store/tenant.h"
#include "world.h"

#define OK  "+OK\r\n"
#define NIL "$-1\r\n"

static void test_times_in_the_past_delete_and_times_that_do_not_fit_are_refused(void **state) {
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
	(void)state;
	EXPECT_ON_NEW_SERVER(table);
}

/* Tries each condition on a key without a deadline, and on one with 100 seconds left. */
static void test_conditions_compare_with_the_deadline_of_the_key(void **state) {
	static const struct {
		const char *condition;
		const char *seconds;
		bool without; /* it takes effect on a key without a deadline */
		bool with;    /* it takes effect on a key with 100 seconds left */
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

static void test_a_key_that_is_due_is_gone_for_every_command(void **state) {
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

static void test_the_limits_of_a_tenant_bound_every_time_to_live(void **state) {
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

static void test_a_refused_expire_leaves_the_deadline(void **state) {
	static const struct exchange table[] = {
		{"SET k v EX 100", OK},
		{"EXPIRE k 10 XX bogus", "-ERR Unsupported option bogus\r\n"},
		{"EXPIRE k 10 XX NX", "-ERR NX and XX, GT or LT options at the same time are not compatible\r\n"},
		{"EXPIRE k 9223372036854775807", "-ERR invalid expire time in 'expire' command\r\n"},
		{"EXPIREAT k 9223372036854776", "-ERR invalid expire time in 'expireat' command\r\n"},
		{"PEXPIRE k 9223372036854775807", "-ERR invalid expire time in 'pexpire' command\r\n"},
		{"EXPIRE k", "-ERR wrong number of arguments for 'expire' command\r\n"},
		{"PTTL k", ":100000\r\n"},
	};
	(void)state;
	EXPECT_ON_NEW_SERVER(table);
}

static void test_each_change_of_a_deadline_is_one_event(void **state) {
	struct client *c;
	struct world *w = open_world(NULL, &c);
	struct client *listener = join(w, c);
	static const struct {
		const char *line, *event;
	} table[] = {
		{"EXPIRE k 10", "expire"}, {"EXPIRE k 10 NX", NULL}, {"PERSIST k", "persist"},
		{"PERSIST k", NULL},       {"EXPIRE none 1", NULL},  {"EXPIRE k -1", "del"},
	};
	(void)state;
	expect(c, "CONFIG SET notify-keyspace-events Kg", OK);
	const struct slice subscribe[] = {SLICE("PSUBSCRIBE"), SLICE("__keyspace@0__:k")};
	client_run(listener, subscribe, 2);
	expect(c, "SET k v", OK);
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		ask(c, table[i].line);
		const char *text = pushed(listener);
		if (table[i].event == NULL)
			assert_string_equal(text, "");
		else
			assert_non_null(strstr(text, table[i].event));
	}
	client_free(listener);
	close_world(w, c);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_times_in_the_past_delete_and_times_that_do_not_fit_are_refused),
		cmocka_unit_test(test_conditions_compare_with_the_deadline_of_the_key),
		cmocka_unit_test(test_a_key_that_is_due_is_gone_for_every_command),
		cmocka_unit_test(test_the_limits_of_a_tenant_bound_every_time_to_live),
		cmocka_unit_test(test_a_refused_expire_leaves_the_deadline),
		cmocka_unit_test(test_each_change_of_a_deadline_is_one_event),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
