/* CLIENT KILL. */
#include "atomdb/store/tenant.h"
#include "world.h"

#define OK     "+OK\r\n"
#define SYNTAX "-ERR syntax error\r\n"

/* Returns whether the client was closed since the last call. */
static bool was_closed(struct client *c) {
	bool closed = c->session.flags & SESSION_CLOSING;
	c->session.flags &= ~(uint32_t)SESSION_CLOSING;
	return closed;
}

static void test_a_wrong_filter_closes_no_client(void **state) {
	static const struct exchange table[] = {
		{"CLIENT KILL ID 0", "-ERR client-id should be greater than 0\r\n"},
		{"CLIENT KILL SKIPME no ID -1", "-ERR client-id should be greater than 0\r\n"},
		{"CLIENT KILL SKIPME no ID x", "-ERR client-id should be greater than 0\r\n"},
		{"CLIENT KILL SKIPME no TYPE none", "-ERR Unknown client type 'none'\r\n"},
		{"CLIENT KILL SKIPME no USER nobody", "-ERR No such user 'nobody'\r\n"},
		{"CLIENT KILL SKIPME no TYPE", SYNTAX},
		{"CLIENT KILL SKIPME maybe", SYNTAX},
		{"CLIENT KILL SKIPME no bogus x", SYNTAX},
		{"CLIENT KILL ID", "-ERR No such client\r\n"},
		{"CLIENT KILL 127.0.0.1:1", "-ERR No such client\r\n"},
		{"CLIENT KILL ID 99", ":0\r\n"},
		{"CLIENT KILL", "-ERR wrong number of arguments for 'client|kill' command\r\n"},
	};
	struct client *c;
	struct world *w = open_world(NULL, &c);
	(void)state;
	EXPECT_ALL(c, table);
	assert_false(was_closed(c));
	close_world(w, c);
}

static void test_all_filters_must_match(void **state) {
	struct client *c;
	struct world *w = open_world(NULL, &c);
	struct client *other = join(w, c), *foreign = stranger(w, c->session.env->worker);
	const unsigned id = (unsigned)other->session.id, port = 40000 + (unsigned)other->session.global_id;
	char line[96];
	(void)state;
	const struct {
		const char *before;
		unsigned number;
		const char *after;
		unsigned own, others; /* whether the caller and the other client are closed */
	} table[] = {
		{"CLIENT KILL ID ", id, "", 0, 1},
		{"CLIENT KILL ADDR 127.0.0.1:", port, "", 0, 1},
		{"CLIENT KILL LADDR 127.0.0.1:", 8080, "", 0, 1},
		{"CLIENT KILL LADDR 127.0.0.1:", 8080, " SKIPME no", 1, 1},
		{"CLIENT KILL LADDR 127.0.0.1:", 8081, "", 0, 0},
		{"CLIENT KILL ID ", id, " TYPE pubsub", 0, 0},
		{"CLIENT KILL ID ", id, " TYPE normal USER default SKIPME yes", 0, 1},
		{"CLIENT KILL ID ", id, " ADDR 127.0.0.1:1", 0, 0},
		{"CLIENT KILL ID ", (unsigned)c->session.id, "", 0, 0},
		{"CLIENT KILL ID ", (unsigned)c->session.id, " SKIPME no", 1, 0},
	};
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		char want[16];
		snprintf(line, sizeof(line), "%s%u%s", table[i].before, table[i].number, table[i].after);
		snprintf(want, sizeof(want), ":%u\r\n", table[i].own + table[i].others);
		expect(c, line, want);
		assert_int_equal(was_closed(c), table[i].own);
		assert_int_equal(was_closed(other), table[i].others);
		assert_false(was_closed(foreign));
	}
	client_free(other);
	client_free(foreign);
	close_world(w, c);
}

static void test_the_form_with_an_address_closes_the_caller_too(void **state) {
	struct client *c;
	struct world *w = open_world(NULL, &c);
	char line[64];
	(void)state;
	snprintf(line, sizeof(line), "CLIENT KILL 127.0.0.1:%u", 40000 + (unsigned)c->session.global_id);
	expect(c, line, OK);
	assert_true(was_closed(c));
	close_world(w, c);
}

static void test_the_operator_closes_clients_of_every_tenant(void **state) {
	struct client *operator;
	struct world *w = operator_world(&operator);
	struct client *a = stranger(w, 0), *b = stranger(w, 1);
	char line[128];
	(void)state;
	snprintf(line, sizeof(line), "CLIENT KILL USER %s", tenant_name(b->session.tenant));
	expect(operator, line, ":1\r\n");
	assert_true(was_closed(b));
	assert_false(was_closed(a));
	snprintf(line, sizeof(line), "CLIENT KILL ID %u", (unsigned)a->session.global_id);
	expect(operator, line, ":1\r\n");
	assert_true(was_closed(a));
	expect(operator, "CLIENT KILL TYPE normal SKIPME yes", ":2\r\n");
	assert_true(was_closed(a) && was_closed(b) && !was_closed(operator));
	expect(operator, "CLIENT KILL 127.0.0.1:1", "-ERR No such client\r\n");
	snprintf(line, sizeof(line), "CLIENT KILL 127.0.0.1:%u", 40000 + (unsigned)b->session.global_id);
	expect(operator, line, OK);
	assert_true(was_closed(b) && !was_closed(a));
	expect(operator, "CLIENT KILL ID 0", "-ERR client-id should be greater than 0\r\n");
	client_free(a);
	client_free(b);
	close_world(w, operator);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_wrong_filter_closes_no_client),
		cmocka_unit_test(test_all_filters_must_match),
		cmocka_unit_test(test_the_form_with_an_address_closes_the_caller_too),
		cmocka_unit_test(test_the_operator_closes_clients_of_every_tenant),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
