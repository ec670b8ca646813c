/* Commands on fibers, turn by turn: a suspended command disturbs no other one, and none disturbs it. */
#include "net/sweep.h"
#include "turned.h"

#define COMMANDS 20 /* of a transaction that runs on a fiber: one check point each */

/* Sends MULTI, `count` times `command`, then `last`, and EXEC; expects the replies up to EXEC's. */
static void send_transaction(struct turned_client c, const char *command, const char *last) {
	char text[8192] = "MULTI\r\n", expected[8192] = "+OK\r\n";
	for (unsigned i = 0; i < COMMANDS; i++) {
		strcat(text, command);
		strcat(expected, "+QUEUED\r\n");
	}
	strcat(text, last);
	for (const char *end = strchr(last, '\n'); end != NULL; end = strchr(end + 1, '\n'))
		strcat(expected, "+QUEUED\r\n");
	turned_ask(c, text, expected);
	client_send(c.fd, "EXEC\r\n");
}

static void expect_counts(struct turned_client c, const char *behind) {
	char expected[8192] = "*20\r\n";
	for (unsigned i = 1; i <= COMMANDS; i++)
		snprintf(expected + strlen(expected), 32, ":%u\r\n", i);
	strcat(expected, behind);
	turned_expect(c, expected);
}

static struct tenant *tenant_of(struct turned_client c) {
	return c.connection->session.tenant;
}

static void a_suspended_command_lets_other_tenants_go_on(void **state) {
	struct turned *s = turned_new();
	(void)state;
	struct turned_client busy = turned_auth(s, "busy"), quiet = turned_auth(s, "quiet");
	send_transaction(busy, "INCR a\r\n", "");
	for (unsigned i = 0; i < COMMANDS; i++) {
		turned_ask(quiet, "PING\r\n", "+PONG\r\n");
		assert_non_null(tenant_of(busy)->clients.task);
		turned_expect(busy, "");
	}
	turned_turns(s, 2);
	assert_null(tenant_of(busy)->clients.task);
	expect_counts(busy, "");
	close(busy.fd);
	close(quiet.fd);
	turned_free(s);
}

static void other_commands_of_the_tenant_wait_in_their_order(void **state) {
	struct turned *s = turned_new();
	(void)state;
	struct turned_client busy = turned_auth(s, "busy"), first = turned_auth(s, "busy"),
			     second = turned_auth(s, "busy");
	send_transaction(busy, "INCR a\r\n", "");
	turned_ask(first, "GET a\r\nAPPEND b 1\r\n", "");
	turned_ask(second, "APPEND b 2\r\nGET b\r\n", "");
	turned_finish(s);
	expect_counts(busy, "");
	turned_expect(first, "$2\r\n20\r\n:1\r\n");
	turned_expect(second, ":2\r\n$2\r\n12\r\n");
	turned_free(s);
}

static void the_rest_of_a_pipeline_runs_behind_waiting_clients(void **state) {
	struct turned *s = turned_new();
	(void)state;
	struct turned_client busy = turned_auth(s, "busy"), other = turned_auth(s, "busy");
	send_transaction(busy, "INCR a\r\n", "");
	client_send(busy.fd, "GET b\r\n");
	loop_turn(s->worker, 0);
	turned_ask(other, "SET b other\r\n", "");
	turned_finish(s);
	expect_counts(busy, "$5\r\nother\r\n");
	turned_expect(other, "+OK\r\n");
	turned_free(s);
}

static void auth_into_a_busy_tenant_waits_with_all_that_follows(void **state) {
	struct turned *s = turned_new();
	(void)state;
	struct turned_client busy = turned_auth(s, "busy"), late = turned_connect(s), other = turned_auth(s, "other"),
			     hello = turned_connect(s);
	send_transaction(busy, "INCR a\r\n", "");
	turned_turns(s, 1);
	turned_ask(late, "AUTH busy\r\nSET a 100\r\n", "");
	turned_ask(other, "AUTH busy\r\nSET a 200\r\n", "");
	turned_ask(hello, "HELLO 3 AUTH default busy\r\nQUIT\r\n", "");
	turned_turns(s, 3);
	assert_non_null(tenant_of(busy)->clients.task);
	assert_int_equal(counter_get(&tenant_of(busy)->counters.clients), 1);
	turned_finish(s);
	expect_counts(busy, "");
	turned_expect(late, "+OK\r\n+OK\r\n");
	turned_expect(other, "+OK\r\n+OK\r\n");
	turned_free(s);
}

static void clients_that_wait_for_a_command_do_not_time_out(void **state) {
	struct turned *s = turned_new();
	(void)state;
	struct turned_client busy = turned_auth(s, "busy"), late = turned_connect(s), other = turned_auth(s, "busy"),
			     silent = turned_connect(s);
	send_transaction(busy, "INCR a\r\n", "");
	turned_turns(s, 1);
	turned_ask(late, "AUTH busy\r\nGET a\r\n", "");
	turned_ask(other, "GET a\r\n", "");
	s->worker->env.settings.auth_timeout = s->worker->env.settings.idle_timeout = 1;
	s->worker->env.steady_ms += 5000;
	sweep_run(s->worker);
	client_expect_end(silent.fd);
	turned_finish(s);
	expect_counts(busy, "");
	turned_expect(late, "+OK\r\n$2\r\n20\r\n");
	turned_expect(other, "$2\r\n20\r\n");
	turned_free(s);
}

