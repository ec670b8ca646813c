#include "atomdb/events/watched.h"
#include "world.h"

#define OK "+OK\r\n"

static bool is_dirty(const struct client *c) {
	return (c->session.flags & SESSION_DIRTY_KEYS) != 0;
}

static void test_a_change_of_a_watched_key_makes_its_watchers_dirty(void **state) {
	static const struct {
		const char *line;
		bool dirty;
	} table[] = {
		{"GET k", false},   {"SET other 1", false}, {"SELECT 1", false},      {"SET k 1", false},
		{"FLUSHDB", false}, {"SELECT 0", false},    {"EXPIRE none 9", false}, {"SET k 2", true},
	};
	struct client *a;
	struct world *w = open_world(NULL, &a);
	struct client *b = join(w, a);
	(void)state;
	expect(a, "WATCH k", OK);
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		ask(b, table[i].line);
		assert_int_equal(is_dirty(a), table[i].dirty);
	}
	watched_forget(&a->session);
	assert_false(is_dirty(a));
	assert_int_equal(subscription_count(&a->session, CHANNEL_WATCHED_KEY), 0);
	client_free(b);
	close_world(w, a);
}

static void test_an_expired_key_is_a_change_when_it_is_checked(void **state) {
	struct client *a;
	struct world *w = open_world(NULL, &a);
	(void)state;
	expect(a, "SET k 1 PX 10", OK);
	expect(a, "WATCH k", OK);
	watched_check(&a->session);
	assert_false(is_dirty(a));
	world_pass(w, 20);
	watched_check(&a->session);
	assert_true(is_dirty(a));
	close_world(w, a);
}

static void test_a_flush_changes_keys_that_are_there(void **state) {
	struct client *a;
	struct world *w = open_world(NULL, &a);
	struct client *b = join(w, a);
	(void)state;
	expect(a, "SET there 1", OK);
	expect(a, "WATCH none", OK);
	expect(b, "FLUSHALL", OK);
	assert_false(is_dirty(a));
	expect(a, "SET there 1", OK);
	expect(a, "WATCH there", OK);
	expect(b, "FLUSHDB", OK);
	assert_true(is_dirty(a));
	client_free(b);
	close_world(w, a);
}

static void test_a_swap_changes_keys_of_either_database(void **state) {
	static const char *const where[] = {"SELECT 1", "SELECT 2"};
	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct client *a;
		struct world *w = open_world(NULL, &a);
		struct client *b = join(w, a);
		expect(b, where[i], OK);
		expect(b, "SET k 1", OK);
		expect(a, "SELECT 1", OK);
		expect(a, "WATCH k none", OK);
		expect(b, "SWAPDB 3 4", OK);
		assert_false(is_dirty(a));
		expect(b, "SWAPDB 1 2", OK);
		assert_true(is_dirty(a));
		client_free(b);
		close_world(w, a);
	}
}

static void test_a_session_that_comes_back_to_a_tenant_has_lost_its_watch(void **state) {
	struct client *a;
	struct world *w = open_world(NULL, &a);
	(void)state;
	struct tenant *t = a->session.tenant;
	expect(a, "SET stays 1", OK);
	expect(a, "WATCH k", OK);
	session_detach(&a->session);
	assert_false(is_dirty(a));
	assert_int_equal(session_attach(&a->session, t), 0);
	assert_true(is_dirty(a));
	expect(a, "UNWATCH", OK);
	session_detach(&a->session);
	assert_int_equal(session_attach(&a->session, t), 0);
	assert_false(is_dirty(a));
	close_world(w, a);
}

static void test_all_keys_are_watched_or_none(void **state) {
	const struct tenant_limits limits = {.max_memory = 32768, .eviction = EVICTION_NONE};
	static char names[40][4000];
	struct slice argv[41] = {SLICE("WATCH")};
	struct client *a;
	struct world *w = open_world(&limits, &a);
	(void)state;
	for (unsigned i = 0; i < 40; i++) {
		memset(names[i], 'a' + (int)i % 26, sizeof(names[i]));
		names[i][0] = (char)('0' + i);
		argv[i + 1] = (struct slice){names[i], sizeof(names[i])};
	}
	expect(a, "WATCH kept", OK);
	assert_int_equal(strncmp(client_run(a, argv, 41), "-OOM", 4), 0);
	assert_int_equal(subscription_count(&a->session, CHANNEL_WATCHED_KEY), 1);
	close_world(w, a);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_change_of_a_watched_key_makes_its_watchers_dirty),
		cmocka_unit_test(test_an_expired_key_is_a_change_when_it_is_checked),
		cmocka_unit_test(test_a_flush_changes_keys_that_are_there),
		cmocka_unit_test(test_a_swap_changes_keys_of_either_database),
		cmocka_unit_test(test_a_session_that_comes_back_to_a_tenant_has_lost_its_watch),
		cmocka_unit_test(test_all_keys_are_watched_or_none),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
