#include "atomdb/events/monitor.h"
#include "atomdb/events/subscriptions.h"
#include "atomdb/store/tenant.h"
#include "world.h"

#define OK        "+OK\r\n"
#define SHOWN_MAX ((size_t)1 << 20)

static char megabyte[(1 << 20) + 64];

/* A server with a monitor and another client of its tenant. */
static struct world *monitored_world(struct client **monitor, struct client **other) {
	struct world *w = open_world(NULL, monitor);
	*other = join(w, *monitor);
	assert_int_equal(subscriber_open(&(*monitor)->session), 0);
	monitor_begin(&(*monitor)->session);
	return w;
}

/* Expects one line of a command of `from`; `who` precedes its address. */
static void expect_line(struct client *to, const struct client *from, const char *who, const char *command) {
	char line[256];
	snprintf(line, sizeof(line), "+1700000000.000000 [%u %s127.0.0.1:%u] %s\r\n", from->session.database, who,
		 40000 + (unsigned)from->session.global_id, command);
	assert_string_equal(pushed(to), line);
}

static void test_a_line_shows_time_database_address_and_arguments(void **state) {
	struct client *a, *b;
	struct world *w = monitored_world(&a, &b);
	(void)state;
	ask(b, "SELECT 3");
	(void)pushed(a);
	ask(b, "SET k 1");
	expect_line(a, b, "", "\"SET\" \"k\" \"1\"");
	client_free(b);
	close_world(w, a);
}

static void test_bytes_that_cannot_be_printed_are_escaped(void **state) {
	const struct slice echo[] = {SLICE("ECHO"), SLICE("\"\\\n\r\t\a\b\0\x1f~\x7f\xff")};
	struct client *a, *b;
	struct world *w = monitored_world(&a, &b);
	(void)state;
	client_run(b, echo, 2);
	expect_line(a, b, "", "\"ECHO\" \"\\\"\\\\\\n\\r\\t\\a\\b\\x00\\x1f~\\x7f\\xff\"");
	/* Four bytes show each of these. */
	const struct slice unprintable[] = {SLICE("ECHO"), {megabyte, SHOWN_MAX / 2}};
	memset(megabyte, 1, sizeof(megabyte));
	client_run(b, unprintable, 2);
	const char *line = pushed(a);
	assert_true(strlen(line) > 4 * unprintable[1].len);
	assert_non_null(strstr(line, "\\x01\"\r\n"));
	client_free(b);
	close_world(w, a);
}

static void test_a_megabyte_of_arguments_is_shown(void **state) {
	struct client *a, *b;
	struct world *w = monitored_world(&a, &b);
	/* The name, the quotes and the space around it take 7 or 6 bytes. */
	const struct slice fits[] = {SLICE("ECHO"), {megabyte, SHOWN_MAX - 7}};
	const struct slice cut[] = {SLICE("ECHO"), {megabyte, SHOWN_MAX - 7 + 10}};
	const struct slice more[] = {SLICE("DEL"), {megabyte, SHOWN_MAX - 6}, SLICE("k"), SLICE("l")};
	(void)state;
	memset(megabyte, 'm', sizeof(megabyte));
	client_run(b, fits, 2);
	assert_non_null(strstr(pushed(a), "mmm\"\r\n"));
	client_run(b, cut, 2);
	assert_non_null(strstr(pushed(a), "mmm\"... (10 more bytes)\r\n"));
	client_run(b, more, 4);
	assert_non_null(strstr(pushed(a), "mmm\"... (2 more arguments)\r\n"));
	client_free(b);
	close_world(w, a);
}

static void test_secrets_and_commands_of_the_operator_are_hidden(void **state) {
	struct client *a, *b;
	struct world *w = monitored_world(&a, &b);
	(void)state;
	ask(b, "CONFIG GET maxmemory");
	assert_string_equal(pushed(a), "");
	ask(b, "AUTH secret");
	expect_line(a, b, "", "\"AUTH\" \"(redacted)\"");
	ask(b, "HELLO 3 AUTH default secret SETNAME n");
	expect_line(a, b, "", "\"HELLO\" \"3\" \"AUTH\" \"(redacted)\" \"(redacted)\" \"SETNAME\" \"n\"");
	client_free(b);
	close_world(w, a);
}