static void commands_without_auth_wait_too(void **state) {
	struct turned *s = turned_new();
	(void)state;
	struct turned_client busy = turned_auth(s, "busy"), other = turned_auth(s, "busy");
	send_transaction(busy, "INCR a\r\n", "");
	turned_ask(other, "SET a 100\r\nRESET\r\nQUIT\r\n", "");
	turned_finish(s);
	expect_counts(busy, "");
	turned_expect(other, "+OK\r\n+RESET\r\n+OK\r\n");
	turned_free(s);
}

static void a_command_that_has_come_by_half_is_read_on(void **state) {
	struct turned *s = turned_new();
	(void)state;
	struct turned_client busy = turned_auth(s, "busy"), other = turned_auth(s, "busy");
	turned_ask(other, "*3\r\n$3\r\nSET\r\n$1\r\na\r\n$10\r\n123", "");
	send_transaction(busy, "INCR a\r\n", "");
	turned_turns(s, 1);
	turned_ask(other, "4567", "");
	turned_ask(other, "890\r\n", "");
	turned_finish(s);
	expect_counts(busy, "");
	turned_expect(other, "+OK\r\n");
	turned_ask(other, "GET a\r\n", "$10\r\n1234567890\r\n");
	turned_free(s);
}

static void messages_of_a_transaction_leave_when_it_has_ended(void **state) {
	struct turned *s = turned_new();
	(void)state;
	struct turned_client busy = turned_auth(s, "busy"), listener = turned_auth(s, "busy");
	turned_ask(listener, "SUBSCRIBE c\r\n", "*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n");
	send_transaction(busy, "PUBLISH c m\r\n", "");
	for (unsigned i = 0; i < COMMANDS; i++) {
		loop_turn(s->worker, 0);
		turned_expect(listener, "");
	}
	turned_finish(s);
	char expected[8192] = "";
	for (unsigned i = 0; i < COMMANDS; i++)
		strcat(expected, "*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\nm\r\n");
	turned_expect(listener, expected);
	turned_free(s);
}

static void invalidations_of_prefixes_leave_when_the_command_has_ended(void **state) {
	struct turned *s = turned_new();
	char greeting[1024];
	(void)state;
	struct turned_client busy = turned_auth(s, "busy"), listener = turned_auth(s, "busy");
	client_send(listener.fd, "HELLO 3\r\n");
	loop_turn(s->worker, 0);
	assert_true(recv(listener.fd, greeting, sizeof(greeting), 0) > 0);
	turned_ask(listener, "CLIENT TRACKING ON BCAST\r\n", "+OK\r\n");
	send_transaction(busy, "INCR a\r\n", "");
	for (unsigned i = 0; i < COMMANDS; i++) {
		loop_turn(s->worker, 0);
		turned_expect(listener, "");
	}
	turned_finish(s);
	turned_expect(listener, ">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\na\r\n");
	expect_counts(busy, "");
	turned_free(s);
}

static void a_writer_whose_client_is_gone_comes_to_its_end(void **state) {
	struct turned *s = turned_new();
	(void)state;
	struct turned_client busy = turned_auth(s, "busy"), other = turned_auth(s, "busy");
	send_transaction(busy, "INCR a\r\n", "");
	turned_turns(s, 3);
	close(busy.fd);
	turned_turns(s, 2);
	assert_true(busy.connection->flags & CONNECTION_LEAVING);
	turned_finish(s);
	assert_int_equal(counter_get(&tenant_of(other)->counters.clients), 1);
	turned_ask(other, "GET a\r\n", "$2\r\n20\r\n");
	turned_free(s);
}

static void fill_keys(struct turned_client c, unsigned count) {
	char text[64];
	for (unsigned i = 0; i < count; i++) {
		snprintf(text, sizeof(text), "SET key-%u v\r\n", i);
		turned_ask(c, text, "+OK\r\n");
	}
}

static void a_reader_whose_client_is_gone_ends_at_its_next_check_point(void **state) {
	struct turned *s = turned_new();
	(void)state;
	struct turned_client busy = turned_auth(s, "busy"), other = turned_auth(s, "busy");
	fill_keys(busy, 2000);
	client_send(busy.fd, "KEYS *\r\n");
	turned_turns(s, 3);
	struct tenant *t = tenant_of(busy);
	assert_non_null(t->clients.task);
	close(busy.fd);
	turned_turns(s, 2);
	assert_null(t->clients.task);
	turned_ask(other, "PING\r\n", "+PONG\r\n");
	turned_free(s);
}

#define INVALIDATE_A ">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\na\r\n"

/* A tenant that is ahead of its share is served in a later turn. */
static void await_task(struct turned_client c) {
	for (unsigned i = 0; i < 100 && tenant_of(c)->clients.task == NULL; i++)
		loop_turn(c.of->worker, 0);
	assert_non_null(tenant_of(c)->clients.task);
}

