/* CLIENT PAUSE, UNPAUSE and UNBLOCK. */
#include "world.h"

#define OK "+OK\r\n"

static void test_a_refused_pause_pauses_no_client(void **state) {
	static const struct exchange table[] = {
		{"CLIENT PAUSE 100 SOME", "-ERR CLIENT PAUSE mode must be WRITE or ALL\r\n"},
		{"CLIENT PAUSE x ALL", "-ERR timeout is not an integer or out of range\r\n"},
		{"CLIENT PAUSE 1.5", "-ERR timeout is not an integer or out of range\r\n"},
		{"CLIENT PAUSE -1", "-ERR timeout is negative\r\n"},
		{"CLIENT PAUSE 9223372036854775807", "-ERR timeout is out of range\r\n"},
		{"CLIENT PAUSE 100 ALL x",
		 "-ERR unknown subcommand or wrong number of arguments for 'PAUSE'. Try CLIENT HELP.\r\n"},
		{"SET k v", OK},
		{"CLIENT PAUSE 0", OK},
		{"SET k v", OK},
		{"CLIENT UNBLOCK 1", ":0\r\n"},
		{"CLIENT UNBLOCK 1 ERROR", ":0\r\n"},
		{"CLIENT UNBLOCK x", "-ERR value is not an integer or out of range\r\n"},
		{"CLIENT UNBLOCK 1 NOW", "-ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR\r\n"},
		{"CLIENT UNBLOCK 1 ERROR x",
		 "-ERR unknown subcommand or wrong number of arguments for 'UNBLOCK'. Try CLIENT HELP.\r\n"},
	};
	(void)state;
	EXPECT_ON_NEW_SERVER(table);
}

static bool waits(struct client *c, const char *line) {
	ask(c, line);
	return c->outcome == OUTCOME_BLOCKED;
}

static void test_a_pause_holds_commands_of_its_kind_until_it_ends(void **state) {
	struct client *c;
	struct world *w = open_world(NULL, &c);
	struct client *other = join(w, c), *foreign = stranger(w, c->session.env->worker);
	(void)state;
	expect(c, "CLIENT PAUSE 100 WRITE", OK);
	assert_true(waits(other, "SET k v"));
	assert_false(waits(other, "GET k"));
	assert_false(waits(foreign, "SET k v"));
	world_pass(w, 99);
	assert_true(waits(other, "SET k v"));
	world_pass(w, 1);
	assert_false(waits(other, "SET k v"));
	expect(c, "CLIENT PAUSE 100", OK);
	assert_true(waits(other, "GET k"));
	client_free(other);
	client_free(foreign);
	close_world(w, c);
}

static void test_a_pause_becomes_longer_and_stricter_only(void **state) {
	struct client *c;
	struct world *w = open_world(NULL, &c);
	struct client *other = join(w, c);
	(void)state;
	expect(c, "MULTI", OK);
	ask(c, "CLIENT PAUSE 100 ALL");
	ask(c, "CLIENT PAUSE 10 WRITE");
	ask(c, "EXEC");
	world_pass(w, 99);
	assert_true(waits(other, "GET k"));
	world_pass(w, 1);
	assert_false(waits(other, "GET k"));
	/* The previous pause has ended: the new one decides the kind. */
	expect(c, "CLIENT PAUSE 100 WRITE", OK);
	assert_false(waits(other, "GET k"));
	client_free(other);
	close_world(w, c);
}

static void test_unpause_ends_the_pause(void **state) {
	struct client *c;
	struct world *w = open_world(NULL, &c);
	(void)state;
	expect(c, "CLIENT UNPAUSE", OK);
	expect(c, "CLIENT PAUSE 100000 WRITE", OK);
	assert_true(waits(c, "SET k v"));
	expect(c, "CLIENT UNPAUSE", OK);
	expect(c, "SET k v", OK);
	close_world(w, c);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_refused_pause_pauses_no_client),
		cmocka_unit_test(test_a_pause_holds_commands_of_its_kind_until_it_ends),
		cmocka_unit_test(test_a_pause_becomes_longer_and_stricter_only),
		cmocka_unit_test(test_unpause_ends_the_pause),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
