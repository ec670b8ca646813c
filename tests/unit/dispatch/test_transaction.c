#include "alloc_fail.h"
#include "atomdb/dispatch/transaction.h"
#include "atomdb/store/tenant.h"
#include "atomdb/util/error.h"
#include "world.h"

#define OK     "+OK\r\n"
#define QUEUED "+QUEUED\r\n"

static uint64_t charged(const struct client *c) {
	return counter_get(&c->session.tenant->counters.bytes);
}

/* Queues a command without running MULTI or dispatch. */
static int queue(struct client *c, const struct slice *argv, uint32_t argc) {
	struct request r = {.argv = argv, .argc = argc};
	dispatch_prepare(&c->session, &r, 1);
	assert_non_null(r.command);
	return transaction_queue(&c->session, &r);
}

static void test_the_arguments_are_copied(void **state) {
	struct client *c;
	struct world *w = open_world(NULL, &c);
	char value[] = "first";
	const struct slice argv[] = {SLICE("ECHO"), {value, 5}};
	(void)state;
	assert_int_equal(transaction_length(&c->session), -1);
	assert_int_equal(transaction_begin(&c->session), 0);
	assert_int_equal(transaction_length(&c->session), 0);
	assert_int_equal(queue(c, argv, 2), 0);
	memcpy(value, "other", 5);
	assert_int_equal(queue(c, argv, 2), 0);
	assert_int_equal(transaction_length(&c->session), 2);
	expect(c, "EXEC", "*2\r\n$5\r\nfirst\r\n$5\r\nother\r\n");
	assert_int_equal(transaction_length(&c->session), -1);
	close_world(w, c);
}

static void test_queued_commands_are_charged_until_the_transaction_ends(void **state) {
	static const char value[1000];
	const struct slice argv[] = {SLICE("ECHO"), {value, sizeof(value)}};
	struct client *c;
	struct world *w = open_world(NULL, &c);
	struct session *s = &c->session;
	(void)state;
	assert_int_equal(subscriber_open(s), 0);
	uint64_t before = charged(c), own = s->event_bytes;
	assert_int_equal(transaction_memory(s), 0);
	assert_int_equal(transaction_begin(s), 0);
	uint64_t empty = transaction_memory(s);
	assert_true(empty > 0);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(queue(c, argv, 2), 0);
	assert_true(transaction_memory(s) > empty + 3 * sizeof(value));
	assert_int_equal(s->event_bytes, own + transaction_memory(s));
	assert_int_equal(charged(c), before + transaction_memory(s));
	transaction_end(s);
	transaction_end(s);
	assert_int_equal(transaction_memory(s), 0);
	assert_int_equal(s->event_bytes, own);
	assert_int_equal(charged(c), before);
	assert_false(s->flags & SESSION_MULTI);
	close_world(w, c);
}

static void test_a_command_for_which_an_allocation_fails_is_not_queued_or_charged(void **state) {
	const struct slice argv[] = {SLICE("ECHO"), SLICE("x")};
	struct client *c;
	struct world *w = open_world(NULL, &c);
	struct session *s = &c->session;
	(void)state;
	assert_int_equal(subscriber_open(s), 0);
	uint64_t before = charged(c), own = s->event_bytes;
	alloc_fail_at = 1;
	assert_int_equal(transaction_begin(s), ATOMDB_E_OOM);
	assert_int_equal(transaction_length(s), -1);
	assert_false(s->flags & SESSION_MULTI);
	assert_int_equal(charged(c), before);
	assert_int_equal(transaction_begin(s), 0);
	assert_int_equal(queue(c, argv, 2), 0);
	uint64_t one = transaction_memory(s);
	alloc_fail_at = 1;
	assert_int_equal(queue(c, argv, 2), ATOMDB_E_OOM);
	assert_int_equal(transaction_length(s), 1);
	assert_int_equal(transaction_memory(s), one);
	assert_int_equal(charged(c), before + one);
	assert_int_equal(s->event_bytes, own + one);
	transaction_end(s);
	assert_int_equal(charged(c), before);
	close_world(w, c);
}

static void test_a_transaction_that_cannot_run_takes_no_more_memory(void **state) {
	static const uint32_t dirty[] = {SESSION_DIRTY_QUEUE, SESSION_DIRTY_KEYS};
	const struct slice argv[] = {SLICE("ECHO"), SLICE("x")};
	struct client *c;
	struct world *w = open_world(NULL, &c);
	struct session *s = &c->session;
	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(transaction_begin(s), 0);
		s->flags |= dirty[i];
		uint64_t before = transaction_memory(s);
		assert_int_equal(queue(c, argv, 2), 0);
		assert_int_equal(transaction_memory(s), before);
		assert_int_equal(transaction_length(s), 0);
		transaction_end(s);
		assert_false(s->flags & dirty[i]);
	}
	close_world(w, c);
}