static void invalidations_of_earlier_commands_do_not_wait_for_a_long_one(void **state) {
	struct turned *s = turned_new();
	(void)state;
	struct turned_client busy = turned_auth(s, "busy"), reader = turned_auth(s, "busy"),
			     other = turned_auth(s, "busy");
	char three[16];
	fill_keys(busy, 1500);
	client_send(reader.fd, "HELLO 3\r\n");
	turned_finish(s);
	assert_true(recv(reader.fd, three, sizeof(three), MSG_DONTWAIT) > 0);
	while (recv(reader.fd, three, sizeof(three), MSG_DONTWAIT) > 0) {
	}
	turned_ask(reader, "CLIENT TRACKING ON BCAST\r\n", "+OK\r\n");
	client_send(busy.fd, "SET a 1\r\nKEYS nosuch\r\n");
	await_task(busy);
	turned_expect(reader, INVALIDATE_A);
	/* Another long command begins in the turn in which this one ends. */
	client_send(other.fd, "SET a 2\r\nKEYS nosuch\r\n");
	turned_finish(s);
	turned_expect(busy, "+OK\r\n*0\r\n");
	turned_expect(other, "+OK\r\n*0\r\n");
	turned_expect(reader, INVALIDATE_A);
	client_send(reader.fd, "SET a 3\r\nKEYS nosuch\r\n");
	await_task(busy);
	turned_expect(reader, "+OK\r\n" INVALIDATE_A);
	turned_finish(s);
	turned_expect(reader, "*0\r\n");
	turned_free(s);
}

static void a_long_write_whose_client_is_gone_is_whole(void **state) {
	struct turned *s = turned_new();
	(void)state;
	struct turned_client busy = turned_auth(s, "busy"), other = turned_auth(s, "busy");
	client_send(busy.fd, "SETRANGE a 1000000 x\r\n");
	turned_finish(s);
	turned_expect(busy, ":1000001\r\n");
	client_send(busy.fd, "BITOP NOT d a\r\n");
	turned_turns(s, 2);
	assert_non_null(tenant_of(other)->clients.task);
	close(busy.fd);
	turned_finish(s);
	client_send(other.fd, "BITCOUNT d\r\n");
	turned_finish(s);
	/* 'x' has four bits of eight. */
	turned_expect(other, ":8000004\r\n");
	turned_free(s);
}

static void clients_that_go_leave_the_tenant_when_the_command_has_ended(void **state) {
	struct turned *s = turned_new();
	(void)state;
	struct turned_client busy = turned_auth(s, "busy"), other = turned_auth(s, "busy");
	turned_ask(other, "SUBSCRIBE c\r\n", "*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n");
	send_transaction(busy, "PUBLISH c m\r\n", "");
	turned_turns(s, 3);
	close(other.fd);
	turned_turns(s, 3);
	assert_int_equal(counter_get(&tenant_of(busy)->counters.clients), 2);
	turned_finish(s);
	assert_int_equal(counter_get(&tenant_of(busy)->counters.clients), 1);
	turned_free(s);
}

static void the_removal_of_a_tenant_waits_for_its_command(void **state) {
	struct turned *s = turned_new();
	(void)state;
	struct turned_client busy = turned_auth(s, "busy"), other = turned_auth(s, "busy");
	send_transaction(busy, "INCR a\r\n", "");
	turned_turns(s, 3);
	assert_int_equal(worker_post_removal(s->worker, tenant_of(busy)), 0);
	turned_turns(s, 1);
	assert_non_null(tenant_of(busy)->clients.task);
	for (unsigned i = 0; i < COMMANDS + 5; i++)
		loop_turn(s->worker, 0);
	client_expect_end(other.fd);
	assert_int_equal(server_tenants((struct server *)&s->shared).clients, 0);
	turned_free(s);
}

static void a_removed_tenants_reader_ends_at_its_next_check_point(void **state) {
	struct turned *s = turned_new();
	(void)state;
	struct turned_client busy = turned_auth(s, "busy");
	fill_keys(busy, 2000);
	client_send(busy.fd, "KEYS *\r\n");
	turned_turns(s, 3);
	assert_non_null(tenant_of(busy)->clients.task);
	assert_int_equal(worker_post_removal(s->worker, tenant_of(busy)), 0);
	turned_turns(s, 3);
	client_expect_end(busy.fd);
	turned_free(s);
}

static void commands_of_several_tenants_take_turns_and_a_new_one_comes_last(void **state) {
	struct turned *s = turned_new();
	(void)state;
	struct turned_client c[3] = {turned_auth(s, "a"), turned_auth(s, "b"), turned_auth(s, "c")};
	for (unsigned i = 0; i < 3; i++)
		send_transaction(c[i], "INCR a\r\n", "");
	/* The first of them has begun when it was sent; one slice a turn, so the others have not. */
	turned_turns(s, 1);
	struct task *k[3] = {tenant_of(c[0])->clients.task, tenant_of(c[1])->clients.task,
			     tenant_of(c[2])->clients.task};
	uint64_t before = k[0]->fiber->slices + k[1]->fiber->slices + k[2]->fiber->slices;
	turned_turns(s, 9);
	for (unsigned i = 0; i < 3; i++)
		assert_in_range(k[i]->fiber->slices, 3, 6);
	assert_int_equal(k[0]->fiber->slices + k[1]->fiber->slices + k[2]->fiber->slices, before + 9);
	turned_finish(s);
	for (unsigned i = 0; i < 3; i++)
		expect_counts(c[i], "");
	turned_free(s);
}

