/* The complete response of each state. */

#include <stdio.h>

#include "atomdb/observe/health.h"
#include "harness.h"

#define CHECKS 7
static const char *const names[CHECKS] = {"data",   "service", "workers",      "clients",
					  "memory", "tenants", "configuration"};

/* Expects the complete response: the word of the state, and only `failed` (unless NULL) not passed. */
static void check(struct health h, bool ok, const char *status, const char *failed, const char *reason) {
	char expected[1024];
	int n = snprintf(expected, sizeof(expected), "{\"status\":\"%s\",\"checks\":{", status);
	for (unsigned i = 0; i < CHECKS; i++) {
		const char *comma = i == 0 ? "" : ",";
		if (failed != NULL && strcmp(names[i], failed) == 0)
			n += snprintf(expected + n, sizeof(expected) - (size_t)n,
				      "%s\"%s\":{\"status\":\"failed\",\"reason\":\"%s\"}", comma, names[i], reason);
		else
			n += snprintf(expected + n, sizeof(expected) - (size_t)n, "%s\"%s\":{\"status\":\"ok\"}", comma,
				      names[i]);
	}
	snprintf(expected + n, sizeof(expected) - (size_t)n, "}}\n");
	struct buffer b;
	buffer_init(&b);
	assert_int_equal(health_ok(&h), ok);
	assert_int_equal(health_render(&h, &b), 0);
	assert_int_equal(buffer_append(&b, "", 1, SIZE_MAX), 0);
	assert_string_equal(b.data, expected);
	buffer_deinit(&b);
}

static void test_states(void **state) {
	(void)state;
	check((struct health){.state = HEALTH_SERVING}, true, "ok", NULL, NULL);
	check((struct health){.state = HEALTH_LOADING}, false, "loading", "data", "not loaded yet");
	check((struct health){.state = HEALTH_STOPPING}, false, "stopping", "service", "stopping");
	check((struct health){.state = HEALTH_SERVING, .stuck = true, .stuck_worker = 12}, false, "stuck", "workers",
	      "worker 12 does not answer");
	check((struct health){.state = HEALTH_SERVING, .clients_full = true}, false, "full", "clients",
	      "the limit on clients is reached");
	check((struct health){.state = HEALTH_SERVING, .memory_full = true}, true, "degraded", "memory",
	      "writes are refused: max_memory is full");
	check((struct health){.state = HEALTH_SERVING, .tenants_full = true}, true, "degraded", "tenants",
	      "new tenants are refused: a limit is reached");
	check((struct health){.state = HEALTH_SERVING, .reload_failed = true}, true, "degraded", "configuration",
	      "the changed file could not be read; the previous one is in force");
}

/* The most severe state gives the response its name. */
static void test_several_at_once(void **state) {
	(void)state;
	struct health h = {.state = HEALTH_STOPPING, .stuck = true, .memory_full = true};
	struct buffer b;
	buffer_init(&b);
	assert_int_equal(health_render(&h, &b), 0);
	assert_int_equal(buffer_append(&b, "", 1, SIZE_MAX), 0);
	assert_ptr_equal(strstr(b.data, "{\"status\":\"stopping\""), b.data);
	assert_non_null(strstr(b.data, "\"workers\":{\"status\":\"failed\""));
	assert_non_null(strstr(b.data, "\"memory\":{\"status\":\"failed\""));
	buffer_deinit(&b);
}

int main(void) {
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_states), cmocka_unit_test(test_several_at_once)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
