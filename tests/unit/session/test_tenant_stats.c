/* The statistics of a tenant: limits of the slow log, error codes, rates, and their charges. The test sets the
 * durations of commands. */
#include "atomdb/session/tenant_stats.h"
#include "atomdb/store/tenant.h"
#include "commands/handlers.h"
#include "world.h"

static void test_defaults(void **state) {
	struct client *c;
	struct world *w = timed_world(NULL, &c);
	(void)state;
	note_command(c, "get", "key", 0.005);
	assert_null(c->session.tenant->clients.tenant_stats);
	assert_in_range(c->session.tenant->clients.slow_ticks, ticks_of(c, 0.008), ticks_of(c, 0.0125));
	note_command(c, "get", "key", 0.02);
	expect(c, "SLOWLOG LEN", ":1\r\n");
	expect_part(c, "SLOWLOG GET", "*2\r\n$3\r\nget\r\n$3\r\nkey\r\n$15\r\n127.0.0.1:40001\r\n$0\r\n\r\n");
	close_world(w, c);
}

static void test_settings_limit_the_statistics(void **state) {
	struct client *c;
	struct world *w = timed_world(NULL, &c);
	(void)state;
	expect(c, "CONFIG SET slowlog-log-slower-than -1", "+OK\r\n");
	assert_true(c->session.tenant->clients.slow_ticks == UINT64_MAX);
	expect(c, "CONFIG SET latency-monitor-threshold 5", "+OK\r\n");
	assert_in_range(c->session.tenant->clients.slow_ticks, ticks_of(c, 0.0048), ticks_of(c, 0.0051));
	expect(c, "CONFIG SET latency-tracking yes", "+OK\r\n");
	assert_int_equal(c->session.tenant->clients.slow_ticks, 0);
	expect(c, "CONFIG SET latency-tracking no latency-monitor-threshold 0", "+OK\r\n");
	assert_true(c->session.tenant->clients.slow_ticks == UINT64_MAX);
	expect(c, "CONFIG GET latency-tracking", "*2\r\n$16\r\nlatency-tracking\r\n$2\r\nno\r\n");
	close_world(w, c);
}

static void test_slow_log_is_bounded_and_charged(void **state) {
	struct client *c;
	struct world *w = timed_world(NULL, &c);
	const counter *f = &c->session.tenant->counters.bytes;
	uint64_t before = counter_get(f);
	(void)state;
	expect(c, "CONFIG SET slowlog-max-len 3", "+OK\r\n");
	for (unsigned i = 0; i < 10; i++)
		note_command(c, "get", "key", 1);
	expect(c, "SLOWLOG LEN", ":3\r\n");
	expect_part(c, "SLOWLOG GET 1", "*1\r\n*6\r\n:9\r\n");
	expect_part(c, "SLOWLOG GET -1", "*3\r\n*6\r\n:9\r\n");
	assert_true(counter_get(f) - before > sizeof(struct tenant_stats) + 3 * sizeof(struct slow_entry));
	expect(c, "SLOWLOG RESET", "+OK\r\n");
	assert_int_equal(counter_get(f) - before, sizeof(struct tenant_stats));
	close_world(w, c); /* the shard asserts at its end that nothing is charged */
}

static void test_full_tenant_counts_nothing(void **state) {
	const struct tenant_limits limits = {.max_memory = 600, .eviction = EVICTION_NONE};
	struct client *c;
	struct world *w = timed_world(&limits, &c);
	(void)state;
	note_command(c, "get", "key", 1);
	expect(c, "SLOWLOG LEN", ":0\r\n");
	expect(c, "SLOWLOG GET", "*0\r\n");
	expect_part(c, "CONFIG SET slowlog-max-len 1", "-OOM ");
	expect_part(c, "CONFIG RESETSTAT", "-OOM ");
	close_world(w, c);
}

static void fail_with(struct client *c, const char *error) {
	writer_error(&c->writer, error);
	assert_true(tenant_stats_count_error(&c->session));
	assert_int_equal(c->writer.errors, 0);
	c->out.len = 0;
}

static void test_errors_are_bounded(void **state) {
	struct client *c;
	struct world *w = timed_world(NULL, &c);
	struct tenant *t = c->session.tenant;
	char text[64];
	unsigned count;
	(void)state;
	for (unsigned i = 0; i < 300; i++) {
		snprintf(text, sizeof(text), "CODE%03u text", (i * 7) % 300);
		fail_with(c, text);
		fail_with(c, "CODE007 again");
	}
	const struct error_count *errors = tenant_stats_errors(t, &count);
	assert_int_equal(count, ERROR_CODES);
	for (unsigned i = 1; i < count; i++)
		assert_true(strcmp(errors[i - 1].code, errors[i].code) < 0);
	expect_part(c, "INFO errorstats", "errorstat_CODE007:count=301\r\n");
	assert_int_equal(counter_get(&t->counters.errors), 600);
	ask(c, "CONFIG RESETSTAT");
	fail_with(c, "A:B#C text");
	fail_with(c, "NOSPACE");
	fail_with(c, "XXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX is too long for a code");
	expect_part(c, "INFO errorstats", "# Errorstats\r\nerrorstat_A_B_C:count=1\r\nerrorstat_ERR:count=2\r\n");
	expect_part(c, "INFO stats", "total_error_replies:3\r\n");
	close_world(w, c);
}

static void test_rates_outlast_a_clock_that_is_set_back(void **state) {
	struct client *c;
	struct world *w = timed_world(NULL, &c);
	(void)state;
	world_pass(w, 1000);
	ask(c, "INFO stats");
	world_pass(w, 1000);
	ask(c, "INFO stats");
	world_set_time(w, w->env[0].now_ms - 3600000, w->env[0].now_ns + 1000000000);
	for (int i = 0; i < 100; i++)
		ask(c, "GET key");
	ask(c, "INFO stats");
	struct rates rates = tenant_stats_rates(c->session.tenant, c->session.env);
	assert_in_range((uint64_t)rates.commands, 50, 102);
	close_world(w, c);
}

static void test_counters_restart_at_resetstat(void **state) {
	struct client *c;
	struct world *w = timed_world(NULL, &c);
	(void)state;
	ask(c, "SET a 1");
	ask(c, "GET a");
	ask(c, "GET none");
	expect_part(c, "INFO stats", "\r\nkeyspace_hits:1\r\nkeyspace_misses:1\r\n");
	expect(c, "CONFIG RESETSTAT", "+OK\r\n");
	expect_part(c, "INFO stats", "\r\nkeyspace_hits:0\r\nkeyspace_misses:0\r\n");
	ask(c, "GET a");
	expect_part(c, "INFO stats", "\r\nkeyspace_hits:1\r\nkeyspace_misses:0\r\n");
	assert_int_equal(counter_get(&c->session.tenant->counters.hits), 2);
	close_world(w, c);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_settings_limit_the_statistics),
		cmocka_unit_test(test_slow_log_is_bounded_and_charged),
		cmocka_unit_test(test_full_tenant_counts_nothing),
		cmocka_unit_test(test_errors_are_bounded),
		cmocka_unit_test(test_rates_outlast_a_clock_that_is_set_back),
		cmocka_unit_test(test_counters_restart_at_resetstat),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
