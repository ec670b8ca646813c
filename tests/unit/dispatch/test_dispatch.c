#include "atomdb/dispatch/dispatch.h"
#include "world.h"

#define OK     "+OK\r\n"
#define NOAUTH "-NOAUTH Authentication required.\r\n"

static void test_checks_run_in_the_order_of_redis(void **state) {
	static const struct exchange without_auth[] = {
		{"NOSUCH", "-ERR unknown command 'NOSUCH', with args beginning with: \r\n"},
		{"GET", "-ERR wrong number of arguments for 'get' command\r\n"},
		{"GET k", NOAUTH},
	};
	static const struct exchange without_tokens[] = {
		{"NOSUCH a b", "-ERR unknown command 'NOSUCH', with args beginning with: 'a' 'b' \r\n"},
		{"GET", "-ERR wrong number of arguments for 'get' command\r\n"},
		{"GET k", "-ERR commands_per_second of this tenant exceeded\r\n"},
		{"AUTH secret", OK}, /* takes no token */
	};
	const struct tenant_limits limits = {.commands_per_second = 1};
	struct client *c;
	struct world *w = open_world(&limits, &c);
	struct client *b = client_new(w, c->session.env->worker);
	(void)state;
	EXPECT_ALL(b, without_auth);
	expect(c, "GET k", "$-1\r\n");
	EXPECT_ALL(c, without_tokens);
	assert_int_equal(counter_get(&c->session.tenant->counters.throttled), 1);
	client_free(b);
	close_world(w, c);
}

static void test_a_waiting_command_returns_its_token(void **state) {
	const struct tenant_limits limits = {.commands_per_second = 2};
	struct client *c;
	struct world *w = open_world(&limits, &c);
	(void)state;
	expect(c, "CLIENT PAUSE 1 ALL", OK);
	for (unsigned i = 0; i < 10; i++) {
		expect(c, "GET k", "");
		assert_int_equal(c->outcome, OUTCOME_BLOCKED);
	}
	world_pass(w, 1);
	expect(c, "GET k", "$-1\r\n");
	expect_part(c, "GET k", "commands_per_second");
	close_world(w, c);
}

static void test_commands_of_a_batch_are_found_whatever_came_before(void **state) {
	static const struct {
		const char *words[2], *name; /* NULL: unknown */
	} table[] = {
		{{"GET", "a"}, "get"},
		{{"GET", "b"}, "get"},
		{{"get", "c"}, "get"},
		{{"GETDEL", "a"}, "getdel"},
		{{"GETDE", "a"}, NULL},
		{{"GETDE", "a"}, NULL},
		{{"CLIENT", "ID"}, "client|id"},
		{{"CLIENT", "GETNAME"}, "client|getname"},
		{{"CLIENT", "NOSUCH"}, NULL},
		{{"CLIENT", "id"}, "client|id"},
		{{"", "a"}, NULL},
		{{"GET", "d"}, "get"},
	};
	enum { COUNT = sizeof(table) / sizeof(table[0]) };
	struct request requests[COUNT];
	struct slice argv[COUNT][2];
	struct client *c;
	struct world *w = open_world(NULL, &c);
	(void)state;
	for (unsigned i = 0; i < COUNT; i++) {
		argv[i][0] = slice_of(table[i].words[0]);
		argv[i][1] = slice_of(table[i].words[1]);
		requests[i] = (struct request){.argv = argv[i], .argc = 2};
	}
	dispatch_prepare(&c->session, requests, COUNT);
	for (unsigned i = 0; i < COUNT; i++) {
		assert_int_equal(requests[i].command != NULL, table[i].name != NULL);
		if (table[i].name != NULL)
			assert_string_equal(requests[i].command->name, table[i].name);
	}
	close_world(w, c);
}

static void test_only_a_first_key_that_was_sent_is_hashed(void **state) {
	const struct slice argv[] = {SLICE("GET"), SLICE("k")}, ping[] = {SLICE("PING"), SLICE("k")};
	struct request requests[] = {{.argv = argv, .argc = 2}, {.argv = argv, .argc = 1}, {.argv = ping, .argc = 2}};
	struct client *c;
	struct world *w = open_world(NULL, &c);
	(void)state;
	dispatch_prepare(&c->session, requests, 3);
	assert_int_equal(requests[0].hashed, c->session.attachments);
	assert_true(slice_equal(requests[0].key.name, SLICE("k")));
	assert_int_equal(requests[1].hashed, 0);
	assert_int_equal(requests[2].hashed, 0);
	close_world(w, c);
}

/* An entry that was prefetched for one tenant must not be used for another. */
static void test_nothing_is_prefetched_for_a_tenant_that_the_session_has_left(void **state) {
	const struct slice get[] = {SLICE("GET"), SLICE("k")};
	struct request r = {.argv = get, .argc = 2};
	struct client *c;
	struct world *w = open_world(NULL, &c);
	(void)state;
	expect(c, "SET k 1", OK);
	dispatch_prepare(&c->session, &r, 1);
	assert_non_null(r.bucket);
	dispatch_fetch_entries(&c->session, &r, 1);
	assert_non_null(r.entry);
	r.entry = NULL;
	expect(c, "RESET", "+RESET\r\n");
	dispatch_fetch_entries(&c->session, &r, 1);
	assert_null(r.entry);
	expect(c, "AUTH secret", OK);
	dispatch_fetch_entries(&c->session, &r, 1);
	assert_null(r.entry);
	close_world(w, c);
}

