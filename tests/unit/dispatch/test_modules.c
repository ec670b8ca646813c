#include "alloc_fail.h"
#include "atomdb/dispatch/modules.h"
#include "atomdb/events/tracking_broadcast.h"
#include "atomdb/store/registry_reload.h"
#include "world.h"

static void test_records_have_names_and_both_directions(void **state) {
	static const char *const names[] = {"transaction", "tracking", "memberships"};
	unsigned found = 0;
	(void)state;
	for (unsigned i = 0; i < dispatch_modules.count; i++) {
		const struct session_module *m = &dispatch_modules.all[i];
		assert_int_equal(m->record != NULL, m->serialize != NULL);
		assert_int_equal(m->record != NULL, m->deserialize != NULL);
		if (m->record != NULL)
			assert_string_equal(m->record, names[found++]);
	}
	assert_int_equal(found, 3);
}

static void test_a_session_that_leaves_is_charged_nothing_and_keeps_no_state(void **state) {
	static const char *const lines[] = {"WATCH k", "SUBSCRIBE c", "PSUBSCRIBE p*", "CLIENT TRACKING ON BCAST",
					    "MONITOR", "MULTI",       "SET k 1"};
	struct client *a;
	struct world *w = open_world(NULL, &a);
	struct client *b = join(w, a);
	(void)state;
	expect_part(b, "HELLO 3", "%7");
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		ask(b, lines[i]);
	assert_true(b->session.event_bytes > 0);
	assert_true(a->session.tenant->clients.attention != 0);
	session_detach(&b->session);
	assert_int_equal(b->session.event_bytes, 0);
	assert_null(b->session.subscriber);
	assert_int_equal(b->session.flags & SESSION_EVENT_FLAGS, 0);
	assert_int_equal(a->session.tenant->clients.attention, 0);
	assert_false(a->session.flags & SESSION_TENANT_ATTENTION);
	client_free(b);
	close_world(w, a);
}

/* States in which a client may leave. A line that fails does not end the script. */
static const char *const scripts[][8] = {
	{"MULTI", "SET gone 1", "GET gone", "PING"},
	{"MULTI", "AUTH wrong", "NOCOMMAND", "PING"},
	{"WATCH a b c", "WATCH d", "MULTI", "GET a"},
	{"SUBSCRIBE x y", "PSUBSCRIBE p* q*", "SSUBSCRIBE s", "UNSUBSCRIBE x"},
	{"CLIENT TRACKING ON", "MGET a b c", "GET d"},
	{"CLIENT TRACKING ON BCAST PREFIX go PREFIX x", "SET gone 1", "DEL gone"},
	{"CLIENT TRACKING ON BCAST NOLOOP", "SET gone 1", "SET gone 2", "DEL gone"},
	{"CLIENT TRACKING ON OPTIN", "CLIENT CACHING YES", "GET a", "CLIENT TRACKING OFF"},
	{"CONFIG SET notify-keyspace-events KEA", "PSUBSCRIBE *", "SET gone 1", "DEL gone"},
	{"MONITOR", "PING"},
	{"CLIENT SETNAME name", "SUBSCRIBE x", "CLIENT PAUSE 10000", "GET a"},
	{"SUBSCRIBE x", "PUBLISH x message", "MULTI", "PUBLISH x queued", "EXEC"},
};
#define SCRIPTS (sizeof(scripts) / sizeof(scripts[0]))

static void ignore_push(struct session *s, struct slice bytes) {
	(void)s, (void)bytes;
}

/* Pushes to the clients of this worker are lost: the tests keep no copy of them. */
static void drop_pushes(struct environment *env) {
	static struct session_host host;
	host = *env->host;
	host.push = ignore_push;
	env->host = &host;
}

