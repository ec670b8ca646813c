/* The responses of all paths. */
#include <string.h>

#include "harness.h"
#include "observe/http_resources.h"

#define OPENMETRICS "application/openmetrics-text"

static void paths_are_exact(void **state) {
	static const char *const known[] = {
		"/", "/api/history", "/api/status", "/health", "/health/live", "/health/ready", "/metrics"};
	static const char *const unknown[] = {"",      "//",        "/metrics/",    "/Metrics", "/api",
					      "/api/", "/health/x", "/api/status?", "metrics"};
	(void)state;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		const struct http_resource *r = http_resources_find(known[i], NULL);
		assert_non_null(r);
		assert_string_equal(r->path, known[i]);
	}
	for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++)
		assert_null(http_resources_find(unknown[i], NULL));
}

static void counters_are_guarded_and_health_is_not(void **state) {
	static const struct {
		const char *path;
		bool guarded, page;
	} cases[] = {
		{"/", false, true},        {"/api/history", true, false},  {"/api/status", true, false},
		{"/health", false, false}, {"/health/live", false, false}, {"/health/ready", false, false},
		{"/metrics", true, false},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct http_resource *r = http_resources_find(cases[i].path, NULL);
		assert_non_null(r);
		assert_int_equal(r->guarded, cases[i].guarded);
		assert_int_equal(r->page, cases[i].page);
	}
	/* In every format. */
	assert_true(http_resources_find("/metrics", OPENMETRICS)->guarded);
}

static void the_form_of_metrics_follows_the_accept_header(void **state) {
	(void)state;
	assert_string_equal(http_resources_find("/metrics", NULL)->type, "text/plain; version=0.0.4; charset=utf-8");
	assert_string_equal(http_resources_find("/metrics", OPENMETRICS)->type,
			    OPENMETRICS "; version=1.0.0; charset=utf-8");
	assert_string_equal(http_resources_find("/metrics", OPENMETRICS ";version=0.0.1")->type,
			    OPENMETRICS "; version=0.0.1; charset=utf-8");
	/* Other resources have one format. */
	assert_string_equal(http_resources_find("/api/status", OPENMETRICS)->type, "application/json");
}

static void health_is_the_status(void **state) {
	struct health health = {.state = HEALTH_SERVING};
	const struct http_content content = {.health = &health};
	const struct http_query query = {0};
	struct buffer out;
	(void)state;
	buffer_init(&out);
	assert_int_equal(http_resources_find("/health", NULL)->render(&content, &query, &out), 200);
	health.stuck = true;
	assert_int_equal(http_resources_find("/health/ready", NULL)->render(&content, &query, &out), 503);
	/* The response itself shows that the loop runs. */
	out.len = 0;
	assert_int_equal(http_resources_find("/health/live", NULL)->render(&content, &query, &out), 200);
	assert_true(slice_is(buffer_slice(&out), "{\"status\":\"ok\"}\n"));
	buffer_deinit(&out);
}

static void the_list_names_every_path(void **state) {
	struct buffer out;
	(void)state;
	buffer_init(&out);
	assert_int_equal(http_resources_list(&out), 0);
	assert_true(slice_is(buffer_slice(&out), "Not found. There are /, /api/history, /api/status, /health, "
						 "/health/live, /health/ready, /metrics.\n"));
	buffer_deinit(&out);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(paths_are_exact),
		cmocka_unit_test(counters_are_guarded_and_health_is_not),
		cmocka_unit_test(the_form_of_metrics_follows_the_accept_header),
		cmocka_unit_test(health_is_the_status),
		cmocka_unit_test(the_list_names_every_path),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