/* Otherwise a suspended command would wait for the first slices of many new ones. */
static void a_new_command_gets_no_slice_ahead_of_a_suspended_one(void **state) {
	struct turned *s = turned_new();
	(void)state;
	struct turned_client busy = turned_auth(s, "busy"), late = turned_auth(s, "late");
	send_transaction(busy, "INCR a\r\n", "");
	turned_turns(s, 3);
	send_transaction(late, "INCR a\r\n", "");
	const struct task *k = tenant_of(busy)->clients.task;
	uint64_t before = k->fiber->slices;
	turned_turns(s, 1);
	assert_int_equal(k->fiber->slices, before + 1);
	assert_int_equal(tenant_of(late)->clients.task->fiber->slices, 0);
	turned_turns(s, 1);
	assert_int_equal(tenant_of(late)->clients.task->fiber->slices, 1);
	turned_finish(s);
	expect_counts(busy, "");
	expect_counts(late, "");
	turned_free(s);
}

static void a_worker_without_suspended_commands_is_not_busy(void **state) {
	struct turned *s = turned_new();
	(void)state;
	struct turned_client busy = turned_auth(s, "busy");
	send_transaction(busy, "INCR a\r\n", "");
	turned_turns(s, 2);
	assert_true(s->worker->busy);
	turned_finish(s);
	assert_false(s->worker->busy);
	turned_free(s);
}

static void time_spent_away_is_not_the_commands(void **state) {
	struct turned *s = turned_new();
	(void)state;
	struct turned_client busy = turned_auth(s, "busy");
	send_transaction(busy, "INCR a\r\n", "");
	uint64_t begin = clock_ticks();
	for (unsigned i = 0; i < COMMANDS; i++) {
		loop_turn(s->worker, 0);
		pass_ms(10);
	}
	turned_finish(s);
	uint64_t all = clock_ticks() - begin;
	const struct command_counters *f = s->worker->env.commands;
	assert_true(counter_get(&f[COMMAND_EXEC].ticks) + counter_get(&f[COMMAND_INCR].ticks) < all / 4);
	turned_free(s);
}

static void the_time_of_a_command_stands_still(void **state) {
	struct turned *s = turned_new();
	(void)state;
	struct turned_client busy = turned_auth(s, "busy");
	send_transaction(busy, "TIME\r\n", "SET a 1 PX 100\r\nTIME\r\nTIME\r\nPTTL a\r\n");
	struct turned_client other = turned_auth(s, "other");
	turned_turns(s, 3);
	pass_ms(30);
	turned_turns(s, 3);
	turned_ask(other, "PING\r\n", "+PONG\r\n");
	assert_int_equal(shard_now(s->shard), s->worker->env.now_ms);
	turned_turns(s, COMMANDS - 5);
	assert_int_equal(counter_get(&tenant_of(busy)->counters.keys), 1);
	assert_non_null(tenant_of(busy)->clients.task);
	pass_ms(30);
	turned_turns(s, 5);
	static char got[8192];
	ssize_t n = recv(busy.fd, got, sizeof(got) - 1, 0);
	assert_true(n > 0);
	got[n] = '\0';
	assert_non_null(strstr(got, "+OK\r\n*2"));
	assert_string_equal(got + n - strlen(":100\r\n"), ":100\r\n");
	turned_free(s);
}

static void a_command_that_was_queued_behind_others_can_still_wait_for_a_pause(void **state) {
	struct turned *s = turned_new();
	(void)state;
	struct turned_client first = turned_auth(s, "first"), busy = turned_auth(s, "busy"),
			     other = turned_auth(s, "busy");
	turned_ask(busy, "MULTI\r\n", "+OK\r\n");
	for (unsigned i = 0; i < COMMANDS; i++)
		turned_ask(busy, "INCR a\r\n", "+QUEUED\r\n");
	turned_ask(other, "CLIENT PAUSE 100000 WRITE\r\n", "+OK\r\n");
	send_transaction(first, "INCR a\r\n", "");
	client_send(busy.fd, "EXEC\r\n");
	turned_turns(s, 10);
	turned_finish(s);
	expect_counts(first, "");
	turned_expect(busy, "");
	assert_null(tenant_of(busy)->clients.task);
	turned_ask(other, "CLIENT UNPAUSE\r\n", "+OK\r\n");
	turned_finish(s);
	expect_counts(busy, "");
	turned_free(s);
}

/* Sends a command with `count` pairs of a key and of 100 bytes. */
static void send_pairs(int fd, const char *command, unsigned count) {
	char *text = malloc((size_t)count * 160 + 100), *at = text;
	assert_non_null(text);
	at += sprintf(at, "*%u\r\n$%zu\r\n%s\r\n", 1 + 2 * count, strlen(command), command);
	for (unsigned i = 0; i < count; i++)
		at += sprintf(at, "$8\r\nkey%05u\r\n$100\r\n%0100u\r\n", i, i);
	client_send_bytes(fd, text, (size_t)(at - text));
	free(text);
}

