#include "atomdb/dispatch/handover.h"
#include "atomdb/events/tracking_broadcast.h"
#include "atomdb/store/shard.h"
#include "atomdb/store/tenant.h"
#include "atomdb/util/error.h"
#include "world.h"

/* The state that the previous process leaves: a tenant's settings and a session, as bytes. */
static struct buffer leave(const struct client *c) {
	struct buffer b;
	buffer_init(&b);
	struct serializer out = {.out = &b};
	session_serialize(&c->session, &out);
	assert_int_equal(out.error, 0);
	return b;
}

/* Makes a client of the same tenant with that state. Returns NULL on an error. */
static struct client *resume(struct world *w, struct client *of, struct slice bytes, int *error) {
	struct tenant *t = of->session.tenant;
	struct client *c = client_new(w, shard_worker(t->shard));
	*error = session_attach(&c->session, t);
	assert_int_equal(*error, 0);
	*error = session_deserialize(&c->session, bytes);
	c->session.reply = &c->writer;
	return c;
}

static struct client *friend_of(struct world *w, const struct client *c) {
	struct client *other = client_new(w, shard_worker(c->session.tenant->shard));
	expect(other, "AUTH secret", "+OK\r\n");
	return other;
}

/* The bytes of a client in many states at once. */
static struct buffer leave_much(struct world *w, struct client *one) {
	struct client *other = friend_of(w, one);
	const struct exchange table[] = {
		{"CLIENT SETNAME Bob", "+OK\r\n"},
		{"CLIENT SETINFO lib-name test", "+OK\r\n"},
		{"SELECT 3", "+OK\r\n"},
		{"SET a 1", "+OK\r\n"},
		{"HELLO 3 SETNAME Bob", NULL},
		{"SUBSCRIBE one", NULL},
		{"PSUBSCRIBE o*", NULL},
		{"SSUBSCRIBE s", NULL},
		{"CLIENT TRACKING ON BCAST PREFIX b: NOLOOP", "+OK\r\n"},
		{"WATCH a b", "+OK\r\n"},
		{"MULTI", "+OK\r\n"},
		{"INCR a", "+QUEUED\r\n"},
		{"CLIENT GETNAME", "+QUEUED\r\n"},
	};
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		const char *reply = ask(one, table[i].line);
		assert_true(table[i].reply == NULL || strcmp(reply, table[i].reply) == 0);
	}
	client_free(other);
	return leave(one);
}

static void a_session_is_what_it_was(void **state) {
	(void)state;
	struct client *one;
	struct world *w = open_world(NULL, &one);
	struct buffer bytes = leave_much(w, one);
	uint64_t id = one->session.global_id;
	int error;
	struct client *two = resume(w, one, buffer_slice(&bytes), &error);
	assert_int_equal(error, 0);
	client_free(one);
	assert_int_equal(two->session.global_id, id);
	expect_part(two, "EXEC", "*2\r\n:2\r\n$3\r\nBob\r\n");
	expect_part(two, "CLIENT INFO", " db=3 sub=1 psub=1 ssub=1 multi=-1 ");
	expect_part(two, "CLIENT INFO", " lib-name=test ");
	expect_part(two, "CLIENT INFO", " cmd=client|info ");
	expect_part(two, "CLIENT TRACKINGINFO", "bcast");
	expect_part(two, "CLIENT TRACKINGINFO", "b:");
	struct client *other = friend_of(w, two);
	expect(other, "PUBLISH one x", ":2\r\n");
	buffer_deinit(&bytes);
	client_free(other);
	close_world(w, two);
}

static void a_client_keeps_its_id_and_the_next_one_has_the_next(void **state) {
	(void)state;
	struct client *one;
	struct world *w = open_world(NULL, &one);
	expect(one, "CLIENT ID", ":1\r\n");
	struct buffer bytes = leave(one);
	int error;
	struct client *two = resume(w, one, buffer_slice(&bytes), &error);
	assert_int_equal(error, 0);
	expect(two, "CLIENT ID", ":1\r\n");
	struct client *three = friend_of(w, two);
	expect(three, "CLIENT ID", ":2\r\n");
	buffer_deinit(&bytes);
	client_free(one);
	client_free(three);
	close_world(w, two);
}

