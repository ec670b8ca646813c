#include "atomdb/events/events.h"
#include "world.h"

#define OK "+OK\r\n"

static void test_the_store_reports_changes_only_for_watched_tracked_or_enabled_keys(void **state) {
	static const struct {
		const char *line;
		bool wanted;
	} table[] = {
		{"SUBSCRIBE c", false},
		{"UNSUBSCRIBE c", false},
		{"WATCH k l", true},
		{"UNWATCH", false},
		{"CLIENT TRACKING ON", true},
		{"GET k", true},
		{"CLIENT TRACKING OFF", true}, /* the key that it has read is still tracked */
		{"SET k 1", false},
		{"CONFIG SET notify-keyspace-events KEA", true},
		{"CONFIG SET notify-keyspace-events KEg", false},
		{"MULTI", false},
		{"DISCARD", false},
	};
	struct client *a;
	struct world *w = open_world(NULL, &a);
	struct client *b = join(w, a);
	(void)state;
	expect_part(a, "HELLO 3", "%7");
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		ask(a, table[i].line);
		if ((b->session.tenant->watcher != NULL) != table[i].wanted)
			fail_msg("%s", table[i].line);
	}
	client_free(b);
	close_world(w, a);
}

static void test_an_evicted_key_is_reported_behind_its_invalidation(void **state) {
	static const char invalidation[] = ">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n";
	struct client *a;
	struct world *w = open_world(NULL, &a);
	(void)state;
	expect_part(a, "HELLO 3", "%7");
	expect(a, "CONFIG SET notify-keyspace-events EA", OK);
	ask(a, "PSUBSCRIBE *");
	expect(a, "CLIENT TRACKING ON", OK);
	ask(a, "GET k");
	events_key_changed(a->session.tenant, CHANGE_EVICTED, 0, SLICE("k"));
	const char *pushes = pushed(a);
	assert_int_equal(strncmp(pushes, invalidation, strlen(invalidation)), 0);
	assert_non_null(strstr(pushes, "evicted"));
	ask(a, "GET k");
	pushed(a);
	events_key_changed(a->session.tenant, CHANGE_EXPIRED, 0, SLICE("k"));
	pushes = pushed(a);
	assert_non_null(strstr(pushes, "expired"));
	assert_true(strstr(pushes, "expired") < strstr(pushes, "invalidate"));
	close_world(w, a);
}

static void test_a_missed_key_is_no_change(void **state) {
	struct client *a;
	struct world *w = open_world(NULL, &a);
	(void)state;
	expect(a, "WATCH k", OK);
	events_key_changed(a->session.tenant, CHANGE_MISSED, 0, SLICE("k"));
	assert_false(a->session.flags & SESSION_DIRTY_KEYS);
	events_key_changed(a->session.tenant, CHANGE_VALUE, 0, SLICE("k"));
	assert_true(a->session.flags & SESSION_DIRTY_KEYS);
	close_world(w, a);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_store_reports_changes_only_for_watched_tracked_or_enabled_keys),
		cmocka_unit_test(test_an_evicted_key_is_reported_behind_its_invalidation),
		cmocka_unit_test(test_a_missed_key_is_no_change),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