static void arguments_of_any_number_and_size_stay_as_long_as_the_command(void **state) {
	struct turned *s = turned_new();
	(void)state;
	const unsigned counts[] = {40, 200, 900, 3000};
	for (unsigned i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		struct turned_client busy = turned_auth(s, "busy"), other = turned_auth(s, "other");
		int flags = 1 << 20;
		setsockopt(busy.fd, SOL_SOCKET, SO_SNDBUF, &flags, sizeof(flags));
		send_pairs(busy.fd, "MSET", counts[i]);
		send_pairs(busy.fd, "EXISTS", counts[i]);
		client_send(busy.fd, "DBSIZE\r\n");
		for (unsigned turn = 0; turn < 60; turn++)
			turned_ask(other, "SET k 0123456789012345678901234567890123456789\r\n", "+OK\r\n");
		turned_finish(s);
		char expected[64];
		snprintf(expected, sizeof(expected), "+OK\r\n:%u\r\n:%u\r\n", counts[i], counts[i]);
		turned_expect(busy, expected);
		snprintf(expected, sizeof(expected), "GET key%05u\r\n", counts[i] - 1);
		char reply[256];
		snprintf(reply, sizeof(reply), "$100\r\n%0100u\r\n", counts[i] - 1);
		turned_ask(busy, expected, reply);
		close(busy.fd);
		close(other.fd);
		turned_turns(s, 3);
	}
	turned_free(s);
}

static void an_abandoned_command_is_pending_again(void **state) {
	struct turned *s = turned_new();
	(void)state;
	struct turned_client busy = turned_auth(s, "busy"), other = turned_auth(s, "busy"),
			     listener = turned_auth(s, "busy");
	turned_ask(listener, "SUBSCRIBE c\r\n", "*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n");
	fill_keys(busy, 2000);
	client_send(busy.fd, "KEYS *\r\nPING\r\n");
	turned_turns(s, 3);
	turned_ask(other, "GET key-1\r\n", "");
	schedule_abandon(s->worker);
	assert_null(tenant_of(busy)->clients.task);
	assert_string_equal(slice_equal(buffer_slice(&busy.connection->pending->bytes),
					slice_of("*2\r\n$4\r\nKEYS\r\n$1\r\n*\r\nPING\r\n"))
				    ? "same"
				    : "different",
			    "same");
	turned_free(s);
}

static void messages_of_an_abandoned_transaction_are_not_sent(void **state) {
	struct turned *s = turned_new();
	(void)state;
	struct turned_client busy = turned_auth(s, "busy"), listener = turned_auth(s, "busy");
	turned_ask(listener, "SUBSCRIBE c\r\n", "*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n");
	turned_ask(busy, "SELECT 3\r\n", "+OK\r\n");
	send_transaction(busy, "PUBLISH c m\r\n", "SELECT 5\r\n");
	turned_turns(s, 5);
	assert_non_null(tenant_of(busy)->clients.task);
	schedule_abandon(s->worker);
	assert_int_equal(output_unsent(listener.connection), 0);
	assert_int_equal(busy.connection->session.database, 3);
	turned_free(s);
}

static void an_abandoned_transaction_begins_in_its_database_again(void **state) {
	struct turned *s = turned_new();
	(void)state;
	struct turned_client busy = turned_auth(s, "busy");
	turned_ask(busy, "SELECT 3\r\n", "+OK\r\n");
	send_transaction(busy, "SELECT 5\r\n", "");
	turned_turns(s, 5);
	assert_int_equal(busy.connection->session.database, 5);
	schedule_abandon(s->worker);
	assert_int_equal(busy.connection->session.database, 3);
	turned_free(s);
}

/* Suspends a transaction after `command` has run, or before it runs if `behind` is false. Stops the worker. Returns
 * whether it abandons the transaction. */
static bool stop_beside(const char *command, bool behind, const char *reply) {
	struct turned *s = turned_new();
	struct turned_client busy = turned_auth(s, "busy");
	char text[2048] = "MULTI\r\n", expected[2048] = "";
	snprintf(text, sizeof(text), "MULTI\r\n%s", behind ? command : "");
	for (unsigned i = 0; i < COMMANDS; i++)
		strcat(text, "INCR a\r\n");
	strcat(text, behind ? "" : command);
	client_send(busy.fd, text);
	turned_turns(s, 2);
	static char drop[8192];
	assert_true(recv(busy.fd, drop, sizeof(drop), 0) > 0);
	client_send(busy.fd, "EXEC\r\n");
	turned_turns(s, 5);
	struct tenant *t = tenant_of(busy);
	assert_non_null(t->clients.task);
	schedule_finish(s->worker);
	output_end_replies(s->worker);
	bool again = t->clients.task != NULL;
	for (unsigned i = 1; i <= COMMANDS; i++)
		snprintf(expected + strlen(expected), 32, ":%u\r\n", i);
	char whole[4096];
	snprintf(whole, sizeof(whole), "*%d\r\n%s%s%s", COMMANDS + 1, behind ? reply : "", expected,
		 behind ? "" : reply);
	turned_expect(busy, again ? "" : whole);
	turned_free(s);
	return again;
}