static void test_prefetching_stays_within_the_batch(void **state) {
	enum { COUNT = 20, BEHIND = 1 };
	const struct slice get[] = {SLICE("GET"), SLICE("k")};
	struct request requests[COUNT + BEHIND];
	struct client *c;
	struct world *w = open_world(NULL, &c);
	(void)state;
	expect(c, "SET k 1", OK);
	for (unsigned i = 0; i < COUNT + BEHIND; i++)
		requests[i] = (struct request){.argv = get, .argc = 2};
	dispatch_prepare(&c->session, requests, COUNT + BEHIND);
	dispatch_fetch_entries(&c->session, requests, COUNT);
	dispatch_fetch_links(&c->session, requests, COUNT);
	for (unsigned i = 0; i < COUNT; i++)
		dispatch_fetch_ahead(&c->session, &requests[i], COUNT - i);
	for (unsigned i = 0; i < COUNT; i++)
		assert_non_null(requests[i].entry);
	assert_null(requests[COUNT].entry);
	close_world(w, c);
}

static void test_a_request_of_http_is_not_answered(void **state) {
	static const char *const lines[] = {"POST /", "post /", "Host: x"};
	struct client *c;
	struct world *w = open_world(NULL, &c);
	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		expect(c, lines[i], "");
		assert_int_equal(c->outcome, OUTCOME_HTTP);
	}
	expect_part(c, "POS /", "-ERR unknown command");
	expect_part(c, "Host", "-ERR unknown command");
	close_world(w, c);
}

static void test_an_unknown_command_is_quoted_up_to_a_limit(void **state) {
	static char word[300];
	struct slice argv[] = {{word, sizeof(word)}, {word, sizeof(word)}, SLICE("hidden")};
	char expected[512];
	struct client *c;
	struct world *w = open_world(NULL, &c);
	(void)state;
	memset(word, 'x', sizeof(word));
	snprintf(expected, sizeof(expected), "-ERR unknown command '%.128s', with args beginning with: '%.128s' \r\n",
		 word, word);
	assert_string_equal(client_run(c, argv, 3), expected);
	/* The limit applies to all arguments together, with their quotes. */
	argv[1].len = argv[2].len = 100;
	argv[2].data = word;
	snprintf(expected, sizeof(expected),
		 "-ERR unknown command '%.128s', with args beginning with: '%.100s' '%.25s' \r\n", word, word, word);
	assert_string_equal(client_run(c, argv, 3), expected);
	expect(c, "client nosuch", "-ERR unknown subcommand 'nosuch'. Try CLIENT HELP.\r\n");
	assert_int_equal(c->session.env->unknown_commands, 3);
	close_world(w, c);
}

static void test_a_client_without_auth_gets_the_anonymous_tenant(void **state) {
	const struct tenants_config tenants_config = {.open = true, .anonymous = "guest"};
	struct world *w = world_new(&tenants_config);
	struct client *clients[2] = {client_new(w, 0), client_new(w, 1)};
	unsigned here = 0;
	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		clients[i]->session.home = UINT16_MAX;
		const char *reply = ask(clients[i], "SET k 1");
		if (clients[i]->outcome == OUTCOME_MIGRATE) {
			assert_string_equal(reply, "");
			assert_int_equal(clients[i]->session.home, 1 - i);
			continue;
		}
		assert_string_equal(reply, OK);
		assert_string_equal(tenant_name(clients[i]->session.tenant), "guest");
		here++;
	}
	assert_int_equal(here, 1);
	client_free(clients[0]);
	client_free(clients[1]);
	world_free(w);
}

static void test_an_error_replaces_a_reply_without_room(void **state) {
	struct client *c;
	struct world *w = open_world(NULL, &c);
	(void)state;
	expect(c, "ECHO long", "$4\r\nlong\r\n");
	c->writer.failed = true;
	dispatch_drop_reply(&c->session);
	assert_false(c->writer.failed);
	assert_true(c->out.len > 5 && memcmp(c->out.data, "-OOM ", 5) == 0);
	assert_memory_equal(c->out.data + c->out.len - 2, "\r\n", 2);
	close_world(w, c);
}

static void test_a_refused_command_fails_its_transaction_and_uses_up_a_skip(void **state) {
	struct client *c;
	struct world *w = open_world(NULL, &c);
	(void)state;
	expect(c, "MULTI", OK);
	c->out.len = 0;
	dispatch_refuse(&c->session);
	assert_true(c->out.len > 5 && memcmp(c->out.data, "-OOM ", 5) == 0);
	expect_part(c, "EXEC", "-EXECABORT");
	expect(c, "CLIENT REPLY SKIP", "");
	c->out.len = 0;
	dispatch_refuse(&c->session);
	assert_int_equal(c->out.len, 0);
	expect(c, "PING", "+PONG\r\n");
	close_world(w, c);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_checks_run_in_the_order_of_redis),
		cmocka_unit_test(test_a_waiting_command_returns_its_token),
		cmocka_unit_test(test_commands_of_a_batch_are_found_whatever_came_before),
		cmocka_unit_test(test_only_a_first_key_that_was_sent_is_hashed),
		cmocka_unit_test(test_nothing_is_prefetched_for_a_tenant_that_the_session_has_left),
		cmocka_unit_test(test_prefetching_stays_within_the_batch),
		cmocka_unit_test(test_a_request_of_http_is_not_answered),
		cmocka_unit_test(test_an_unknown_command_is_quoted_up_to_a_limit),
		cmocka_unit_test(test_a_client_without_auth_gets_the_anonymous_tenant),
		cmocka_unit_test(test_an_error_replaces_a_reply_without_room),
		cmocka_unit_test(test_a_refused_command_fails_its_transaction_and_uses_up_a_skip),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