static void a_session_of_a_later_release_loses_only_what_is_unknown(void **state) {
	(void)state;
	struct client *one;
	struct world *w = open_world(NULL, &one);
	struct buffer bytes = leave_much(w, one);
	struct serializer out = {.out = &bytes};
	int error;
	serialize_number(&out, "of a later release", 7);
	struct client *two = resume(w, one, buffer_slice(&bytes), &error);
	assert_int_equal(error, 0);
	expect_part(two, "EXEC", "*2\r\n:2\r\n$3\r\nBob\r\n");
	serialize_number(&out, "!of a later release", 7);
	struct client *three = resume(w, one, buffer_slice(&bytes), &error);
	assert_int_equal(error, ATOMDB_E_VERSION);
	client_free(three);
	expect(one, "DISCARD", "+OK\r\n");
	buffer_deinit(&bytes);
	client_free(one);
	close_world(w, two);
}

static void a_session_of_an_earlier_release_has_defaults(void **state) {
	(void)state;
	struct client *one;
	struct world *w = open_world(NULL, &one);
	int error;
	struct client *two = resume(w, one, (struct slice){NULL, 0}, &error);
	assert_int_equal(error, 0);
	/* The new id, database 0, RESP2, no name. */
	expect(two, "CLIENT ID", ":2\r\n");
	expect_part(two, "CLIENT INFO", " name= ");
	expect_part(two, "CLIENT INFO", " db=0 sub=0 psub=0 ssub=0 multi=-1 ");
	expect_part(two, "CLIENT INFO", " resp=2 ");
	client_free(one);
	close_world(w, two);
}

static void watched_keys_are_watched_on(void **state) {
	(void)state;
	struct client *one;
	struct world *w = open_world(NULL, &one);
	const char *touched[] = {"SET a 2", "SET c 2"};
	const char *replies[] = {"*-1\r\n", "*1\r\n+PONG\r\n"};
	for (unsigned i = 0; i < 2; i++) {
		expect(one, "WATCH a", "+OK\r\n");
		expect(one, "MULTI", "+OK\r\n");
		expect(one, "PING", "+QUEUED\r\n");
		struct buffer bytes = leave(one);
		int error;
		struct client *two = resume(w, one, buffer_slice(&bytes), &error);
		assert_int_equal(error, 0);
		expect(one, "DISCARD", "+OK\r\n");
		struct client *other = friend_of(w, one);
		expect(other, touched[i], "+OK\r\n");
		expect(two, "EXEC", replies[i]);
		buffer_deinit(&bytes);
		client_free(other);
		client_free(two);
	}
	close_world(w, one);
}

static void a_redirection_finds_its_other_end(void **state) {
	(void)state;
	struct client *one;
	struct world *w = open_world(NULL, &one);
	struct client *other = friend_of(w, one);
	char line[64];
	snprintf(line, sizeof(line), "CLIENT TRACKING ON REDIRECT %d", (int)other->session.id);
	expect(one, line, "+OK\r\n");
	expect(one, "GET a", "$-1\r\n");
	expect_part(other, "SUBSCRIBE __redis__:invalidate", "*3");
	struct buffer bytes = leave(one);
	int error;
	struct client *two = resume(w, one, buffer_slice(&bytes), &error);
	assert_int_equal(error, 0);
	session_link(&two->session);
	client_free(one);
	other->pushed.len = 0;
	expect(two, "SET a 1", "+OK\r\n");
	assert_true(other->pushed.len > 0);
	buffer_deinit(&bytes);
	client_free(other);
	close_world(w, two);
}

static void a_monitor_is_told_on(void **state) {
	(void)state;
	struct client *one;
	struct world *w = open_world(NULL, &one);
	struct client *other = friend_of(w, one);
	expect(one, "MONITOR", "+OK\r\n");
	struct buffer bytes = leave(one);
	int error;
	struct client *two = resume(w, one, buffer_slice(&bytes), &error);
	assert_int_equal(error, 0);
	client_free(one);
	assert_false(session_link(&two->session));
	expect_part(other, "CLIENT LIST", " flags=O ");
	two->pushed.len = 0;
	expect(other, "GET a", "$-1\r\n");
	assert_non_null(memmem(two->pushed.data, two->pushed.len, "\"GET\" \"a\"\r\n", 11));
	expect(two, "RESET", "+RESET\r\n");
	two->pushed.len = 0;
	expect(other, "GET a", "$-1\r\n");
	assert_int_equal(two->pushed.len, 0);
	buffer_deinit(&bytes);
	client_free(two);
	close_world(w, other);
}

