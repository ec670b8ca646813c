/* SLOWLOG. The test sets the durations of commands. */
#include "atomdb/store/tenant.h"
#include "world.h"

#define OK    "+OK\r\n"
#define COUNT "-ERR count should be greater than or equal to -1\r\n"

static void test_the_latest_come_first(void **state) {
	static const struct exchange table[] = {
		{"SLOWLOG GET -2", COUNT},
		{"SLOWLOG GET x", COUNT},
		{"SLOWLOG GET 1 2",
		 "-ERR unknown subcommand or wrong number of arguments for 'GET'. Try SLOWLOG HELP.\r\n"},
		{"SLOWLOG GET 0", "*0\r\n"},
		{"SLOWLOG LEN", ":12\r\n"},
	};
	struct client *c;
	struct world *w = timed_world(NULL, &c);
	char key[16];
	(void)state;
	expect(c, "SLOWLOG GET", "*0\r\n");
	for (unsigned i = 0; i < 12; i++) {
		snprintf(key, sizeof(key), "key%u", i);
		note_command(c, "get", key, 0.5);
	}
	EXPECT_ALL(c, table);
	assert_int_equal(strncmp(ask(c, "SLOWLOG GET"), "*10\r\n*6\r\n:11\r\n", 14), 0);
	assert_int_equal(strncmp(ask(c, "SLOWLOG GET -1"), "*12\r\n*6\r\n:11\r\n", 14), 0);
	assert_int_equal(strncmp(ask(c, "SLOWLOG GET 99"), "*12\r\n", 5), 0);
	expect_part(c, "SLOWLOG GET 1", "*2\r\n$3\r\nget\r\n$5\r\nkey11\r\n$15\r\n127.0.0.1:4000");
	expect(c, "SLOWLOG RESET", OK);
	expect(c, "SLOWLOG LEN", ":0\r\n");
	expect(c, "SLOWLOG GET", "*0\r\n");
	close_world(w, c);
}

static void test_a_tenant_sees_its_own_and_the_operator_all_with_the_tenant(void **state) {
	struct client *operator;
	struct world *w = operator_world(&operator);
	struct client *a = stranger(w, 0), *b = stranger(w, 1);
	char want[160];
	(void)state;
	note_command(a, "get", "first", 1);
	world_pass(w, 1000);
	note_command(b, "get", "second", 1);
	world_pass(w, 1000);
	note_command(a, "get", "third", 1);
	expect(a, "SLOWLOG LEN", ":2\r\n");
	expect(b, "SLOWLOG LEN", ":1\r\n");
	expect(operator, "SLOWLOG LEN", ":3\r\n");
	const char *all = ask(operator, "SLOWLOG GET");
	const char *first = strstr(all, "first"), *second = strstr(all, "second"), *third = strstr(all, "third");
	assert_true(third != NULL && third < second && second < first);
	snprintf(want, sizeof(want), "\r\n%s\r\n", tenant_name(b->session.tenant));
	assert_in_range((size_t)(strstr(all, want) - all), (size_t)(second - all), (size_t)(first - all));
	expect_part(operator, "SLOWLOG GET 1", "third");
	assert_null(strstr(operator->text, "second"));
	expect(operator, "SLOWLOG GET -2", COUNT);
	expect(operator, "SLOWLOG RESET", OK);
	expect(a, "SLOWLOG LEN", ":0\r\n");
	expect(b, "SLOWLOG LEN", ":0\r\n");
	client_free(a);
	client_free(b);
	close_world(w, operator);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_latest_come_first),
		cmocka_unit_test(test_a_tenant_sees_its_own_and_the_operator_all_with_the_tenant),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