/* Runs a line and ignores its reply. Allocates nothing itself. */
static void run_line(struct client *c, const char *line) {
	char copy[128], *rest = copy;
	struct slice argv[8];
	uint32_t argc = 0;
	uint64_t ticks = UINT64_MAX;
	snprintf(copy, sizeof(copy), "%s", line);
	for (char *word = strtok_r(copy, " ", &rest); word != NULL; word = strtok_r(NULL, " ", &rest))
		argv[argc++] = slice_of(word);
	struct request r = {.argv = argv, .argc = argc};
	c->out.len = 0;
	c->writer.failed = false;
	dispatch_prepare(&c->session, &r, 1);
	(void)dispatch_run(&c->session, &r, &ticks);
	world_end_turn(c->session.env);
}

static void run_script(struct client *c, const char *const *script) {
	for (unsigned i = 0; i < 8 && script[i] != NULL; i++)
		run_line(c, script[i]);
}

/* Runs a script in a new server; the `nth` allocation fails. Returns whether there were so many. The client leaves,
 * then the tenant ends, and with it the shard asserts that it is charged nothing. */
static bool leave_after(const char *const *script, uint64_t nth) {
	struct client *a;
	struct world *w = open_world(NULL, &a);
	struct client *b = join(w, a);
	const struct shard *shard = a->session.tenant->shard;
	expect_part(b, "HELLO 3", "%7");
	drop_pushes(a->session.env);
	uint64_t before = charged_for_clients(a);
	alloc_fail_at = nth;
	run_script(b, script);
	bool failed = alloc_fail_at == 0;
	alloc_fail_at = 0;
	client_free(b);
	assert_int_equal(charged_for_clients(a), before);
	assert_null(a->session.tenant->clients.subscriptions);
	run_line(a, "CLIENT UNPAUSE");
	run_line(a, "FLUSHALL");
	assert_int_equal(counter_get(&a->session.tenant->counters.keys), 0);
	assert_int_equal(counter_get(&shard_counters(shard)->tenants), 1);
	session_detach(&a->session);
	assert_int_equal(counter_get(&shard_counters(shard)->tenants), 0);
	close_world(w, a);
	return failed;
}

static void test_whatever_allocation_fails_a_client_that_leaves_is_charged_nothing(void **state) {
	(void)state;
	for (size_t i = 0; i < SCRIPTS; i++) {
		uint64_t nth = 1;
		while (leave_after(scripts[i], nth))
			nth++;
		if (nth == 1)
			fail_msg("script %zu allocates nothing", i);
		assert_true(nth < 1000);
	}
}

/* A tenant that is removed while its clients have begun all of the above ends with the last of them. */
static void test_a_removed_tenant_ends_with_its_last_client_and_is_charged_nothing(void **state) {
	struct client *a, *b[SCRIPTS];
	struct world *w = open_world(NULL, &a);
	struct tenant *t = a->session.tenant;
	const struct shard *shard = t->shard;
	(void)state;
	drop_pushes(a->session.env);
	for (size_t i = 0; i < SCRIPTS; i++) {
		b[i] = join(w, a);
		run_line(b[i], "HELLO 3");
	}
	for (size_t i = 0; i < SCRIPTS; i++)
		run_script(b[i], scripts[i]);
	assert_int_equal(registry_remove(w->registry, slice_of(tenant_name(t))), 0);
	assert_true(t->clients.removed);
	client_free(a);
	for (size_t i = 0; i < SCRIPTS; i++) {
		assert_int_equal(counter_get(&shard_counters(shard)->tenants), 1);
		client_free(b[i]);
	}
	assert_int_equal(counter_get(&shard_counters(shard)->tenants), 0);
	world_free(w);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_records_have_names_and_both_directions),
		cmocka_unit_test(test_a_session_that_leaves_is_charged_nothing_and_keeps_no_state),
		cmocka_unit_test(test_whatever_allocation_fails_a_client_that_leaves_is_charged_nothing),
		cmocka_unit_test(test_a_removed_tenant_ends_with_its_last_client_and_is_charged_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
