/* LATENCY. The test sets the durations of commands. */
#include "world.h"

#define OK "+OK\r\n"

static void test_events_are_kept_by_the_second(void **state) {
	struct client *c;
	struct world *w = timed_world(NULL, &c);
	char want[160];
	(void)state;
	expect(c, "CONFIG SET latency-monitor-threshold 10", "+OK\r\n");
	note_command(c, "keys", "a", 0.0095);
	expect(c, "LATENCY LATEST", "*0\r\n");
	for (unsigned i = 0; i < 200; i++) {
		note_command(c, "keys", "a", 0.0505);
		note_command(c, "keys", "a", 0.0205);
		world_pass(w, 1000);
	}
	note_command(c, "get", "a", 0.1005);
	long long now = c->session.env->now_ms / 1000;
	snprintf(want, sizeof(want),
		 "*2\r\n*4\r\n$7\r\ncommand\r\n:%lld\r\n:50\r\n:50\r\n*4\r\n$12\r\nfast-command\r\n:%lld\r\n:100\r\n:"
		 "100\r\n",
		 now - 1, now);
	expect(c, "LATENCY LATEST", want);
	snprintf(want, sizeof(want), "*160\r\n*2\r\n:%lld\r\n:50\r\n", now - 160);
	assert_int_equal(strncmp(ask(c, "LATENCY HISTORY command"), want, strlen(want)), 0);
	expect_part(c, "LATENCY GRAPH command", "command - high 50 ms, low 50 ms (all time high 50 ms)\n-----");
	expect_part(c, "LATENCY GRAPH fast-command", "-\n \n \n \n_\n \n0\ns\n");
	expect_part(c, "LATENCY DOCTOR", "command: seen in 160 seconds, 50 ms on average, 50 ms at worst.");
	expect(c, "LATENCY RESET nosuch command command", ":1\r\n");
	expect(c, "LATENCY RESET", ":1\r\n");
	close_world(w, c);
}

static void test_histograms_are_cumulative(void **state) {
	struct client *c;
	struct world *w = timed_world(NULL, &c);
	(void)state;
	expect(c, "LATENCY HISTOGRAM", "*0\r\n");
	expect(c, "CONFIG SET latency-tracking yes slowlog-log-slower-than -1", "+OK\r\n");
	ask(c, "CONFIG RESETSTAT");
	note_command(c, "set", "key", 0.0000005);
	note_command(c, "set", "key", 0.0000015);
	note_command(c, "set", "key", 0.000030);
	note_command(c, "set", "key", 30);
	expect(c, "LATENCY HISTOGRAM set get",
	       "*2\r\n$3\r\nset\r\n*4\r\n$5\r\ncalls\r\n:4\r\n$14\r\nhistogram_usec\r\n*8\r\n:1\r\n:1\r\n:2\r\n:2\r\n:"
	       "33\r\n:3\r\n:1082130\r\n:4\r\n");
	close_world(w, c);
}

static void test_without_samples_there_is_nothing(void **state) {
	static const struct exchange table[] = {
		{"LATENCY LATEST", "*0\r\n"},
		{"LATENCY HISTORY command", "*0\r\n"},
		{"LATENCY HISTORY nosuch", "*0\r\n"},
		{"LATENCY RESET", ":0\r\n"},
		{"LATENCY RESET command", ":0\r\n"},
		{"LATENCY GRAPH command", "-ERR No samples available for event 'command'\r\n"},
		{"LATENCY HISTOGRAM get nosuch", "*0\r\n"},
		{"CONFIG SET latency-monitor-threshold 10", OK},
		{"LATENCY DOCTOR", "$27\r\nNo command took that long.\n\r\n"},
	};
	struct client *c;
	struct world *w = open_world(NULL, &c);
	(void)state;
	expect_part(c, "LATENCY DOCTOR", "Nothing is watched");
	EXPECT_ALL(c, table);
	close_world(w, c);
}

static void test_events_keep_the_maximum_of_all_time_and_of_each_second(void **state) {
	struct client *c;
	struct world *w = timed_world(NULL, &c);
	char want[128];
	(void)state;
	expect(c, "CONFIG SET latency-monitor-threshold 10", OK);
	note_command(c, "get", "k", 0.0305);
	note_command(c, "get", "k", 0.0205);
	world_pass(w, 2000);
	note_command(c, "get", "k", 0.0155);
	long long now = c->session.env->now_ms / 1000;
	snprintf(want, sizeof(want), "*1\r\n*4\r\n$12\r\nfast-command\r\n:%lld\r\n:15\r\n:30\r\n", now);
	expect(c, "LATENCY LATEST", want);
	snprintf(want, sizeof(want), "*2\r\n*2\r\n:%lld\r\n:30\r\n*2\r\n:%lld\r\n:15\r\n", now - 2, now);
	expect(c, "LATENCY HISTORY fast-command", want);
	expect(c, "LATENCY RESET fast-command", ":1\r\n");
	expect(c, "LATENCY HISTORY fast-command", "*0\r\n");
	close_world(w, c);
}

static void test_a_graph_names_the_age_of_each_bar(void **state) {
	static const unsigned ages[] = {86400, 3600, 60, 59, 0};
	struct client *c;
	struct world *w = timed_world(NULL, &c);
	(void)state;
	expect(c, "CONFIG SET latency-monitor-threshold 10", OK);
	for (size_t i = 0; i < sizeof(ages) / sizeof(ages[0]); i++) {
		if (i != 0)
			world_pass(w, (int64_t)(ages[i - 1] - ages[i]) * 1000);
		note_command(c, "keys", "*", i == 2 ? 0.1205 : 0.0205);
	}
	expect_part(c, "LATENCY GRAPH command", "high 120 ms, low 20 ms (all time high 120 ms)\n---");
	expect_part(c, "LATENCY GRAPH command", "\n  #  \n  |  \n  |  \n__|__\n     \n11150\ndhm9s\n   s \n");
	close_world(w, c);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_events_are_kept_by_the_second),
		cmocka_unit_test(test_histograms_are_cumulative),
		cmocka_unit_test(test_without_samples_there_is_nothing),
		cmocka_unit_test(test_events_keep_the_maximum_of_all_time_and_of_each_second),
		cmocka_unit_test(test_a_graph_names_the_age_of_each_bar),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
