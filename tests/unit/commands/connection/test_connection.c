/* AUTH, HELLO, RESET, SELECT and the other commands of the connection itself. */
#include "world.h"

#define OK     "+OK\r\n"
#define NOAUTH "-NOAUTH Authentication required.\r\n"

static void test_replies_are_those_of_redis(void **state) {
	static const struct exchange table[] = {
		{"PING", "+PONG\r\n"},
		{"ping hello", "$5\r\nhello\r\n"},
		{"PING a b", "-ERR wrong number of arguments for 'ping' command\r\n"},
		{"ECHO hello", "$5\r\nhello\r\n"},
		{"SELECT 15", OK},
		{"SELECT 16", "-ERR DB index is out of range\r\n"},
		{"SELECT -1", "-ERR DB index is out of range\r\n"},
		{"SELECT a", "-ERR value is not an integer or out of range\r\n"},
		{"SELECT 4294967296", "-ERR value is out of range, value must between -2147483648 and 2147483647\r\n"},
		{"HELLO a", "-ERR Protocol version is not an integer or out of range\r\n"},
		{"HELLO 4", "-NOPROTO unsupported protocol version\r\n"},
		{"HELLO 2 foo", "-ERR Syntax error in HELLO option 'foo'\r\n"},
		{"HELLO 2 AUTH a", "-ERR Syntax error in HELLO option 'AUTH'\r\n"},
		{"HELLO 2 SETNAME a_b", "-ERR Client names cannot contain spaces, newlines or special characters.\r\n"},
		{"GET none", "$-1\r\n"},
		{"CLIENT GETNAME", "$-1\r\n"},
		{"NOSUCH a b", "-ERR unknown command 'NOSUCH', with args beginning with: 'a' 'b' \r\n"},
		{"client bogus", "-ERR unknown subcommand 'bogus'. Try CLIENT HELP.\r\n"},
		{"CLIENT", "-ERR wrong number of arguments for 'client' command\r\n"},
		{"CLIENT ID x", "-ERR wrong number of arguments for 'client|id' command\r\n"},
		{"client|id", "-ERR unknown command 'client|id', with args beginning with: \r\n"},
	};
	struct client *c;
	struct world *w = open_world(NULL, &c);
	char want[256];
	(void)state;
	EXPECT_ALL(c, table);
	snprintf(want, sizeof(want),
		 "%%7\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$6\r\n7.0.15\r\n$5\r\nproto\r\n:3\r\n$"
		 "2\r\nid\r\n"
		 ":%u\r\n$4\r\nmode\r\n$10\r\nstandalone\r\n$4\r\nrole\r\n$6\r\nmaster\r\n$7\r\nmodules\r\n*0\r\n",
		 (unsigned)c->session.id);
	expect(c, "HELLO 3 SETNAME me", want);
	expect(c, "CLIENT GETNAME", "$2\r\nme\r\n");
	expect(c, "GET none", "_\r\n");
	expect(c, "RESET", "+RESET\r\n");
	assert_int_equal(c->writer.protocol, 2);
	assert_null(c->session.tenant);
	assert_null(c->session.name);
	expect(c, "GET k", NOAUTH);
	close_world(w, c);
}

static void test_hello_runs_its_options_in_order_and_changes_the_protocol_last(void **state) {
	struct client *c;
	struct world *w = open_world(NULL, &c);
	(void)state;
	expect(c, "HELLO 3 SETNAME first bogus", "-ERR Syntax error in HELLO option 'bogus'\r\n");
	assert_int_equal(c->writer.protocol, 2);
	assert_string_equal(c->session.name, "first");
	expect(c, "HELLO 3 SETNAME", "-ERR Syntax error in HELLO option 'SETNAME'\r\n");
	expect(c, "HELLO 1", "-NOPROTO unsupported protocol version\r\n");
	expect_part(c, "HELLO", "*14\r\n$6\r\nserver\r\n");
	expect_part(c, "HELLO 3 SETNAME me AUTH default secret", "%7\r\n");
	assert_string_equal(c->session.name, "me");
	expect_part(c, "HELLO", "%7\r\n");
	expect_part(c, "HELLO 2", "*14\r\n");
	/* Only the last secret is tried. */
	struct tenant *before = c->session.tenant;
	expect_part(c, "HELLO 3 AUTH default other AUTH default secret", "%7\r\n");
	assert_ptr_equal(c->session.tenant, before);
	/* As in Redis, options behind an unknown one have no effect. */
	expect(c, "HELLO 3 AUTH nobody secret bogus AUTH default secret",
	       "-WRONGPASS invalid username-password pair or user is disabled.\r\n");
	close_world(w, c);
}

static void test_auth_is_refused_inside_a_transaction(void **state) {
	static const struct exchange table[] = {
		{"MULTI", OK},
		{"AUTH secret", "+QUEUED\r\n"},
		{"SELECT 16", "+QUEUED\r\n"},
		{"EXEC", "*2\r\n-ERR AUTH inside a transaction is not possible: a secret opens another keyspace\r\n"
			 "-ERR DB index is out of range\r\n"},
	};
	(void)state;
	EXPECT_ON_NEW_SERVER(table);
}

static void test_reset_restores_the_initial_state_of_the_client(void **state) {
	struct client *c;
	struct world *w = open_world(NULL, &c);
	(void)state;
	ask(c, "HELLO 3 SETNAME me");
	expect(c, "SELECT 5", OK);
	expect(c, "CLIENT NO-EVICT ON", OK);
	expect(c, "WATCH k", OK);
	expect(c, "CLIENT TRACKING ON", OK);
	ask(c, "SUBSCRIBE a");
	expect(c, "MULTI", OK);
	expect(c, "RESET", "+RESET\r\n");
	assert_int_equal(c->session.flags & (SESSION_EVENT_FLAGS | SESSION_NO_EVICT), SESSION_NO_EVICT);
	assert_int_equal(c->session.database, 0);
	assert_null(c->session.name);
	expect(c, "PING", NOAUTH);
	close_world(w, c);
}

static void test_a_subscriber_of_resp2_gets_pong_as_a_message(void **state) {
	struct client *c;
	struct world *w = open_world(NULL, &c);
	(void)state;
	ask(c, "SUBSCRIBE a");
	expect(c, "PING", "*2\r\n$4\r\npong\r\n$0\r\n\r\n");
	expect(c, "PING x", "*2\r\n$4\r\npong\r\n$1\r\nx\r\n");
	ask(c, "UNSUBSCRIBE");
	expect(c, "PING", "+PONG\r\n");
	expect(c, "QUIT", OK);
	assert_int_equal(c->outcome, OUTCOME_CLOSE);
	close_world(w, c);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_replies_are_those_of_redis),
		cmocka_unit_test(test_hello_runs_its_options_in_order_and_changes_the_protocol_last),
		cmocka_unit_test(test_auth_is_refused_inside_a_transaction),
		cmocka_unit_test(test_reset_restores_the_initial_state_of_the_client),
		cmocka_unit_test(test_a_subscriber_of_resp2_gets_pong_as_a_message),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
