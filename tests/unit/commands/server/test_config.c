/* CONFIG GET, SET, RESETSTAT and REWRITE. */
#include "world.h"

#define OK     "+OK\r\n"
#define FAILED "-ERR CONFIG SET failed (possibly related to argument '"

static void test_values_in_force_are_those_of_the_tenant(void **state) {
	static const struct exchange table[] = {
		{"CONFIG GET save", "*2\r\n$4\r\nsave\r\n$0\r\n\r\n"},
		{"CONFIG GET APPENDONLY none", "*2\r\n$10\r\nAPPENDONLY\r\n$2\r\nno\r\n"},
		{"CONFIG GET maxmemory*", "*6\r\n$9\r\nmaxmemory\r\n$4\r\n4096\r\n$17\r\nmaxmemory-clients\r\n$"
					  "5\r\n65536\r\n$16\r\nmaxmemory-policy\r\n$10\r\nnoeviction\r\n"},
		{"CONFIG GET port p[o]rt", "*2\r\n$4\r\nport\r\n$4\r\n8080\r\n"},
		{"CONFIG GET none", "*0\r\n"},
		{"CONFIG GET", "-ERR wrong number of arguments for 'config|get' command\r\n"},
		{"CONFIG SET a b", "-ERR Unknown option or number of arguments for CONFIG SET - 'a'\r\n"},
	};
	const struct tenant_limits limits = {.max_memory = 4096, .eviction = EVICTION_NONE};
	struct client *c;
	struct world *w = open_world(&limits, &c);
	(void)state;
	EXPECT_ALL(c, table);
	expect_part(c, "CONFIG HELP", "+CONFIG <subcommand>");
	assert_null(strstr(ask(c, "CONFIG GET *"), "secret"));
	ask(c, "HELLO 3");
	expect(c, "CONFIG GET databases", "%1\r\n$9\r\ndatabases\r\n$2\r\n16\r\n");
	close_world(w, c);
}

static void test_set_changes_all_parameters_or_none(void **state) {
	static const struct exchange table[] = {
		{"CONFIG SET slowlog-max-len 5 bogus 1",
		 "-ERR Unknown option or number of arguments for CONFIG SET - 'bogus'\r\n"},
		{"CONFIG SET slowlog-max-len 5 SLOWLOG-MAX-LEN 6",
		 FAILED "SLOWLOG-MAX-LEN') - duplicate parameter\r\n"},
		{"CONFIG SET slowlog-max-len 5 databases 16", FAILED "databases') - can't set immutable config\r\n"},
		{"CONFIG SET slowlog-max-len 5 latency-tracking maybe",
		 FAILED "latency-tracking') - argument must be 'yes' or 'no'\r\n"},
		{"CONFIG SET slowlog-max-len 5 slowlog-log-slower-than x",
		 FAILED "slowlog-log-slower-than') - argument couldn't be parsed into an integer\r\n"},
		{"CONFIG SET slowlog-max-len -1",
		 FAILED "slowlog-max-len') - argument must be between 0 and 9223372036854775807 inclusive\r\n"},
		{"CONFIG SET slowlog-log-slower-than -2", FAILED
		 "slowlog-log-slower-than') - argument must be between -1 and 9223372036854775807 inclusive\r\n"},
		{"CONFIG SET slowlog-max-len 5 notify-keyspace-events Q",
		 FAILED "notify-keyspace-events') - Invalid event class character. Use 'Ag$lshzxeKEtmdn'.\r\n"},
		{"CONFIG SET slowlog-max-len 5 timeout 7",
		 "-NOPERM this user has no permissions to run the 'config|set' command\r\n"},
		{"CONFIG SET slowlog-max-len 5 save", "-ERR syntax error\r\n"},
		{"CONFIG GET slowlog-max-len", "*2\r\n$15\r\nslowlog-max-len\r\n$3\r\n128\r\n"},
		{"CONFIG SET slowlog-max-len 5 latency-monitor-threshold 7 notify-keyspace-events KEA", OK},
		{"CONFIG GET slowlog-max-len", "*2\r\n$15\r\nslowlog-max-len\r\n$1\r\n5\r\n"},
		{"CONFIG GET latency-monitor-threshold", "*2\r\n$25\r\nlatency-monitor-threshold\r\n$1\r\n7\r\n"},
		{"CONFIG GET notify-keyspace-events", "*2\r\n$22\r\nnotify-keyspace-events\r\n$3\r\nAKE\r\n"},
		{"CONFIG SET appendonly NO timeout 0 maxmemory 0", OK},
		{"CONFIG REWRITE", "-ERR The configuration file is the operator's: no command writes it\r\n"},
	};
	(void)state;
	EXPECT_ON_NEW_SERVER(table);
}

static void test_the_operator_sets_parameters_of_the_server_alone(void **state) {
	struct client *operator;
	struct world *w = operator_world(&operator);
	(void)state;
	expect(operator, "CONFIG SET timeout 7 slowlog-max-len 5",
	       "-ERR CONFIG SET takes parameters of the server or of the tenant, not both at once\r\n");
	assert_int_equal(w->control, CONTROL_NONE);
	expect(operator, "CONFIG SET timeout 7 maxclients 8", "+CONTROL\r\n");
	assert_int_equal(w->control, CONTROL_CONFIG_SET);
	w->control = CONTROL_NONE;
	expect(operator, "CONFIG SET slowlog-max-len 5", OK);
	expect(operator, "CONFIG SET port 1", FAILED "port') - nobody changes it while the server runs\r\n");
	assert_int_equal(w->control, CONTROL_NONE);
	close_world(w, operator);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values_in_force_are_those_of_the_tenant),
		cmocka_unit_test(test_set_changes_all_parameters_or_none),
		cmocka_unit_test(test_the_operator_sets_parameters_of_the_server_alone),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
