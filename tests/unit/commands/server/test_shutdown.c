/* SHUTDOWN. */
#include "world.h"

#define SYNTAX "-ERR syntax error\r\n"

static void test_only_the_operator_may_end_the_server(void **state) {
	struct client *c;
	struct world *w = open_world(NULL, &c);
	(void)state;
	expect(c, "SHUTDOWN NOSAVE", "-NOPERM this user has no permissions to run the 'shutdown' command\r\n");
	assert_int_equal(w->control, CONTROL_NONE);
	close_world(w, c);
}

static void test_contradicting_options_are_refused(void **state) {
	static const struct exchange table[] = {
		{"SHUTDOWN bogus", SYNTAX},
		{"SHUTDOWN SAVE NOSAVE", SYNTAX},
		{"SHUTDOWN ABORT NOW", SYNTAX},
		{"SHUTDOWN ABORT", "-ERR No shutdown in progress.\r\n"},
		{"SHUTDOWN SAVE",
		 "-ERR Errors trying to SHUTDOWN: nothing can be saved. FORCE stops it all the same.\r\n"},
	};
	static const char *const lines[] = {"SHUTDOWN", "SHUTDOWN NOSAVE", "SHUTDOWN SAVE force", "SHUTDOWN NOW"};
	struct client *operator;
	struct world *w = operator_world(&operator);
	(void)state;
	EXPECT_ALL(operator, table);
	assert_int_equal(w->control, CONTROL_NONE);
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		w->control = CONTROL_NONE;
		expect(operator, lines[i], "+CONTROL\r\n");
		assert_int_equal(w->control, CONTROL_SHUTDOWN);
	}
	close_world(w, operator);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_only_the_operator_may_end_the_server),
		cmocka_unit_test(test_contradicting_options_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
