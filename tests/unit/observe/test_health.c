/* Each state's answer, whole. */

#include "atomdb/observe/health.h"
#include "harness.h"

static void check(struct health h, bool ok, const char *expected) {
	struct buffer b;
	buffer_init(&b);
	assert_int_equal(health_ok(&h), ok);
	assert_int_equal(health_render(&h, &b), 0);
	assert_int_equal(b.len, strlen(expected));
	assert_memory_equal(b.data, expected, b.len);
	buffer_deinit(&b);
}

static void test_states(void **state) {
	(void)state;
	check((struct health){.state = HEALTH_SERVING}, true, "{\"status\":\"ok\"}\n");
	check((struct health){.state = HEALTH_LOADING}, false,
	      "{\"status\":\"loading\",\"reason\":\"the data is not ready yet\"}\n");
	check((struct health){.state = HEALTH_STOPPING}, false,
	      "{\"status\":\"stopping\",\"reason\":\"the server stops\"}\n");
	check((struct health){.state = HEALTH_SERVING, .stuck = true, .stuck_worker = 12}, false,
	      "{\"status\":\"stuck\",\"reason\":\"worker 12 does not answer\",\"worker\":12}\n");
	check((struct health){.state = HEALTH_STOPPING, .stuck = true}, false,
	      "{\"status\":\"stopping\",\"reason\":\"the server stops\"}\n");
}

int main(void) {
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_states)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
