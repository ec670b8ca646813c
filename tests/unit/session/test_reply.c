#include "atomdb/session/reply.h"
#include "atomdb/store/pin.h"
#include "atomdb/util/error.h"
#include "atomdb/util/glob.h"
#include "store/as_string.h"
#include "world.h"

/* Expects one reply, and removes it. */
static void replied(struct client *c, enum outcome outcome, const char *text) {
	assert_int_equal(outcome, OUTCOME_DONE);
	assert_int_equal(c->out.len, strlen(text));
	assert_memory_equal(c->out.data, text, c->out.len);
	c->out.len = 0;
}

static void test_an_error_of_the_store_becomes_its_message(void **state) {
	struct client *c;
	struct world *w = open_world(NULL, &c);
	struct session *s = &c->session;
	(void)state;
	c->out.len = 0;
	replied(c, reply_store_error(s, ATOMDB_E_OOM), "-OOM command not allowed when used memory > 'maxmemory'.\r\n");
	replied(c, reply_store_error(s, ATOMDB_E_RANGE), "-ERR Out of range\r\n");
	replied(c, reply_result(s, ATOMDB_E_RANGE), "-ERR Out of range\r\n");
	replied(c, reply_result(s, 0), "+OK\r\n");
	replied(c, reply_result(s, 1), "+OK\r\n");
	replied(c, reply_syntax_error(s), "-ERR syntax error\r\n");
	replied(c, reply_too_long(s), "-ERR string exceeds maximum allowed size (proto-max-bulk-len)\r\n");
	close_world(w, c);
}

static void test_an_argument_that_is_no_integer_is_an_error(void **state) {
	struct client *c;
	struct world *w = open_world(NULL, &c);
	int64_t value = 0;
	(void)state;
	c->out.len = 0;
	assert_true(request_integer(&c->session, SLICE("-12"), &value));
	assert_int_equal(value, -12);
	assert_int_equal(c->out.len, 0);
	assert_false(request_integer(&c->session, SLICE("12x"), &value));
	replied(c, OUTCOME_DONE, "-ERR value is not an integer or out of range\r\n");
	close_world(w, c);
}

static void test_a_wrong_count_repeats_at_most_128_bytes_of_the_subcommand(void **state) {
	static char name[ECHO_MAX + 1];
	struct client *c;
	struct world *w = open_world(NULL, &c);
	struct slice argv[] = {SLICE("client"), SLICE("List")};
	const struct request r = {
		.argv = argv, .argc = 2, .command = command_find_full(&command_set, SLICE("client|list"))};
	char text[256];
	(void)state;
	c->out.len = 0;
	replied(c, reply_wrong_count(&c->session, &r),
		"-ERR unknown subcommand or wrong number of arguments for 'List'. Try CLIENT HELP.\r\n");
	memset(name, 'x', sizeof(name));
	argv[1] = (struct slice){name, sizeof(name)};
	snprintf(text, sizeof(text),
		 "-ERR unknown subcommand or wrong number of arguments for '%.128s'. Try CLIENT HELP.\r\n", name);
	replied(c, reply_wrong_count(&c->session, &r), text);
	close_world(w, c);
}

static void test_help_has_a_title_and_ends_with_itself(void **state) {
	static const char *const lines[] = {"GET <name>", "    Returns it."};
	struct client *c;
	struct world *w = open_world(NULL, &c);
	(void)state;
	c->out.len = 0;
	replied(c, reply_help_lines(&c->session, "config", lines),
		"*5\r\n+CONFIG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:\r\n+GET <name>\r\n"
		"+    Returns it.\r\n+HELP\r\n+    Prints this help.\r\n");
	close_world(w, c);
}

static void test_rewinding_removes_the_reply_since_the_mark(void **state) {
	struct client *c;
	struct world *w = open_world(NULL, &c);
	struct session *s = &c->session;
	(void)state;
	c->out.len = 0;
	writer_ok(s->reply);
	size_t mark = c->out.len;
	writer_integer(s->reply, 7);
	reply_rewind(s, mark + 100);
	assert_int_equal(c->out.len, mark + strlen(":7\r\n"));
	reply_rewind(s, mark);
	assert_int_equal(c->out.len, mark);
	writer_integer(s->reply, 7);
	replied(c, reply_costly_pattern(s, mark), "+OK\r\n-ERR the pattern takes too long to match\r\n");
	/* The connection of a failed writer is closed: its bytes stay unchanged. */
	writer_ok(s->reply);
	s->reply->failed = true;
	reply_rewind(s, 0);
	assert_int_equal(c->out.len, mark);
	close_world(w, c);
}

