/* Commands of sessions that are in MULTI, subscribed, paused, tracked or monitored; and the charges of their state. */
#include "atomdb/events/tracking_broadcast.h"
#include "atomdb/store/drop.h"
#include "atomdb/store/shard.h"
#include "atomdb/store/tenant.h"
#include "world.h"

#define OK     "+OK\r\n"
#define QUEUED "+QUEUED\r\n"

static uint64_t charged(const struct client *c) {
	return counter_get(&c->session.tenant->counters.bytes);
}

static void test_no_charge_is_left(void **state) {
	static const char *const lines[] = {
		"WATCH a b a c", "SUBSCRIBE x y x", "PSUBSCRIBE * y*", "SSUBSCRIBE s", "CLIENT TRACKING ON",
		"MGET k l m",    "UNSUBSCRIBE x",   "MULTI",           "SET a 1",      "GET",
	};
	struct client *a;
	struct world *w = open_world(NULL, &a);
	(void)state;
	/* Counters of commands and errors stay: run all commands once before the measurement. */
	struct client *first = join(w, a);
	for (unsigned i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		ask(first, lines[i]);
	client_free(first);
	ask(a, "HELLO 2");
	/* A slow command would be recorded, and charged. */
	ask(a, "CONFIG SET slowlog-log-slower-than -1");
	uint64_t before = charged(a);
	for (unsigned n = 1; n <= sizeof(lines) / sizeof(lines[0]); n++) {
		struct client *b = join(w, a);
		expect_part(b, "HELLO 3", "%7");
		for (unsigned i = 0; i < n; i++)
			ask(b, lines[i]);
		assert_true(charged(a) > before);
		client_free(b);
		assert_int_equal(charged(a), before);
		assert_null(a->session.tenant->clients.subscriptions);
		assert_null(a->session.tenant->watcher);
		assert_false(a->session.tenant->clients.attention);
	}
	close_world(w, a);
}

static void test_watch_and_flush(void **state) {
	struct client *a;
	struct world *w = open_world(NULL, &a);
	struct client *b = join(w, a);
	(void)state;
	expect(a, "WATCH none", OK);
	expect(b, "FLUSHALL", OK);
	expect(a, "MULTI", OK);
	expect(a, "PING", QUEUED);
	expect(a, "EXEC", "*1\r\n+PONG\r\n");
	expect(b, "SET k 1 PX 10", OK);
	expect(a, "WATCH k", OK);
	world_pass(w, 20);
	expect(a, "MULTI", OK);
	expect(a, "EXEC", "*-1\r\n");
	expect(b, "SET k 1 PX 10", OK);
	world_pass(w, 20);
	expect(a, "WATCH k", OK);
	expect(a, "MULTI", OK);
	/* Due keys are removed before a command that counts keys runs. */
	expect(a, "DBSIZE", QUEUED);
	expect(a, "EXEC", "*1\r\n:0\r\n");
	client_free(b);
	close_world(w, a);
}

static void test_full_tenant(void **state) {
	struct tenant_limits limits = {.max_memory = 16384, .eviction = EVICTION_NONE};
	struct client *a;
	struct world *w = open_world(&limits, &a);
	char line[700];
	(void)state;
	uint64_t before = charged(a);
	memset(line, 'x', sizeof(line) - 1);
	memcpy(line, "SUBSCRIBE 000", 13);
	line[sizeof(line) - 1] = '\0';
	unsigned n = 0;
	while (strncmp(ask(a, line), "-OOM", 4) != 0) {
		assert_true(++n < 100);
		line[10] = (char)('0' + n / 10);
		line[11] = (char)('0' + n % 10);
	}
	assert_true(n > 5);
	expect(a, "RESET", "+RESET\r\n");
	expect(a, "AUTH secret", OK);
	assert_int_equal(charged(a), before);
	expect(a, "MULTI", OK);
	memcpy(line, "SET k ", 6);
	while (strcmp(ask(a, line), QUEUED) == 0)
		assert_true(++n < 1000);
	expect(a, "EXEC", "-EXECABORT Transaction discarded because of previous errors.\r\n");
	expect(a, "DBSIZE", ":0\r\n");
	close_world(w, a);
}

/* A failed subscription leaves no state. */
static void test_subscribing_to_all_or_none(void **state) {
	struct tenant_limits limits = {.max_memory = 16384, .eviction = EVICTION_NONE};
	struct client *a;
	struct world *w = open_world(&limits, &a);
	static char names[40][4000];
	struct slice argv[41] = {SLICE("SUBSCRIBE")};
	(void)state;
	for (unsigned i = 0; i < 40; i++) {
		memset(names[i], 'a' + (int)i % 26, sizeof(names[i]));
		names[i][0] = (char)('0' + i);
		argv[i + 1] = (struct slice){names[i], sizeof(names[i])};
	}
	expect(a, "SUBSCRIBE kept", "*3\r\n$9\r\nsubscribe\r\n$4\r\nkept\r\n:1\r\n");
	assert_true(strncmp(client_run(a, argv, 41), "-OOM", 4) == 0);
	uint64_t before = charged(a); /* the count of this error stays */
	assert_true(strncmp(client_run(a, argv, 41), "-OOM", 4) == 0);
	assert_int_equal(charged(a), before);
	expect(a, "UNSUBSCRIBE", "*3\r\n$11\r\nunsubscribe\r\n$4\r\nkept\r\n:0\r\n");
	close_world(w, a);
}

static void test_pushes_to_oneself_are_held_and_charged(void **state) {
	static const char message[] = ">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\nm\r\n";
	struct client *a;
	struct world *w = open_world(NULL, &a);
	(void)state;
	expect_part(a, "HELLO 3", "%7");
	expect_part(a, "SUBSCRIBE c", "subscribe");
	uint64_t before = charged(a);
	expect(a, "MULTI", OK);
	expect(a, "PUBLISH c m", QUEUED);
	expect(a, "PING", QUEUED);
	expect(a, "EXEC", "*2\r\n:1\r\n+PONG\r\n");
	assert_string_equal(pushed(a), message);
	assert_int_equal(charged(a), before);
	/* They count in the limit of the reply. */
	expect(a, "MULTI", OK);
	expect(a, "PUBLISH c m", QUEUED);
	expect(a, "PUBLISH c m", QUEUED);
	a->writer.limit = sizeof(message) + 20;
	ask(a, "EXEC");
	assert_true(a->writer.failed);
	assert_string_equal(pushed(a), "");
	assert_int_equal(charged(a), before);
	close_world(w, a);
}

static void test_an_eviction_sends_invalidations_and_events(void **state) {
	struct tenant_limits limits = {.max_entries = 2};
	struct client *a;
	struct world *w = open_world(&limits, &a);
	struct client *b = join(w, a);
	(void)state;
	const struct slice subscribe[] = {SLICE("SUBSCRIBE"), SLICE("__keyevent@0__:evicted")};
	expect(b, "CONFIG SET notify-keyspace-events Ee", OK);
	expect(b, "SET one 1", OK);
	expect(b, "SET two 1", OK);
	expect_part(a, "HELLO 3", "%7");
	assert_non_null(strstr(client_run(a, subscribe, 2), ":1\r\n"));
	expect(a, "CLIENT TRACKING ON", OK);
	expect(a, "GET one", "$1\r\n1\r\n");
	expect(a, "GET two", "$1\r\n1\r\n");
	expect(b, "SET three 1", OK);
	assert_string_equal(pushed(a), ">2\r\n$10\r\ninvalidate\r\n*1\r\n$3\r\none\r\n>3\r\n$7\r\nmessage\r\n"
				       "$22\r\n__keyevent@0__:evicted\r\n$3\r\none\r\n");
	/* The invalidations of keys that its own command evicts follow the reply. */
	expect(a, "SET four 1", OK);
	assert_string_equal(pushed(a), ">2\r\n$10\r\ninvalidate\r\n*1\r\n$3\r\ntwo\r\n>3\r\n$7\r\nmessage\r\n"
				       "$22\r\n__keyevent@0__:evicted\r\n$3\r\ntwo\r\n");
	client_free(b);
	close_world(w, a);
}

static void test_broadcast(void **state) {
	struct client *a;
	struct world *w = open_world(NULL, &a);
	struct client *b = join(w, a);
	(void)state;
	expect_part(a, "HELLO 3", "%7");
	expect(a, "CLIENT TRACKING ON BCAST PREFIX p NOLOOP", OK);
	expect(b, "MSET p2 1 q 1 p1 1 p2 2", OK);
	expect(a, "SET p3 1", OK);
	assert_string_equal(pushed(a), "");
	world_end_turn(a->session.env);
	assert_string_equal(pushed(a), ">2\r\n$10\r\ninvalidate\r\n*2\r\n$2\r\np1\r\n$2\r\np2\r\n");
	/* A client that leaves drops its deferred pushes. */
	expect(b, "SET p1 1", OK);
	expect(a, "RESET", "+RESET\r\n");
	assert_null(b->session.env->unsent);
	world_end_turn(b->session.env);
	client_free(b);
	close_world(w, a);
}

static void test_pause(void **state) {
	struct client *a;
	struct world *w = open_world(NULL, &a);
	struct client *b = join(w, a);
	(void)state;
	expect(a, "CLIENT PAUSE 100 WRITE", OK);
	expect(a, "CLIENT PAUSE 50 WRITE", OK);
	expect(b, "GET k", "$-1\r\n");
	expect(b, "SET k 1", "");
	assert_int_equal(b->outcome, OUTCOME_BLOCKED);
	world_pass(w, 99);
	expect(b, "SET k 1", "");
	world_pass(w, 1);
	expect(b, "SET k 1", OK);
	assert_false(b->session.tenant->clients.attention);
	client_free(b);
	close_world(w, a);
}

static const char expired[] = "*3\r\n$7\r\nmessage\r\n$22\r\n__keyevent@0__:expired\r\n$1\r\nk\r\n";

static void work(struct client *c) {
	while (shard_work(c->session.tenant->shard, 64))
		;
}

/* As in Redis: while the clients of a tenant are paused, its keys appear expired, but are not removed. */
static void test_expired_keys_stay_while_clients_are_paused(void **state) {
	struct client *a;
	struct world *w = open_world(NULL, &a);
	struct client *b = join(w, a);
	struct client *other = client_new(w, a->session.env->worker);
	const struct slice subscribe[] = {SLICE("SUBSCRIBE"), SLICE("__keyevent@0__:expired")};
	(void)state;
	for (unsigned n = 0; n < 100; n++) {
		char line[32];
		snprintf(line, sizeof(line), "AUTH other%u", n);
		if (strcmp(ask(other, line), OK) == 0)
			break;
	}
	assert_non_null(other->session.tenant);
	client_run(b, subscribe, 2);
	expect(a, "CONFIG SET notify-keyspace-events Ex", OK);
	/* A pause ends by time, by CLIENT UNPAUSE, and by a pause within a transaction. */
	for (unsigned how = 0; how < 3; how++) {
		expect(a, "SET k 1 PX 50", OK);
		expect(other, "SET k 1 PX 50", OK);
		if (how == 2)
			expect(a, "MULTI", OK);
		expect(a, how == 1 ? "CLIENT PAUSE 5000 WRITE" : "CLIENT PAUSE 1000 WRITE", how == 2 ? QUEUED : OK);
		if (how == 2)
			expect(a, "EXEC", "*1\r\n" OK);
		world_pass(w, 100);
		work(a);
		expect(other, "DBSIZE", ":0\r\n");
		expect(a, "GET k", "$-1\r\n");
		expect(a, "EXISTS k", ":0\r\n");
		expect(a, "TTL k", ":-2\r\n");
		expect(a, "KEYS *", "*0\r\n");
		expect(a, "RANDOMKEY", "$-1\r\n");
		expect(a, "DBSIZE", ":1\r\n");
		expect(a, "WATCH k", OK);
		expect(a, "UNWATCH", OK);
		expect(a, "SET k 2", "");
		assert_int_equal(a->outcome, OUTCOME_BLOCKED);
		assert_string_equal(pushed(b), "");
		if (how == 1)
			expect(a, "CLIENT UNPAUSE", OK);
		else
			world_pass(w, 1000);
		work(a);
		assert_string_equal(pushed(b), expired);
		expect(a, "DBSIZE", ":0\r\n");
		expect(a, "GET k", "$-1\r\n");
	}
	/* The rest of a transaction that pauses may write. */
	expect(a, "SET k 1 PX 50", OK);
	world_pass(w, 100);
	expect(a, "MULTI", OK);
	expect(a, "CLIENT PAUSE 1000 WRITE", QUEUED);
	expect(a, "GETSET k 2", QUEUED);
	expect(a, "DBSIZE", QUEUED);
	expect(a, "EXEC", "*3\r\n" OK "$-1\r\n:1\r\n");
	assert_string_equal(pushed(b), expired);
	expect(a, "CLIENT UNPAUSE", OK);
	/* A key that is removed, or ends with its tenant, is no longer tracked. */
	expect(a, "SET k 1 PX 50", OK);
	expect(a, "CLIENT PAUSE 1000", OK);
	world_pass(w, 100);
	work(other);
	keyspace_flush(a->session.tenant, 0);
	work(other);
	assert_int_equal(counter_get(&a->session.tenant->counters.keys), 0);
	client_free(other);
	client_free(b);
	close_world(w, a);
}

static void test_a_refused_command_leaves_its_secrets_to_be_wiped(void **state) {
	struct client *c;
	struct world *w = open_world(NULL, &c);
	(void)state;
	ask(c, "SUBSCRIBE x");
	/* The invalidation that the AUTH of open_world() causes. */
	c->session.flags &= ~(uint32_t)SESSION_SECRET;
	expect_part(c, "GET k", "-ERR Can't execute 'get'");
	assert_false(c->session.flags & SESSION_SECRET);
	expect_part(c, "AUTH secret", "-ERR Can't execute 'auth'");
	assert_true(c->session.flags & SESSION_SECRET);
	close_world(w, c);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_refused_command_leaves_its_secrets_to_be_wiped),
		cmocka_unit_test(test_no_charge_is_left),
		cmocka_unit_test(test_watch_and_flush),
		cmocka_unit_test(test_full_tenant),
		cmocka_unit_test(test_an_eviction_sends_invalidations_and_events),
		cmocka_unit_test(test_broadcast),
		cmocka_unit_test(test_pause),
		cmocka_unit_test(test_expired_keys_stay_while_clients_are_paused),
		cmocka_unit_test(test_subscribing_to_all_or_none),
		cmocka_unit_test(test_pushes_to_oneself_are_held_and_charged),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