static void test_refused_commands_and_other_tenants_are_not_shown(void **state) {
	struct client *a, *b;
	struct world *w = monitored_world(&a, &b);
	struct client *c = stranger(w, a->session.env->worker);
	(void)state;
	ask(b, "SET k");
	ask(b, "UNKNOWN");
	ask(c, "SET k 1");
	assert_string_equal(pushed(a), "");
	client_free(c);
	client_free(b);
	close_world(w, a);
}

static void test_a_command_that_leaves_the_tenant_is_shown_to_the_others(void **state) {
	struct client *a, *b;
	struct world *w = monitored_world(&a, &b);
	(void)state;
	expect(b, "MONITOR", OK);
	(void)pushed(a), (void)pushed(b);
	expect(b, "RESET", "+RESET\r\n");
	assert_non_null(strstr(pushed(a), "\"RESET\"\r\n"));
	assert_string_equal(pushed(b), "");
	client_free(b);
	close_world(w, a);
}

static void test_a_monitor_that_leaves_is_sent_nothing(void **state) {
	struct client *a, *b;
	struct world *w = monitored_world(&a, &b);
	(void)state;
	assert_true(b->session.flags & SESSION_TENANT_ATTENTION);
	monitor_leave(&a->session);
	monitor_leave(&a->session);
	assert_false(b->session.flags & SESSION_TENANT_ATTENTION);
	ask(b, "SET k 1");
	assert_string_equal(pushed(a), "");
	client_free(b);
	close_world(w, a);
}

static void test_the_operator_is_sent_the_commands_of_all_tenants(void **state) {
	struct client *operator;
	struct world *w = operator_world(&operator);
	struct environment *env = operator->session.env;
	struct client *c = stranger(w, env->worker);
	char who[80];
	(void)state;
	expect(operator, "MONITOR", OK);
	assert_true(c->session.tenant->clients.monitored);
	ask(c, "SET k 1");
	monitor_take_lines(env, buffer_slice(&env->feed.lines), false);
	snprintf(who, sizeof(who), "%s ", tenant_name(c->session.tenant));
	expect_line(operator, c, who, "\"SET\" \"k\" \"1\"");
	/* A tenant that is attached later is monitored too. */
	struct client *d = client_new(w, env->worker);
	for (unsigned n = 100; n < 200 && d->session.tenant == NULL; n++) {
		char line[32];
		snprintf(line, sizeof(line), "AUTH later%u", n);
		ask(d, line);
	}
	assert_true(d->session.tenant->clients.monitored);
	monitor_leave(&operator->session);
	assert_false(c->session.tenant->clients.monitored);
	assert_false(c->session.flags & SESSION_TENANT_ATTENTION);
	assert_null(env->monitors_of_all);
	buffer_deinit(&env->feed.lines);
	client_free(d);
	client_free(c);
	close_world(w, operator);
}

static void test_the_next_process_continues_when_the_sessions_are_linked(void **state) {
	struct client *a, *b;
	struct world *w = monitored_world(&a, &b);
	(void)state;
	assert_int_equal(monitor_deserialize(&b->session), 0);
	assert_false(b->session.flags & SESSION_MONITOR);
	assert_false(monitor_link(&b->session)); /* it is not the operator */
	assert_true(b->session.flags & SESSION_MONITOR);
	ask(a, "PING");
	expect_line(b, a, "", "\"PING\"");
	client_free(b);
	close_world(w, a);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_line_shows_time_database_address_and_arguments),
		cmocka_unit_test(test_bytes_that_cannot_be_printed_are_escaped),
		cmocka_unit_test(test_a_megabyte_of_arguments_is_shown),
		cmocka_unit_test(test_secrets_and_commands_of_the_operator_are_hidden),
		cmocka_unit_test(test_refused_commands_and_other_tenants_are_not_shown),
		cmocka_unit_test(test_a_command_that_leaves_the_tenant_is_shown_to_the_others),
		cmocka_unit_test(test_a_monitor_that_leaves_is_sent_nothing),
		cmocka_unit_test(test_the_operator_is_sent_the_commands_of_all_tenants),
		cmocka_unit_test(test_the_next_process_continues_when_the_sessions_are_linked),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
