/* DBSIZE, FLUSHDB and FLUSHALL. */
#include "world.h"

#define OK     "+OK\r\n"
#define SYNTAX "-ERR syntax error\r\n"

static void test_a_flush_empties_one_database_or_all(void **state) {
	static const struct exchange table[] = {
		{"MSET a 1 b 2", OK},       {"SELECT 1", OK},          {"DBSIZE", ":0\r\n"},
		{"MSET a 1 b 2 c 3", OK},   {"FLUSHDB bogus", SYNTAX}, {"FLUSHDB SYNC ASYNC", SYNTAX},
		{"FLUSHALL bogus", SYNTAX}, {"DBSIZE", ":3\r\n"},      {"FLUSHDB async", OK},
		{"DBSIZE", ":0\r\n"},       {"SELECT 0", OK},          {"DBSIZE", ":2\r\n"},
		{"SELECT 1", OK},           {"SET a 1", OK},           {"FLUSHALL SYNC", OK},
		{"DBSIZE", ":0\r\n"},       {"SELECT 0", OK},          {"DBSIZE", ":0\r\n"},
		{"EXISTS a", ":0\r\n"},
	};
	(void)state;
	EXPECT_ON_NEW_SERVER(table);
}

static void test_each_flushed_key_is_a_change(void **state) {
	struct client *c;
	struct world *w = open_world(NULL, &c);
	(void)state;
	expect(c, "MSET a 1 b 2", OK);
	expect(c, "SELECT 1", OK);
	expect(c, "MSET a 1 b 2 c 3", OK);
	uint64_t before = c->session.tenant->clients.changes;
	expect(c, "FLUSHDB", OK);
	assert_int_equal(c->session.tenant->clients.changes - before, 3);
	expect(c, "FLUSHALL", OK);
	assert_int_equal(c->session.tenant->clients.changes - before, 5);
	close_world(w, c);
}

static void test_the_keys_of_another_tenant_stay(void **state) {
	struct client *c;
	struct world *w = open_world(NULL, &c);
	struct client *foreign = stranger(w, c->session.env->worker);
	(void)state;
	expect(foreign, "SET a 1", OK);
	expect(c, "FLUSHALL", OK);
	expect(foreign, "DBSIZE", ":1\r\n");
	client_free(foreign);
	close_world(w, c);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_flush_empties_one_database_or_all),
		cmocka_unit_test(test_each_flushed_key_is_a_change),
		cmocka_unit_test(test_the_keys_of_another_tenant_stay),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
