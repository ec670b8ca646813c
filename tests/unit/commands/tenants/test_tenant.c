/* TENANT. */
#include "atomdb/store/tenant.h"
#include "world.h"

#define OK "+OK\r\n"

static void test_only_the_operator_may_ask(void **state) {
	static const char *const lines[] = {"TENANT LIST",           "TENANT INFO a", "TENANT CREATE a secret b",
					    "TENANT SET a secret b", "TENANT DROP a", "TENANT KILL a"};
	struct client *c;
	struct world *w = open_world(NULL, &c);
	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		expect_part(c, lines[i], "-NOPERM this user has no permissions to run the 'tenant|");
		/* The arguments may be secrets. */
		assert_true(c->session.flags & SESSION_SECRET);
	}
	assert_int_equal(w->control, CONTROL_NONE);
	close_world(w, c);
}

static void test_the_control_plane_is_asked(void **state) {
	static const struct {
		const char *line;
		enum control control;
	} table[] = {
		{"TENANT LIST", CONTROL_TENANT_LIST},
		{"TENANT INFO a", CONTROL_TENANT_INFO},
		{"TENANT CREATE a secret b", CONTROL_TENANT_CREATE},
		{"TENANT SET a max_memory 1mb", CONTROL_TENANT_SET},
		{"TENANT DROP a", CONTROL_TENANT_DROP},
	};
	struct client *operator;
	struct world *w = operator_world(&operator);
	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		expect(operator, table[i].line, "+CONTROL\r\n");
		assert_int_equal(w->control, table[i].control);
		assert_true(operator->session.flags & SESSION_SECRET);
	}
	close_world(w, operator);
}

static void test_kill_closes_the_clients_of_one_tenant(void **state) {
	struct client *operator;
	struct world *w = operator_world(&operator);
	struct client *a = stranger(w, 0), *more = stranger(w, 0), *b = stranger(w, 1);
	char line[96];
	(void)state;
	assert_ptr_equal(a->session.tenant, more->session.tenant);
	expect(operator, "TENANT KILL nobody", "-ERR No such tenant\r\n");
	snprintf(line, sizeof(line), "TENANT KILL %s", tenant_name(a->session.tenant));
	expect(operator, line, ":2\r\n");
	assert_true(a->session.flags & more->session.flags & SESSION_CLOSING);
	assert_false(b->session.flags & SESSION_CLOSING);
	snprintf(line, sizeof(line), "TENANT KILL %s", tenant_name(b->session.tenant));
	expect(operator, line, ":1\r\n");
	assert_true(b->session.flags & SESSION_CLOSING);
	client_free(a);
	client_free(more);
	client_free(b);
	close_world(w, operator);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_only_the_operator_may_ask),
		cmocka_unit_test(test_the_control_plane_is_asked),
		cmocka_unit_test(test_kill_closes_the_clients_of_one_tenant),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
