#include "atomdb/events/subscriptions.h"
#include "world.h"

#define OK     "+OK\r\n"
#define QUEUED "+QUEUED\r\n"

static void test_queued_commands_run_at_exec(void **state) {
	static const struct exchange table[] = {
		{"EXEC", "-ERR EXEC without MULTI\r\n"},
		{"DISCARD", "-ERR DISCARD without MULTI\r\n"},
		{"MULTI", OK},
		{"MULTI", "-ERR MULTI calls can not be nested\r\n"},
		{"SET k 1", QUEUED},
		{"INCR k", QUEUED},
		{"WATCH k", "-ERR WATCH inside MULTI is not allowed\r\n"},
		{"EXEC", "*2\r\n+OK\r\n:2\r\n"},
		{"GET k", "$1\r\n2\r\n"},
		{"MULTI", OK},
		{"EXEC", "*0\r\n"},
	};
	struct client *c;
	struct world *w = open_world(NULL, &c);
	(void)state;
	EXPECT_ALL(c, table);
	close_world(w, c);
}

static void test_discard_runs_nothing_and_unwatches(void **state) {
	static const struct exchange table[] = {
		{"WATCH k", OK}, {"MULTI", OK},          {"SET k 1", QUEUED},
		{"DISCARD", OK}, {"EXISTS k", ":0\r\n"}, {"SET k 2", OK},
		{"MULTI", OK},   {"GET k", QUEUED},      {"EXEC", "*1\r\n$1\r\n2\r\n"},
	};
	struct client *c;
	struct world *w = open_world(NULL, &c);
	(void)state;
	EXPECT_ALL(c, table);
	close_world(w, c);
}

static void test_a_refused_command_aborts_the_transaction(void **state) {
	static const struct exchange table[] = {
		{"MULTI", OK},
		{"SET k 1", QUEUED},
		{"SET k", "-ERR wrong number of arguments for 'set' command\r\n"},
		{"EXEC", "-EXECABORT Transaction discarded because of previous errors.\r\n"},
		{"EXISTS k", ":0\r\n"},
		{"EXEC", "-ERR EXEC without MULTI\r\n"},
	};
	struct client *c;
	struct world *w = open_world(NULL, &c);
	(void)state;
	EXPECT_ALL(c, table);
	close_world(w, c);
}

static void test_exec_with_arguments_ends_the_transaction(void **state) {
	static const struct exchange table[] = {
		{"MULTI", OK},
		{"EXEC now", "-EXECABORT Transaction discarded because of: wrong number of arguments for 'exec' "
			     "command\r\n"},
		{"EXEC", "-ERR EXEC without MULTI\r\n"},
	};
	struct client *c;
	struct world *w = open_world(NULL, &c);
	(void)state;
	EXPECT_ALL(c, table);
	close_world(w, c);
}

static void test_a_changed_watched_key_makes_exec_null_unless_it_is_unwatched(void **state) {
	struct client *a;
	struct world *w = open_world(NULL, &a);
	struct client *b = join(w, a);
	(void)state;
	expect(a, "WATCH k", OK);
	expect(b, "SET k 1", OK);
	/* The transaction will fail: WATCH adds no keys. */
	expect(a, "WATCH l", OK);
	assert_int_equal(subscription_count(&a->session, CHANNEL_WATCHED_KEY), 1);
	expect(a, "MULTI", OK);
	expect(a, "SET k 2", QUEUED);
	expect(a, "EXEC", "*-1\r\n");
	expect(a, "GET k", "$1\r\n1\r\n");
	expect(a, "WATCH k", OK);
	expect(b, "SET k 3", OK);
	expect(a, "UNWATCH", OK);
	expect(a, "MULTI", OK);
	expect(a, "GET k", QUEUED);
	expect(a, "EXEC", "*1\r\n$1\r\n3\r\n");
	client_free(b);
	close_world(w, a);
}

static void test_an_error_of_a_command_does_not_stop_the_others(void **state) {
	static const struct exchange table[] = {
		{"MULTI", OK},
		{"SET k text", QUEUED},
		{"INCR k", QUEUED},
		{"APPEND k s", QUEUED},
		{"EXEC", "*3\r\n+OK\r\n-ERR value is not an integer or out of range\r\n:5\r\n"},
	};
	struct client *c;
	struct world *w = open_world(NULL, &c);
	(void)state;
	EXPECT_ALL(c, table);
	close_world(w, c);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_queued_commands_run_at_exec),
		cmocka_unit_test(test_discard_runs_nothing_and_unwatches),
		cmocka_unit_test(test_a_refused_command_aborts_the_transaction),
		cmocka_unit_test(test_exec_with_arguments_ends_the_transaction),
		cmocka_unit_test(test_a_changed_watched_key_makes_exec_null_unless_it_is_unwatched),
		cmocka_unit_test(test_an_error_of_a_command_does_not_stop_the_others),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
