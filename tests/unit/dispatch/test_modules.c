#include "atomdb/dispatch/modules.h"
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

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_records_have_names_and_both_directions),
		cmocka_unit_test(test_a_session_that_leaves_is_charged_nothing_and_keeps_no_state),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
