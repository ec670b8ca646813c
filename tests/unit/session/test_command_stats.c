/* The rows of INFO's commandstats: made at the first use, charged, and freed with the tenant. */
#include "atomdb/session/command_stats.h"
#include "atomdb/store/tenant.h"
#include "world.h"

static void test_rows_are_made_and_charged_when_they_are_used(void **state) {
	struct client *c;
	struct world *w = open_world(NULL, &c);
	struct tenant *t = c->session.tenant;
	const struct command *get = command_find(&command_set, SLICE("get")),
			     *set = command_find(&command_set, SLICE("set"));
	(void)state;
	assert_null(command_stat_used(t, get));
	expect(c, "GET k", "$-1\r\n");
	uint64_t bytes = counter_get(&t->counters.bytes);
	for (unsigned i = 0; i < 5; i++)
		expect(c, "GET k", "$-1\r\n");
	assert_int_equal(counter_get(&t->counters.bytes), bytes);
	assert_int_equal(command_stat_used(t, get)->calls, 6);
	assert_null(command_stat_used(t, set));
	/* One row for each command: growing keeps the contents. */
	for (size_t i = 0; i < COMMAND_COUNT; i++)
		command_stat_count(t, &command_set.rows[i], 10);
	assert_int_equal(command_stat_used(t, get)->calls, 7);
	for (size_t i = 0; i < COMMAND_COUNT; i++)
		assert_true(command_stat_used(t, &command_set.rows[i])->ticks >= 10);
	assert_true(counter_get(&t->counters.bytes) >= bytes + COMMAND_COUNT * sizeof(struct command_stat));
	command_stats_reset(t);
	assert_null(command_stat_used(t, get));
	/* Nothing may stay charged: the end of the tenant asserts this. */
	close_world(w, c);
}

static void test_the_time_of_commands_never_decreases(void **state) {
	struct client *c;
	struct world *w = open_world(NULL, &c);
	struct tenant *t = c->session.tenant;
	const struct command *get = command_find(&command_set, SLICE("get"));
	struct clock_rate start;
	uint64_t before = 0;
	(void)state;
	clock_rate_init(&start);
	for (unsigned i = 0; i < 100; i++) {
		command_stat_count(t, get, 100000);
		uint64_t now = command_stat_micros(t, get, &start);
		assert_true(now >= before);
		before = now;
	}
	assert_int_equal(command_stat_used(t, get)->ticks, 10000000);
	close_world(w, c);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows_are_made_and_charged_when_they_are_used),
		cmocka_unit_test(test_the_time_of_commands_never_decreases),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