static void settings_of_a_tenant_come_back(void **state) {
	(void)state;
	struct client *one;
	struct world *w = open_world(NULL, &one);
	struct tenant *t = one->session.tenant;
	assert_false(tenant_is_set(t));
	expect(one, "CONFIG SET notify-keyspace-events KEAn slowlog-log-slower-than 77", "+OK\r\n");
	expect(one, "CLIENT PAUSE 5000 WRITE", "+OK\r\n");
	assert_true(tenant_is_set(t));
	struct buffer b;
	buffer_init(&b);
	uint32_t classes = t->clients.event_classes;
	struct serializer out = {.out = &b};
	tenant_serialize(t, &out);
	expect(one, "CONFIG SET notify-keyspace-events '' slowlog-log-slower-than 5", "+OK\r\n");
	expect(one, "CLIENT UNPAUSE", "+OK\r\n");
	assert_int_equal(tenant_deserialize(t, one->session.env, buffer_slice(&b)), 0);
	assert_int_equal(t->clients.event_classes, classes);
	expect_part(one, "CONFIG GET notify-keyspace-events", "AKE");
	expect_part(one, "CONFIG GET slowlog-log-slower-than", "77");
	ask(one, "SET a 1");
	assert_int_equal(one->outcome, OUTCOME_BLOCKED);
	buffer_deinit(&b);
	close_world(w, one);
}

/* Truncated and damaged at every byte: an error or a usable session, and no remaining charge. */
static void damage_is_an_error_or_harmless(void **state) {
	(void)state;
	struct client *one;
	struct world *w = open_world(NULL, &one);
	struct buffer bytes = leave_much(w, one);
	uint64_t charged = counter_get(&one->session.tenant->counters.bytes);
	int error, whole = 0;
	for (size_t i = 0; i < bytes.len; i++) {
		/* Truncated between two fields, it is a record of an earlier release. */
		struct client *cut = resume(w, one, (struct slice){bytes.data, i}, &error);
		assert_true(error == 0 || error == ATOMDB_E_FORMAT);
		whole += error == 0;
		client_free(cut);
		for (unsigned bit = 1; bit < 256; bit <<= 1) {
			bytes.data[i] ^= (char)bit;
			struct client *damaged = client_new(w, one->session.env->worker);
			assert_int_equal(session_attach(&damaged->session, one->session.tenant), 0);
			error = session_deserialize(&damaged->session, buffer_slice(&bytes));
			damaged->session.reply = &damaged->writer;
			if (error == 0) {
				session_link(&damaged->session);
				ask(damaged, "EXEC");
				ask(damaged, "CLIENT INFO");
			}
			client_free(damaged);
			world_end_turn(one->session.env);
			bytes.data[i] ^= (char)bit;
		}
	}
	assert_in_range(whole, 5, 20);
	expect(one, "DISCARD", "+OK\r\n");
	buffer_deinit(&bytes);
	/* Some sessions have written to other databases, whose tables stay. */
	assert_true(counter_get(&one->session.tenant->counters.bytes) <= charged + 16384);
	close_world(w, one);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_session_is_what_it_was),
		cmocka_unit_test(watched_keys_are_watched_on),
		cmocka_unit_test(a_redirection_finds_its_other_end),
		cmocka_unit_test(settings_of_a_tenant_come_back),
		cmocka_unit_test(damage_is_an_error_or_harmless),
		cmocka_unit_test(a_client_keeps_its_id_and_the_next_one_has_the_next),
		cmocka_unit_test(a_session_of_a_later_release_loses_only_what_is_unknown),
		cmocka_unit_test(a_session_of_an_earlier_release_has_defaults),
		cmocka_unit_test(a_monitor_is_told_on),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