static void a_transaction_that_has_changed_a_session_is_not_abandoned(void **state) {
	static const char *const rows[][2] = {
		{"SUBSCRIBE c\r\n", "*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n"},
		{"CLIENT SETNAME n\r\n", "+OK\r\n"},
		{"UNWATCH\r\n", "+OK\r\n"},
	};
	(void)state;
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_false(stop_beside(rows[i][0], true, rows[i][1]));
		assert_true(stop_beside(rows[i][0], false, rows[i][1]));
	}
	assert_true(stop_beside("PING\r\n", true, "+PONG\r\n"));
	assert_true(stop_beside("GET b\r\n", true, "$-1\r\n"));
}

static void no_command_begins_on_a_fiber_when_the_process_is_about_to_end(void **state) {
	struct turned *s = turned_new();
	(void)state;
	struct turned_client busy = turned_auth(s, "busy");
	s->worker->starts_no_tasks = true;
	send_transaction(busy, "INCR a\r\n", "");
	turned_turns(s, 5);
	turned_expect(busy, "");
	assert_null(tenant_of(busy)->clients.task);
	assert_true(busy.connection->flags & CONNECTION_WAITING);
	turned_free(s);
}

static void a_suspended_commands_memory_is_charged(void **state) {
	struct turned *s = turned_new();
	(void)state;
	struct turned_client busy = turned_auth(s, "busy");
	int size = 1 << 20;
	setsockopt(busy.fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	send_pairs(busy.fd, "EXISTS", 2000);
	for (unsigned i = 0; i < 10 && tenant_of(busy)->clients.task == NULL; i++)
		loop_turn(s->worker, 0);
	assert_non_null(tenant_of(busy)->clients.task);
	assert_true(counter_get(&tenant_of(busy)->counters.client_bytes) > 2000 * 110);
	turned_finish(s);
	turned_expect(busy, ":0\r\n");
	assert_int_equal(counter_get(&tenant_of(busy)->counters.client_bytes), 0);
	turned_free(s);
}

static void replies_off_and_skipped_stay_so(void **state) {
	struct turned *s = turned_new();
	(void)state;
	struct turned_client busy = turned_auth(s, "busy");
	fill_keys(busy, 1500);
	client_send(busy.fd, "CLIENT REPLY SKIP\r\nKEYS *\r\nPING\r\n");
	turned_finish(s);
	turned_expect(busy, "+PONG\r\n");
	client_send(busy.fd, "CLIENT REPLY OFF\r\nKEYS *\r\nPING\r\nKEYS *\r\n");
	turned_finish(s);
	turned_expect(busy, "");
	turned_free(s);
}

/* --- busy_limit --------------------------------------------------------------------------------------------------- */

#define ENDED  "-BUSYKILLED the command ran longer than busy_limit, and the tenant has to give memory back\r\n"
#define SECOND UINT64_C(1000000000)

/* A client whose tenant has 2000 keys, in a worker with a busy_limit of 5 seconds. */
static struct turned_client fill_limited(struct turned *s) {
	struct turned_client c = turned_auth(s, "busy");
	s->worker->env.settings.busy_limit = 5;
	fill_keys(c, 2000);
	return c;
}

/* Lets the running command seem to have begun so many seconds ago, and runs some turns. */
static void let_seconds_pass(struct turned_client c, unsigned seconds) {
	tenant_of(c)->clients.task->begin_ns = c.of->worker->env.now_ns - seconds * SECOND;
	turned_turns(c.of, 3);
}

static void lower_quota(struct turned_client c, uint64_t entries) {
	struct tenant_limits limits = tenant_of(c)->limits;
	limits.max_entries = entries;
	tenant_set_limits(tenant_of(c), &limits, c.of->worker->env.now_ns);
}

static void a_reader_that_delays_evictions_is_ended_after_busy_limit(void **state) {
	struct turned *s = turned_new();
	(void)state;
	struct turned_client busy = fill_limited(s), other = turned_auth(s, "busy");
	client_send(busy.fd, "KEYS *\r\nPING\r\n");
	turned_turns(s, 3);
	turned_ask(other, "DBSIZE\r\n", "");
	lower_quota(busy, 100);
	let_seconds_pass(busy, 4);
	assert_non_null(tenant_of(busy)->clients.task);
	assert_int_equal(counter_get(&tenant_of(busy)->counters.keys), 2000);
	let_seconds_pass(busy, 6);
	assert_null(tenant_of(busy)->clients.task);
	turned_finish(s);
	turned_expect(busy, ENDED "+PONG\r\n");
	turned_expect(other, ":2000\r\n");
	turned_ask(other, "DBSIZE\r\n", ":100\r\n");
	assert_int_equal(s->events[LOG_EVENT_COMMAND_ENDED], 1);
	assert_non_null(strstr(s->detail, "command keys, after 6"));
	turned_free(s);
}

static void a_reader_that_delays_nothing_may_take_longer(void **state) {
	struct turned *s = turned_new();
	(void)state;
	struct turned_client busy = fill_limited(s);
	client_send(busy.fd, "KEYS *\r\n");
	turned_turns(s, 3);
	let_seconds_pass(busy, 1000);
	assert_non_null(tenant_of(busy)->clients.task);
	/* A busy_limit of 0 is none. */
	lower_quota(busy, 100);
	s->worker->env.settings.busy_limit = 0;
	let_seconds_pass(busy, 1000);
	assert_non_null(tenant_of(busy)->clients.task);
	assert_int_equal(s->events[LOG_EVENT_COMMAND_ENDED], 0);
	turned_free(s);
}

static void a_transaction_is_ended_if_it_only_reads(void **state) {
	struct turned *s = turned_new();
	(void)state;
	struct turned_client busy = fill_limited(s);
	send_transaction(busy, "INCR a\r\n", "");
	turned_turns(s, 3);
	lower_quota(busy, 100);
	let_seconds_pass(busy, 1000);
	assert_non_null(tenant_of(busy)->clients.task);
	turned_finish(s);
	expect_counts(busy, "");
	send_transaction(busy, "GET a\r\n", "");
	turned_turns(s, 3);
	lower_quota(busy, 50);
	let_seconds_pass(busy, 6);
	turned_finish(s);
	turned_expect(busy, ENDED);
	turned_ask(busy, "GET a\r\n", "$2\r\n20\r\n");
	turned_free(s);
}

static void a_client_that_wants_no_reply_gets_none_for_an_ended_reader(void **state) {
	static const char *const modes[] = {"CLIENT REPLY SKIP\r\n", "CLIENT REPLY OFF\r\n"};
	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct turned *s = turned_new();
		struct turned_client busy = fill_limited(s);
		client_send(busy.fd, modes[i]);
		send_pairs(busy.fd, "EXISTS", 100);
		turned_turns(s, 3);
		lower_quota(busy, 100);
		let_seconds_pass(busy, 6);
		assert_null(tenant_of(busy)->clients.task);
		assert_int_equal(s->events[LOG_EVENT_COMMAND_ENDED], 1);
		turned_expect(busy, "");
		turned_ask(busy, "CLIENT REPLY ON\r\nPING\r\n", "+OK\r\n+PONG\r\n");
		turned_free(s);
	}
}

