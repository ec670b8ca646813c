/* Log events about a client. */
#include "lone.h"
#include "net/report.h"

static void an_event_names_the_client_and_no_tenant_before_it_has_one(void **state) {
	struct lone *l = lone_new();
	(void)state;
	report_event(l->connection, LOG_EVENT_PROTOCOL_ERROR, SLICE("bytes"), "why");
	assert_int_equal(l->event.id, LOG_EVENT_PROTOCOL_ERROR);
	assert_null(l->event.tenant);
	assert_true(slice_is(l->event.bytes, "bytes"));
	assert_string_equal(l->detail, "why");
	/* A socket pair has no path. */
	assert_string_equal(l->client, ":0");
	lone_free(l);
}

static void an_eviction_says_how_much_the_client_held(void **state) {
	struct lone *l = lone_new();
	(void)state;
	report_evicted(l->connection, 123456);
	assert_int_equal(l->event.id, LOG_EVENT_CLIENT_EVICTED);
	assert_string_equal(l->detail, "123456 bytes");
	lone_free(l);
}

static void a_stall_and_an_end_name_the_command_and_its_time(void **state) {
	struct lone *l = lone_new();
	(void)state;
	report_stall(l->connection, command_find(&command_set, SLICE("keys")), 213);
	assert_int_equal(l->event.id, LOG_EVENT_COMMAND_STALLED);
	assert_string_equal(l->detail, "command keys, 213 ms");
	report_ended(l->connection, command_find(&command_set, SLICE("lcs")), 5001);
	assert_int_equal(l->event.id, LOG_EVENT_COMMAND_ENDED);
	assert_string_equal(l->detail, "command lcs, after 5001 ms");
	lone_free(l);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_event_names_the_client_and_no_tenant_before_it_has_one),
		cmocka_unit_test(an_eviction_says_how_much_the_client_held),
		cmocka_unit_test(a_stall_and_an_end_name_the_command_and_its_time),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
