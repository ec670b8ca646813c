/* CLIENT LIST and CLIENT INFO. */
#include "atomdb/store/tenant.h"
#include "world.h"

#define OK "+OK\r\n"

#define OK     "+OK\r\n"
#define SYNTAX "-ERR syntax error\r\n"

static void test_a_line_describes_the_client(void **state) {
	static const struct exchange table[] = {
		{"CLIENT SETNAME me", OK},
		{"CLIENT SETINFO lib-name redis-py", OK},
		{"CLIENT SETINFO LIB-VER 4.3", OK},
		{"CLIENT NO-EVICT on", OK},
		{"CLIENT NO-EVICT off", OK},
		{"CLIENT NO-EVICT x", SYNTAX},
		{"CLIENT LIST TYPE none", "-ERR Unknown client type 'none'\r\n"},
		{"CLIENT LIST TYPE", SYNTAX},
		{"CLIENT LIST ID", SYNTAX},
		{"CLIENT LIST ID a", "-ERR Invalid client ID\r\n"},
		{"CLIENT LIST ID 99", "$0\r\n\r\n"},
		{"CLIENT LIST TYPE pubsub", "$0\r\n\r\n"},
		{"CLIENT LIST x y", SYNTAX},
	};
	struct client *c;
	struct world *w = open_world(NULL, &c);
	char want[640], line[512];
	(void)state;
	EXPECT_ALL(c, table);
	world_pass(w, 5000);
	ask(c, "SELECT 4");
	unsigned id = (unsigned)c->session.id;
	snprintf(want, sizeof(want), ":%u\r\n", id);
	expect(c, "CLIENT ID", want);
	static const char *const commands[] = {"info", "list"};
	for (size_t i = 0; i < 2; i++) {
		int n = snprintf(line, sizeof(line),
				 "id=%u addr=127.0.0.1:%u laddr=127.0.0.1:8080 fd=-1 name=me age=5 idle=0 flags=N db=4 "
				 "sub=0 psub=0 ssub=0 multi=-1 qbuf=26 qbuf-free=0 argv-mem=0 multi-mem=0 rbs=0 rbp=0 "
				 "obl=0 oll=0 omem=0 tot-mem=0 events=r cmd=client|%s user=default redir=-1 resp=2 "
				 "lib-name=redis-py lib-ver=4.3\n",
				 id, 40000 + (unsigned)c->session.global_id, commands[i]);
		snprintf(want, sizeof(want), "$%d\r\n%s\r\n", n, line);
		snprintf(line, sizeof(line), "CLIENT %s", commands[i]);
		expect(c, line, want);
	}
	snprintf(line, sizeof(line), "CLIENT LIST ID 0 %u", id);
	expect_part(c, line, "name=me");
	expect_part(c, "CLIENT LIST TYPE NORMAL", "name=me");
	expect_part(c, "CLIENT HELP", "+CLIENT <subcommand>");
	close_world(w, c);
}

static void test_flags_tell_the_state_of_the_client(void **state) {
	static const struct {
		const char *line, *flags;
	} table[] = {
		{"PING", "flags=N "},
		{"CLIENT NO-EVICT ON", "flags=e "},
		{"WATCH k", "flags=e "},
		{"CLIENT TRACKING ON", "flags=te "},
		{"CLIENT TRACKING OFF", "flags=e "},
		{"SUBSCRIBE a", "flags=Pe "},
		{"UNSUBSCRIBE", "flags=e "},
		{"MULTI", "flags=xe "},
		{"PING", "multi=1 "},
		{"DISCARD", "flags=e "},
	};
	struct client *c;
	struct world *w = open_world(NULL, &c);
	struct client *other = join(w, c);
	char line[32];
	(void)state;
	snprintf(line, sizeof(line), "CLIENT LIST ID %u", (unsigned)c->session.id);
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		ask(c, table[i].line);
		expect_part(other, line, table[i].flags);
	}
	expect(c, "WATCH k", OK);
	expect(other, "SET k v", OK);
	expect_part(other, line, "flags=de ");
	client_free(other);
	close_world(w, c);
}

static unsigned count_lines(const char *text) {
	unsigned count = 0;
	for (; (text = strstr(text, "id=")) != NULL; text++)
		count += text[-1] == '\n';
	return count;
}

static void test_list_filters_by_type_and_id(void **state) {
	struct client *c;
	struct world *w = open_world(NULL, &c);
	struct client *subscriber = join(w, c), *foreign = stranger(w, c->session.env->worker);
	char line[64];
	(void)state;
	ask(subscriber, "SUBSCRIBE a");
	assert_int_equal(count_lines(ask(c, "CLIENT LIST")), 2);
	assert_int_equal(count_lines(ask(c, "CLIENT LIST TYPE normal")), 1);
	assert_int_equal(count_lines(ask(c, "CLIENT LIST TYPE pubsub")), 1);
	expect(c, "CLIENT LIST TYPE master", "$0\r\n\r\n");
	expect(c, "CLIENT LIST TYPE slave", "$0\r\n\r\n");
	snprintf(line, sizeof(line), "CLIENT LIST ID %u %u 77", (unsigned)subscriber->session.id,
		 (unsigned)c->session.id);
	assert_int_equal(count_lines(ask(c, line)), 2);
	assert_int_equal(count_lines(ask(foreign, "CLIENT LIST")), 1);
	client_free(subscriber);
	client_free(foreign);
	close_world(w, c);
}

static void test_the_operator_sees_the_clients_of_all_tenants_and_workers(void **state) {
	struct client *operator;
	struct world *w = operator_world(&operator);
	struct client *clients[2] = {stranger(w, 0), stranger(w, 1)};
	char line[64], user[96];
	(void)state;
	assert_int_equal(count_lines(ask(operator, "CLIENT LIST")), 3);
	snprintf(line, sizeof(line), "CLIENT LIST ID %u", (unsigned)clients[1]->session.global_id);
	assert_int_equal(count_lines(ask(operator, line)), 1);
	snprintf(user, sizeof(user), " user=%s ", tenant_name(clients[1]->session.tenant));
	assert_non_null(strstr(operator->text, user));
	assert_int_equal(count_lines(ask(operator, "CLIENT LIST TYPE normal")), 3);
	expect(operator, "CLIENT LIST TYPE pubsub", "$0\r\n\r\n");
	expect(operator, "CLIENT LIST TYPE none", "-ERR Unknown client type 'none'\r\n");
	assert_int_equal(count_lines(ask(clients[0], "CLIENT LIST")), 1);
	client_free(clients[0]);
	client_free(clients[1]);
	close_world(w, operator);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_line_describes_the_client),
		cmocka_unit_test(test_flags_tell_the_state_of_the_client),
		cmocka_unit_test(test_list_filters_by_type_and_id),
		cmocka_unit_test(test_the_operator_sees_the_clients_of_all_tenants_and_workers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