static void test_a_command_without_room_makes_the_transaction_dirty(void **state) {
	const struct tenant_limits limits = {.max_memory = 16384, .eviction = EVICTION_NONE};
	static const char value[1 << 20];
	const struct slice argv[] = {SLICE("ECHO"), {value, sizeof(value)}};
	struct client *c;
	struct world *w = open_world(&limits, &c);
	struct session *s = &c->session;
	(void)state;
	assert_int_equal(transaction_begin(s), 0);
	uint64_t before = charged(c);
	assert_int_equal(queue(c, argv, 2), ATOMDB_E_OOM);
	assert_true(s->flags & SESSION_DIRTY_QUEUE);
	assert_int_equal(charged(c), before);
	transaction_end(s);
	close_world(w, c);
}

/* Queues commands of 60 kB in a full tenant until one is refused. Returns how many were queued. */
static unsigned queue_until_refused(const struct tenant_limits *limits) {
	static const char value[60000];
	const struct slice argv[] = {SLICE("ECHO"), {value, sizeof(value)}};
	struct client *c;
	struct world *w = open_world(limits, &c);
	const struct tenant_counters *f = &c->session.tenant->counters;
	for (unsigned i = 0; counter_get(&f->evictions) == 0; i++) {
		char command[640];
		snprintf(command, sizeof(command), "SET key:%u %0500u", i, i);
		expect(c, command, OK);
	}
	assert_int_equal(transaction_begin(&c->session), 0);
	unsigned queued = 0;
	int error = 0;
	uint64_t before = 0, held = 0;
	while (error == 0) {
		before = counter_get(&f->evictions);
		held = charged(c);
		error = queue(c, argv, 2);
		/* A command that is held evicts as many entries of 600 bytes as it needs, and a few more bytes. */
		if (error == 0)
			assert_in_range(counter_get(&f->evictions) - before, 1, 120);
		queued += error == 0;
	}
	assert_int_equal(error, ATOMDB_E_OOM);
	assert_int_equal(counter_get(&f->evictions), before);
	assert_int_equal(charged(c), held);
	transaction_end(&c->session);
	close_world(w, c);
	return queued;
}

static void test_a_command_that_cannot_be_queued_evicts_nothing(void **state) {
	(void)state;
	/* The limit of the clients refuses it, or the quota. */
	assert_in_range(queue_until_refused(&(struct tenant_limits){.max_memory = 1 << 20}), 2, 4);
	assert_in_range(queue_until_refused(&(struct tenant_limits){.max_memory = 1 << 20, .client_memory = 1 << 20}),
			12, 17);
}

static void test_one_writing_command_makes_a_writing_transaction(void **state) {
	static const struct {
		const char *line;
		bool writes;
	} table[] = {{"GET k", false}, {"PING", false}, {"SET k 1", true}, {"PUBLISH c m", true}};
	struct client *c;
	struct world *w = open_world(NULL, &c);
	(void)state;
	assert_false(transaction_writes(&c->session));
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		expect(c, "MULTI", OK);
		expect(c, table[i].line, QUEUED);
		expect(c, "GET other", QUEUED);
		assert_int_equal(transaction_writes(&c->session), table[i].writes);
		expect(c, "DISCARD", OK);
	}
	close_world(w, c);
}

static void test_only_commands_of_whole_databases_wait_for_expired_keys(void **state) {
	struct client *c;
	struct world *w = open_world(NULL, &c);
	(void)state;
	expect(c, "SET k 1 PX 10", OK);
	world_pass(w, 20);
	expect(c, "MULTI", OK);
	expect(c, "GET k", QUEUED);
	assert_false(transaction_must_wait(&c->session));
	expect(c, "DBSIZE", QUEUED);
	assert_true(transaction_must_wait(&c->session));
	while (shard_work(c->session.tenant->shard, 64))
		;
	assert_false(transaction_must_wait(&c->session));
	expect(c, "EXEC", "*2\r\n$-1\r\n:0\r\n");
	close_world(w, c);
}

