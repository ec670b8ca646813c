#include "world.h"

#define OK "+OK\r\n"

static void test_a_monitor_is_sent_the_commands_of_its_tenant(void **state) {
	struct client *a;
	struct world *w = open_world(NULL, &a);
	struct client *b = join(w, a);
	(void)state;
	expect(a, "MONITOR", OK);
	expect(b, "SET k 1", OK);
	const char *line = pushed(a);
	assert_int_equal(line[0], '+');
	assert_non_null(strstr(line, "\"SET\" \"k\" \"1\"\r\n"));
	client_free(b);
	close_world(w, a);
}

static void test_a_second_monitor_is_not_answered(void **state) {
	struct client *a;
	struct world *w = open_world(NULL, &a);
	(void)state;
	expect(a, "MONITOR", OK);
	expect(a, "MONITOR", "");
	close_world(w, a);
}

static void test_a_monitor_touches_no_keys_until_it_is_reset(void **state) {
	struct client *a;
	struct world *w = open_world(NULL, &a);
	(void)state;
	expect(a, "MONITOR", OK);
	expect(a, "GET k", "-ERR Replica can't interact with the keyspace\r\n");
	expect(a, "PUBLISH c m", "-ERR Replica can't interact with the keyspace\r\n");
	expect(a, "PING", "+PONG\r\n");
	expect(a, "RESET", "+RESET\r\n");
	expect(a, "AUTH secret", OK);
	expect(a, "GET k", "$-1\r\n");
	close_world(w, a);
}

static void test_monitor_is_refused_in_a_transaction(void **state) {
	struct client *a;
	struct world *w = open_world(NULL, &a);
	(void)state;
	expect(a, "MULTI", OK);
	ask(a, "MONITOR");
	expect(a, "EXEC", "*1\r\n-ERR MONITOR isn't allowed for DENY BLOCKING client\r\n");
	close_world(w, a);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_monitor_is_sent_the_commands_of_its_tenant),
		cmocka_unit_test(test_a_second_monitor_is_not_answered),
		cmocka_unit_test(test_a_monitor_touches_no_keys_until_it_is_reset),
		cmocka_unit_test(test_monitor_is_refused_in_a_transaction),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