static void test_commands_of_a_transaction_share_the_steps_of_patterns(void **state) {
	struct client *c;
	struct world *w = open_world(NULL, &c);
	struct session *s = &c->session;
	(void)state;
	*pattern_work(s) = 5;
	assert_int_equal(*pattern_work(s), GLOB_WORK);
	s->flags |= SESSION_EXECUTING;
	*pattern_work(s) = 5;
	assert_int_equal(*pattern_work(s), 5);
	s->flags &= ~(uint32_t)SESSION_EXECUTING;
	assert_int_equal(*pattern_work(s), GLOB_WORK);
	close_world(w, c);
}

static const struct entry *find(struct session *s, const char *name) {
	struct key key = keyspace_key(s->tenant, s->db_slot, slice_of(name));
	const struct entry *e = keyspace_find(s->tenant, &key, LOOKUP_PEEK);
	assert_non_null(e);
	return e;
}

static void test_a_large_value_is_pinned_unless_the_client_may_need_bytes_behind_it(void **state) {
	char text[STRING_TEXT], head[32];
	struct client *c;
	struct world *w = open_world(NULL, &c);
	struct session *s = &c->session;
	(void)state;
	expect(c, "SETRANGE large 1048575 x", ":1048576\r\n");
	const struct entry *e = find(s, "large");
	struct slice value = string_value(as_string(e), text);
	assert_int_equal(value.len, PIN_MIN);
	c->out.len = 0;

	assert_int_equal(reply_large(s, e, value), OUTCOME_PINNED_TAIL);
	assert_non_null(s->env->pinned.pin);
	assert_true(s->env->pinned.bytes.data == value.data && s->env->pinned.bytes.len == value.len);
	pin_release(s->env->pinned.pin);
	s->env->pinned = (struct pinned){0};
	int n = snprintf(head, sizeof(head), "$%zu\r\n", PIN_MIN);
	replied(c, OUTCOME_DONE, head);

	s->flags |= SESSION_MULTI;
	assert_int_equal(reply_large(s, e, value), OUTCOME_DONE);
	assert_null(s->env->pinned.pin);
	assert_int_equal(c->out.len, (size_t)n + PIN_MIN + 2);
	s->flags &= ~(uint32_t)SESSION_MULTI;
	c->out.len = 0;

	s->reply->muted = true;
	assert_int_equal(reply_large(s, e, value), OUTCOME_DONE);
	assert_null(s->env->pinned.pin);
	assert_int_equal(c->out.len, 0);
	s->reply->muted = false;
	close_world(w, c);
}

static void test_a_key_prepared_before_select_is_looked_up_in_the_new_database(void **state) {
	struct client *c;
	struct world *w = open_world(NULL, &c);
	struct session *s = &c->session;
	const struct slice argv[] = {SLICE("GET"), SLICE("a")};
	struct request r = {.argv = argv, .argc = 2};
	(void)state;
	dispatch_prepare(s, &r, 1);
	assert_int_equal(request_key(s, &r, 1).db_slot, s->db_slot);
	unsigned before = s->db_slot;
	expect(c, "SELECT 1", "+OK\r\n");
	assert_int_not_equal(s->db_slot, before);
	struct key key = request_key(s, &r, 1), want = keyspace_key(s->tenant, s->db_slot, argv[1]);
	assert_int_equal(key.db_slot, s->db_slot);
	assert_true(key.hash == want.hash && slice_equal(key.name, want.name));
	close_world(w, c);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_an_error_of_the_store_becomes_its_message),
		cmocka_unit_test(test_an_argument_that_is_no_integer_is_an_error),
		cmocka_unit_test(test_a_wrong_count_repeats_at_most_128_bytes_of_the_subcommand),
		cmocka_unit_test(test_help_has_a_title_and_ends_with_itself),
		cmocka_unit_test(test_rewinding_removes_the_reply_since_the_mark),
		cmocka_unit_test(test_commands_of_a_transaction_share_the_steps_of_patterns),
		cmocka_unit_test(test_a_large_value_is_pinned_unless_the_client_may_need_bytes_behind_it),
		cmocka_unit_test(test_a_key_prepared_before_select_is_looked_up_in_the_new_database),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