static void test_writes_run_behind_a_reply_that_is_too_large(void **state) {
	struct client *c;
	struct world *w = open_world(NULL, &c);
	static char value[1000];
	const struct slice set[] = {SLICE("SET"), SLICE("k"), {value, sizeof(value)}};
	(void)state;
	memset(value, 'v', sizeof(value));
	client_run(c, set, 3);
	expect(c, "MULTI", OK);
	expect(c, "GET k", QUEUED);
	expect(c, "SET written 1", QUEUED);
	c->writer.limit = 500;
	ask(c, "EXEC");
	assert_true(c->writer.failed);
	c->writer.failed = false;
	c->writer.limit = 10000;
	expect(c, "GET written", "$1\r\n1\r\n");
	close_world(w, c);
}

/* Serializes the transaction of one session, and restores it for another. */
static void hand_over(const struct client *from, struct client *to) {
	static const struct field fields[] = {{"transaction", FIELD_BYTES, 0, SIZE_MAX, 0}};
	struct buffer bytes;
	struct slice list;
	buffer_init(&bytes);
	struct serializer out = {.out = &bytes};
	transaction_serialize(&from->session, &out, "transaction");
	assert_int_equal(out.error, 0);
	assert_int_equal(deserialize_record(buffer_slice(&bytes), fields, 1, &list), 0);
	assert_int_equal(transaction_deserialize(&to->session, list), 0);
	buffer_deinit(&bytes);
}

static void test_the_next_process_runs_the_queued_commands(void **state) {
	struct client *a;
	struct world *w = open_world(NULL, &a);
	struct client *b = join(w, a);
	(void)state;
	expect(a, "MULTI", OK);
	expect(a, "SET k one_two", QUEUED);
	expect(a, "ECHO ''", QUEUED);
	expect(a, "GET k", QUEUED);
	hand_over(a, b);
	assert_int_equal(transaction_length(&b->session), 3);
	assert_int_equal(transaction_memory(&b->session), transaction_memory(&a->session));
	assert_true(transaction_writes(&b->session));
	expect(b, "EXEC", "*3\r\n+OK\r\n$0\r\n\r\n$7\r\none two\r\n");
	client_free(b);
	close_world(w, a);
}

/* Restores a transaction with one command of these words. */
static int restore(struct client *c, const char *const *words) {
	struct buffer bytes;
	buffer_init(&bytes);
	struct serializer out = {.out = &bytes};
	size_t command = serialize_begin(&out, SERIALIZE_ELEMENT);
	for (; *words != NULL; words++)
		serialize_bytes(&out, SERIALIZE_ELEMENT, slice_of(*words));
	serialize_end(&out, command);
	assert_int_equal(out.error, 0);
	int error = transaction_deserialize(&c->session, buffer_slice(&bytes));
	buffer_deinit(&bytes);
	return error;
}

static void test_a_command_that_this_release_refuses_aborts_the_transaction(void **state) {
	static const char *const known[] = {"ECHO", "x", NULL}, *const unknown[] = {"LATER", "x", NULL},
				 *const arity[] = {"ECHO", NULL}, *const none[] = {NULL};
	struct client *c;
	struct world *w = open_world(NULL, &c);
	(void)state;
	assert_int_equal(restore(c, known), 0);
	expect(c, "EXEC", "*1\r\n$1\r\nx\r\n");
	assert_int_equal(restore(c, unknown), 0);
	expect_part(c, "EXEC", "-EXECABORT");
	assert_int_equal(restore(c, arity), 0);
	expect_part(c, "EXEC", "-EXECABORT");
	assert_int_equal(restore(c, none), ATOMDB_E_FORMAT);
	transaction_end(&c->session);
	assert_int_equal(transaction_deserialize(&c->session, SLICE("not a list")), ATOMDB_E_FORMAT);
	transaction_end(&c->session);
	close_world(w, c);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_arguments_are_copied),
		cmocka_unit_test(test_queued_commands_are_charged_until_the_transaction_ends),
		cmocka_unit_test(test_a_command_for_which_an_allocation_fails_is_not_queued_or_charged),
		cmocka_unit_test(test_a_transaction_that_cannot_run_takes_no_more_memory),
		cmocka_unit_test(test_a_command_without_room_makes_the_transaction_dirty),
		cmocka_unit_test(test_a_command_that_cannot_be_queued_evicts_nothing),
		cmocka_unit_test(test_one_writing_command_makes_a_writing_transaction),
		cmocka_unit_test(test_only_commands_of_whole_databases_wait_for_expired_keys),
		cmocka_unit_test(test_writes_run_behind_a_reply_that_is_too_large),
		cmocka_unit_test(test_the_next_process_runs_the_queued_commands),
		cmocka_unit_test(test_a_command_that_this_release_refuses_aborts_the_transaction),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
