/* The JSON of the live page. */
#include <stdio.h>

#include "atomdb/observe/status_api.h"
#include "atomdb/store/tenant.h"
#include "harness.h"
#include "sources.h"

struct world {
	struct counters *counters;
	struct health health;
	struct status_api *api;
	struct buffer text;
};

static struct world *world_new(void) {
	struct world *w = calloc(1, sizeof(*w));
	assert_non_null(w);
	w->counters = sources_new();
	assert_non_null(w->counters);
	w->health.state = HEALTH_SERVING;
	assert_int_equal(status_api_new(&w->api, &w->counters->sources, &w->health, 0), 0);
	buffer_init(&w->text);
	return w;
}

static void world_free(struct world *w) {
	buffer_deinit(&w->text);
	status_api_free(w->api);
	sources_free(w->counters);
	free(w);
}

static const char *text_of(struct world *w) {
	assert_int_equal(buffer_append(&w->text, "", 1, SIZE_MAX), 0);
	return w->text.data;
}

static const char *status(struct world *w, bool tenants) {
	w->text.len = 0;
	assert_int_equal(status_api_render_status(w->api, tenants, &w->text), 0);
	return text_of(w);
}

static const char *history(struct world *w, uint64_t after) {
	w->text.len = 0;
	assert_int_equal(status_api_render_history(w->api, after, &w->text), 0);
	return text_of(w);
}

static void status_has_the_figures_of_the_service(void **state) {
	struct world *w = world_new();
	(void)state;
	counter_set(&w->counters->workers[0].clients, 5);
	counter_set(&w->counters->workers[1].clients, 6);
	counter_set(&w->counters->workers[1].auth_failures, 2);
	counter_set(&w->counters->http_failures, 1);
	const char *text = status(w, true);
	assert_non_null(strstr(text, "{\"version\":\"1.2.3\",\"health\":{"));
	assert_non_null(strstr(text, ",\"clients\":11,"));
	assert_non_null(strstr(text, ",\"max_clients\":77,"));
	assert_non_null(strstr(text, ",\"auth_failures\":3,"));
	assert_non_null(strstr(text, ",\"workers\":2,"));
	assert_string_equal(text + strlen(text) - 2, "}\n");
	world_free(w);
}

static void tenants_are_shown_only_to_clients_that_may_see_them(void **state) {
	struct world *w = world_new();
	(void)state;
	struct tenant *t = sources_tenant(w->counters, "one");
	assert_non_null(t);
	assert_null(strstr(status(w, false), ",\"tenants\":["));
	assert_null(strstr(status(w, false), tenant_name(t)));
	assert_non_null(strstr(status(w, true), ",\"tenants\":["));
	assert_non_null(strstr(status(w, true), tenant_name(t)));
	assert_non_null(strstr(status(w, true), "],\"others\":{\"name\":null,"));
	world_free(w);
}

static void the_largest_tenants_have_rows_and_the_rest_shares_one(void **state) {
	enum { TENANTS = STATUS_API_TENANTS + 5 };
	struct world *w = world_new();
	struct tenant *tenants[TENANTS];
	(void)state;
	for (unsigned i = 0; i < TENANTS; i++) {
		char secret[32];
		snprintf(secret, sizeof(secret), "secret-%u", i);
		tenants[i] = sources_tenant(w->counters, secret);
		assert_non_null(tenants[i]);
		counter_add(&tenants[i]->counters.bytes, 1000000 * (i + 1));
	}
	const char *text = status(w, true);
	unsigned rows = 0;
	for (const char *at = text; (at = strstr(at, "{\"name\":\"")) != NULL; at++)
		rows++;
	assert_int_equal(rows, STATUS_API_TENANTS);
	const char *largest = strstr(text, tenant_name(tenants[TENANTS - 1]));
	const char *second = strstr(text, tenant_name(tenants[TENANTS - 2]));
	assert_true(largest != NULL && second != NULL && largest < second);
	assert_null(strstr(text, tenant_name(tenants[0])));
	for (unsigned i = 0; i < TENANTS; i++)
		counter_sub(&tenants[i]->counters.bytes, 1000000 * (i + 1));
	world_free(w);
}

static void the_slowest_commands_come_first(void **state) {
	struct world *w = world_new();
	struct command_counters *commands = w->counters->workers[0].commands;
	(void)state;
	for (unsigned id = 0; id < STATUS_API_COMMANDS + 3; id++) {
		counter_set(&commands[id].runs[0], 10);
		counter_set(&commands[id].ticks, (id + 1) * UINT64_C(1000000000));
	}
	const char *text = status(w, true);
	const char *first = strstr(text, "\"slowest_commands\":[\n{\"name\":\"");
	assert_non_null(first);
	first += strlen("\"slowest_commands\":[\n{\"name\":\"");
	const char *slowest = command_name(STATUS_API_COMMANDS + 2);
	assert_memory_equal(first, slowest, strlen(slowest));
	unsigned rows = 0;
	for (const char *at = text; (at = strstr(at, "\"mean_ns\":")) != NULL; at++)
		rows++;
	assert_int_equal(rows, STATUS_API_COMMANDS);
	world_free(w);
}

static void history_grows_with_time_and_not_with_calls(void **state) {
	struct world *w = world_new();
	(void)state;
	assert_int_equal(status_api_tick(w->api, 1, 1000), 0);
	char *empty = strdup(history(w, 0));
	assert_non_null(empty);
	for (int i = 0; i < 10; i++)
		assert_int_equal(status_api_tick(w->api, 2, 1000), 0);
	assert_string_equal(history(w, 0), empty);
	for (uint64_t second = 1; second <= 60; second++)
		assert_int_equal(status_api_tick(w->api, second * 1000000000, 1000 + (int64_t)second * 1000), 0);
	assert_true(strlen(history(w, 0)) > strlen(empty));
	/* A page that has all points receives no further one. */
	assert_true(strlen(history(w, 1000000)) < strlen(history(w, 0)));
	free(empty);
	world_free(w);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(status_has_the_figures_of_the_service),
		cmocka_unit_test(tenants_are_shown_only_to_clients_that_may_see_them),
		cmocka_unit_test(the_largest_tenants_have_rows_and_the_rest_shares_one),
		cmocka_unit_test(the_slowest_commands_come_first),
		cmocka_unit_test(history_grows_with_time_and_not_with_calls),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
