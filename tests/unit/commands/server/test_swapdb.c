/* SWAPDB. */
#include "world.h"

#define OK "+OK\r\n"

static void test_every_client_sees_the_databases_swapped(void **state) {
	static const struct exchange table[] = {
		{"SWAPDB x 1", "-ERR invalid first DB index\r\n"},
		{"SWAPDB 1 3000000000", "-ERR invalid second DB index\r\n"},
		{"SWAPDB 1 16", "-ERR DB index is out of range\r\n"},
		{"SWAPDB -1 0", "-ERR DB index is out of range\r\n"},
		{"SET a 0", OK},
		{"SELECT 1", OK},
		{"MSET a 1 b 1", OK},
		{"SWAPDB 1 1", OK},
		{"DBSIZE", ":2\r\n"},
		{"SWAPDB 0 1", OK},
		{"DBSIZE", ":1\r\n"},
		{"GET a", "$1\r\n0\r\n"},
		{"FLUSHDB", OK},
		{"SELECT 0", OK},
		{"GET a", "$1\r\n1\r\n"},
	};
	struct client *c;
	struct world *w = open_world(NULL, &c);
	struct client *other = join(w, c);
	(void)state;
	EXPECT_ALL(c, table);
	expect(other, "GET a", "$1\r\n1\r\n");
	expect(other, "DBSIZE", ":2\r\n");
	client_free(other);
	close_world(w, c);
}

static void test_a_swap_ends_a_transaction_that_watches_a_key_of_either(void **state) {
	static const struct {
		const char *swap, *reply;
	} table[] = {{"SWAPDB 0 1", "*-1\r\n"}, {"SWAPDB 1 0", "*-1\r\n"}, {"SWAPDB 1 2", "*1\r\n+PONG\r\n"}};
	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct client *c;
		struct world *w = open_world(NULL, &c);
		struct client *other = join(w, c);
		expect(c, "SET a 0", OK);
		expect(c, "WATCH a", OK);
		expect(other, table[i].swap, OK);
		expect(c, "MULTI", OK);
		ask(c, "PING");
		expect(c, "EXEC", table[i].reply);
		client_free(other);
		close_world(w, c);
	}
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_client_sees_the_databases_swapped),
		cmocka_unit_test(test_a_swap_ends_a_transaction_that_watches_a_key_of_either),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