static void a_tenant_gives_way_between_two_long_commands(void **state) {
	struct turned *s = turned_new();
	(void)state;
	struct turned_client busy = fill_limited(s), other = turned_auth(s, "busy");
	struct tenant *t = tenant_of(busy);
	client_send(busy.fd, "KEYS none\r\nKEYS none\r\n");
	turned_turns(s, 3);
	client_send(other.fd, "KEYS none\r\n");
	lower_quota(busy, 100);
	for (unsigned i = 0; i < 10000 && t->clients.task != NULL; i++)
		loop_turn(s->worker, 0);
	/* The first command has ended, and the others wait for the evictions. */
	turned_expect(busy, "*0\r\n");
	turned_expect(other, "");
	assert_int_equal(counter_get(&t->counters.keys), 2000);
	for (unsigned i = 0; i < 100 && counter_get(&t->counters.keys) > 100; i++) {
		assert_null(t->clients.task);
		loop_turn(s->worker, 0);
	}
	assert_int_equal(counter_get(&t->counters.keys), 100);
	turned_finish(s);
	turned_expect(busy, "*0\r\n");
	turned_expect(other, "*0\r\n");
	turned_free(s);
}

static void a_tenant_gives_way_for_a_short_time_only(void **state) {
	struct turned *s = turned_new();
	(void)state;
	struct turned_client busy = fill_limited(s);
	struct tenant *t = tenant_of(busy);
	/* The shard does not know that it has to evict. */
	t->limits.max_entries = 1;
	t->clients.task_end_ns = s->worker->env.now_ns + SECOND;
	turned_ask(busy, "KEYS *\r\n", "");
	assert_null(t->clients.task);
	t->clients.task_end_ns = s->worker->env.now_ns - SECOND;
	turned_turns(s, 1);
	assert_non_null(t->clients.task);
	turned_free(s);
}

/* --- stalls ------------------------------------------------------------------------------------------------------- */

/* Uses 150 ms of CPU time without a check point. */
static enum outcome run_stalling(struct session *s, const struct request *r) {
	struct timespec begin, now;
	(void)r;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &begin);
	do {
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	} while ((now.tv_sec - begin.tv_sec) * 1000000000 + now.tv_nsec - begin.tv_nsec < 150000000);
	writer_ok(s->reply);
	return OUTCOME_DONE;
}

/* A worker whose TIME stalls. */
static struct turned *stalling_new(void) {
	static struct command rows[COMMAND_COUNT];
	static struct command_set stalling;
	memcpy(rows, command_set.rows, sizeof(rows));
	rows[COMMAND_TIME].run = run_stalling;
	stalling = command_set;
	stalling.rows = rows;
	struct turned *s = turned_new();
	s->worker->env.command_set = &stalling;
	cpu_time_start(&s->worker->cpu, 1, clock_monotonic_ns());
	return s;
}

static void a_command_that_misses_its_check_points_is_counted_and_logged_once(void **state) {
	struct turned *s = stalling_new();
	(void)state;
	struct turned_client busy = turned_auth(s, "busy");
	send_transaction(busy, "INCR a\r\n", "TIME\r\nTIME\r\nPING\r\n");
	turned_finish(s);
	assert_null(tenant_of(busy)->clients.task);
	assert_int_equal(counter_get(&s->worker->counters.stalls), 2);
	assert_int_equal(s->events[LOG_EVENT_COMMAND_STALLED], 1);
	assert_non_null(strstr(s->detail, "command exec, 1"));
	turned_free(s);
}

