/* DEL, UNLINK, EXISTS, TOUCH, TYPE and RANDOMKEY. */
#include "world.h"

#define NIL "$-1\r\n"
#define OK  "+OK\r\n"

static void test_replies_are_those_of_redis(void **state) {
	static const struct exchange table[] = {
		{"MSET a 1 b 2 c 3", OK},
		{"EXISTS a a none", ":2\r\n"},
		{"TOUCH a none b", ":2\r\n"},
		{"TYPE a", "+string\r\n"},
		{"TYPE none", "+none\r\n"},
		{"DEL a none a", ":1\r\n"},
		{"DEL a", ":0\r\n"},
		{"UNLINK b c", ":2\r\n"},
		{"RANDOMKEY", NIL},
		{"SET one 1", OK},
		{"SELECT 1", OK},
		{"RANDOMKEY", NIL},
		{"DEL one", ":0\r\n"},
		{"SET three 3", OK},
		{"RANDOMKEY", "$5\r\nthree\r\n"},
	};
	(void)state;
	EXPECT_ON_NEW_SERVER(table);
}

static void test_each_deleted_key_is_one_event(void **state) {
	struct client *c;
	struct world *w = open_world(NULL, &c);
	struct client *listener = join(w, c);
	const struct slice subscribe[] = {SLICE("SUBSCRIBE"), SLICE("__keyevent@0__:del")};
	(void)state;
	expect(c, "CONFIG SET notify-keyspace-events Eg", OK);
	client_run(listener, subscribe, 2);
	expect(c, "MSET a 1 b 2", OK);
	expect(c, "DEL a none b a", ":2\r\n");
	const char *events = pushed(listener), *a = strstr(events, "$1\r\na\r\n"), *b = strstr(events, "$1\r\nb\r\n");
	assert_true(a != NULL && b > a);
	assert_null(strstr(a + 1, "$1\r\na\r\n"));
	assert_null(strstr(events, "none"));
	client_free(listener);
	close_world(w, c);
}

static void test_only_touch_counts_as_a_use(void **state) {
	struct client *c;
	struct world *w = open_world(NULL, &c);
	(void)state;
	expect(c, "SET k v", OK);
	world_pass(w, 3 * 262144);
	expect(c, "EXISTS k", ":1\r\n");
	expect(c, "TYPE k", "+string\r\n");
	expect(c, "OBJECT IDLETIME k", ":524\r\n");
	expect(c, "TOUCH k", ":1\r\n");
	expect(c, "OBJECT IDLETIME k", ":0\r\n");
	close_world(w, c);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_replies_are_those_of_redis),
		cmocka_unit_test(test_each_deleted_key_is_one_event),
		cmocka_unit_test(test_only_touch_counts_as_a_use),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