static void a_command_outside_of_a_fiber_that_stalls_is_logged_too(void **state) {
	struct turned *s = stalling_new();
	(void)state;
	struct turned_client busy = turned_auth(s, "busy");
	turned_ask(busy, "PING\r\nTIME\r\nPING\r\n", "+PONG\r\n+OK\r\n");
	loop_turn(s->worker, 0);
	turned_expect(busy, "+PONG\r\n");
	assert_int_equal(counter_get(&s->worker->counters.stalls), 1);
	assert_int_equal(s->events[LOG_EVENT_COMMAND_STALLED], 1);
	assert_non_null(strstr(s->detail, "command time, 1"));
	turned_free(s);
}

/* No CPU time passes for tenants here: the test sets their virtual times. */
static void a_tenant_that_is_ahead_waits_for_a_suspended_command_of_one_that_is_not(void **state) {
	struct turned *s = turned_new();
	(void)state;
	struct turned_client busy = turned_auth(s, "busy"), ahead = turned_auth(s, "ahead");
	send_transaction(busy, "INCR a\r\n", "");
	turned_turns(s, 2);
	tenant_of(ahead)->share_ns = 1 + 5 * SHARE_SLICE_NS;
	turned_ask(ahead, "PING\r\n", "");
	turned_ask(ahead, "", "");
	assert_non_null(tenant_of(busy)->clients.task);
	turned_finish(s);
	expect_counts(busy, "");
	turned_expect(ahead, "+PONG\r\n");
	turned_free(s);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_suspended_command_lets_other_tenants_go_on),
		cmocka_unit_test(other_commands_of_the_tenant_wait_in_their_order),
		cmocka_unit_test(the_rest_of_a_pipeline_runs_behind_waiting_clients),
		cmocka_unit_test(auth_into_a_busy_tenant_waits_with_all_that_follows),
		cmocka_unit_test(clients_that_wait_for_a_command_do_not_time_out),
		cmocka_unit_test(commands_without_auth_wait_too),
		cmocka_unit_test(a_command_that_has_come_by_half_is_read_on),
		cmocka_unit_test(messages_of_a_transaction_leave_when_it_has_ended),
		cmocka_unit_test(invalidations_of_prefixes_leave_when_the_command_has_ended),
		cmocka_unit_test(a_writer_whose_client_is_gone_comes_to_its_end),
		cmocka_unit_test(a_long_write_whose_client_is_gone_is_whole),
		cmocka_unit_test(a_reader_whose_client_is_gone_ends_at_its_next_check_point),
		cmocka_unit_test(invalidations_of_earlier_commands_do_not_wait_for_a_long_one),
		cmocka_unit_test(clients_that_go_leave_the_tenant_when_the_command_has_ended),
		cmocka_unit_test(the_removal_of_a_tenant_waits_for_its_command),
		cmocka_unit_test(a_removed_tenants_reader_ends_at_its_next_check_point),
		cmocka_unit_test(commands_of_several_tenants_take_turns_and_a_new_one_comes_last),
		cmocka_unit_test(a_new_command_gets_no_slice_ahead_of_a_suspended_one),
		cmocka_unit_test(a_worker_without_suspended_commands_is_not_busy),
		cmocka_unit_test(time_spent_away_is_not_the_commands),
		cmocka_unit_test(the_time_of_a_command_stands_still),
		cmocka_unit_test(a_command_that_was_queued_behind_others_can_still_wait_for_a_pause),
		cmocka_unit_test(arguments_of_any_number_and_size_stay_as_long_as_the_command),
		cmocka_unit_test(an_abandoned_command_is_pending_again),
		cmocka_unit_test(messages_of_an_abandoned_transaction_are_not_sent),
		cmocka_unit_test(an_abandoned_transaction_begins_in_its_database_again),
		cmocka_unit_test(a_transaction_that_has_changed_a_session_is_not_abandoned),
		cmocka_unit_test(no_command_begins_on_a_fiber_when_the_process_is_about_to_end),
		cmocka_unit_test(a_suspended_commands_memory_is_charged),
		cmocka_unit_test(replies_off_and_skipped_stay_so),
		cmocka_unit_test(a_reader_that_delays_evictions_is_ended_after_busy_limit),
		cmocka_unit_test(a_reader_that_delays_nothing_may_take_longer),
		cmocka_unit_test(a_transaction_is_ended_if_it_only_reads),
		cmocka_unit_test(a_client_that_wants_no_reply_gets_none_for_an_ended_reader),
		cmocka_unit_test(a_tenant_gives_way_between_two_long_commands),
		cmocka_unit_test(a_tenant_gives_way_for_a_short_time_only),
		cmocka_unit_test(a_command_that_misses_its_check_points_is_counted_and_logged_once),
		cmocka_unit_test(a_command_outside_of_a_fiber_that_stalls_is_logged_too),
		cmocka_unit_test(a_tenant_that_is_ahead_waits_for_a_suspended_command_of_one_that_is_not),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
