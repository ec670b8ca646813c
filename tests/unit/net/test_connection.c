/* The life of a connection: authentication, the move to another worker, memory, the end. */
#include <fcntl.h>

#include "atomdb/events/subscriptions.h"
#include "turned.h"

static struct server *start_with(struct settings settings) {
	struct tenants_config tenants_config = server_open_tenants();
	return server_start(&settings, &tenants_config);
}

/* The commands behind AUTH are in the same packet. They move with the connection, and every tenant finds its data again
 * from another connection. */
static void hands_over_the_input_behind_auth(void **state) {
	struct server *s = start_with(server_settings());
	int fds[32];
	char text[256], reply[128];
	(void)state;
	for (int i = 0; i < 32; i++) {
		fds[i] = client_open(s);
		snprintf(text, sizeof(text),
			 "PING\r\nAUTH secret-%d\r\nSET name v%02d\r\nGET name\r\nSELECT 1\r\nGET name\r\nPI", i, i);
		client_send(fds[i], text);
	}
	for (int i = 0; i < 32; i++) {
		snprintf(reply, sizeof(reply),
			 "-NOAUTH Authentication required.\r\n+OK\r\n+OK\r\n$3\r\nv%02d\r\n+OK\r\n$-1\r\n", i);
		client_expect(fds[i], reply);
		client_send(fds[i], "NG\r\n");
		client_expect(fds[i], "+PONG\r\n");
	}
	assert_int_equal(server_sum(s, clients), 32);
	assert_true(server_sum(s, moved) > 0);
	assert_true(counter_get(&worker_counters(s->workers[0])->clients) > 0);
	assert_true(counter_get(&worker_counters(s->workers[1])->clients) > 0);
	/* Another AUTH may move a connection again. */
	for (int i = 0; i < 32; i++) {
		snprintf(text, sizeof(text), "AUTH secret-%d\r\nGET name\r\n", (i + 1) % 32);
		snprintf(reply, sizeof(reply), "+OK\r\n$3\r\nv%02d\r\n", (i + 1) % 32);
		client_send(fds[i], text);
		client_expect(fds[i], reply);
		close(fds[i]);
	}
	wait_for(server_sum(s, clients) == 0);
	server_free(s);
}

/* Before AUTH a client may hold little, and all such clients together too. */
static void bounds_what_unauthenticated_clients_hold(void **state) {
	enum { UNAUTHENTICATED = 800, SIZE = 160000 };
	struct server *s = start_with(server_settings());
	int fds[UNAUTHENTICATED];
	(void)state;
	char *input = malloc(SIZE + 256), *at = input;
	assert_non_null(input);
	/* The last argument never arrives. */
	at += sprintf(at, "*10\r\n");
	for (int i = 0; i < 9; i++) {
		at += sprintf(at, "$16384\r\n");
		memset(at, 'x', 16384);
		at += 16384;
		at += sprintf(at, "\r\n");
	}
	for (int i = 0; i < UNAUTHENTICATED; i++) {
		fds[i] = client_open(s);
		fcntl(fds[i], F_SETFL, O_NONBLOCK);
		for (char *from = input; from < at;) {
			ssize_t n = send(fds[i], from, (size_t)(at - from), MSG_NOSIGNAL);
			if (n < 0 && errno != EAGAIN)
				break;
			from += n > 0 ? n : 0;
		}
	}
	free(input);
	/* They sent 115 MB; two workers hold 64 MiB. */
	wait_for(server_sum(s, connections) == UNAUTHENTICATED && server_sum(s, clients) <= 500);
	assert_true(server_sum(s, clients) > 100);
	for (int i = 0; i < UNAUTHENTICATED; i++)
		close(fds[i]);
	wait_for(server_sum(s, clients) == 0);
	server_free(s);
}

/* The client may close its sending side first: it still gets the reply. */
static void answers_half_closed_connections(void **state) {
	struct server *s = start_with(server_settings());
	(void)state;
	int fd = client_open(s);
	client_send(fd, "AUTH half\r\nECHO bye\r\nPI");
	shutdown(fd, SHUT_WR);
	client_expect(fd, "+OK\r\n$3\r\nbye\r\n");
	client_expect_end(fd);
	server_free(s);
}

enum { MANY = 5000 };

/* Returns a client with MANY subscriptions. */
static struct turned_client subscriber_of_many(struct turned *s, const char *secret) {
	struct turned_client c = turned_auth(s, secret);
	static char command[MANY * 16], drop[1 << 20];
	int len = sprintf(command, "*%d\r\n$9\r\nSUBSCRIBE\r\n", MANY + 1);
	for (unsigned i = 0; i < MANY; i++)
		len += sprintf(command + len, "$5\r\n%05u\r\n", i);
	/* In RESP3 a subscriber may run any command. */
	client_send(c.fd, "HELLO 3\r\n");
	client_send(c.fd, command);
	for (unsigned i = 0; i < 1000; i++) {
		turned_turns(s, 1);
		(void)!recv(c.fd, drop, sizeof(drop), 0);
	}
	return c;
}

static uint64_t subscriptions_of(const struct tenant *t) {
	return t->clients.subscriptions == NULL ? 0 : t->clients.subscriptions->subscriptions.count;
}

/* Expects that the subscriptions go in at least two turns, and returns when they are gone. */
static void expect_to_go_in_parts(struct turned *s, const struct tenant *t) {
	unsigned turns = 0;
	for (uint64_t left = MANY; left > 0 && turns < 1000; turns++) {
		turned_turns(s, 1);
		assert_true(left - subscriptions_of(t) <= 2100);
		left = subscriptions_of(t);
	}
	assert_in_range(turns, MANY / 2100, 999);
}

/* `stays` keeps the tenant open. */
static void a_client_with_many_subscriptions_leaves_in_parts(void **state) {
	struct turned *s = turned_new();
	(void)state;
	struct turned_client stays = turned_auth(s, "many"), many = subscriber_of_many(s, "many");
	struct tenant *t = stays.connection->session.tenant;
	assert_int_equal(subscriptions_of(t), MANY);
	close(many.fd);
	expect_to_go_in_parts(s, t);
	turned_turns(s, 2);
	assert_int_equal(counter_get(&t->counters.clients), 1);
	assert_true(list_empty(&s->worker->leaving));
	turned_ask(stays, "PING\r\n", "+PONG\r\n");
	close(stays.fd);
	turned_free(s);
}

static void a_client_that_is_killed_is_gone_at_once_and_leaves_in_parts(void **state) {
	struct turned *s = turned_new();
	char byte;
	(void)state;
	struct turned_client stays = turned_auth(s, "many"), many = subscriber_of_many(s, "many");
	struct tenant *t = stays.connection->session.tenant;
	turned_ask(stays, "CLIENT KILL TYPE pubsub\r\n", ":1\r\n");
	assert_int_equal(recv(many.fd, &byte, 1, 0), 0);
	expect_to_go_in_parts(s, t);
	close(many.fd);
	close(stays.fd);
	turned_free(s);
}

static void a_client_goes_to_another_tenant_when_all_its_subscriptions_have_ended(void **state) {
	struct turned *s = turned_new();
	(void)state;
	struct turned_client stays = turned_auth(s, "many"), many = subscriber_of_many(s, "many");
	struct tenant *t = stays.connection->session.tenant;
	client_send(many.fd, "AUTH other\r\nSET a b\r\n");
	expect_to_go_in_parts(s, t);
	turned_turns(s, 3);
	turned_expect(many, "+OK\r\n+OK\r\n");
	turned_ask(stays, "EXISTS a\r\n", ":0\r\n");
	many = subscriber_of_many(s, "many");
	client_send(many.fd, "RESET\r\nAUTH many\r\n");
	expect_to_go_in_parts(s, t);
	turned_turns(s, 3);
	turned_expect(many, "+RESET\r\n+OK\r\n");
	close(many.fd);
	close(stays.fd);
	turned_free(s);
}

static void count_tenant(void *count, const struct tenant *t) {
	(void)t;
	++*(unsigned *)count;
}

/* The secret of AUTH has opened a tenant that the client has not entered yet. */
static void a_client_that_disconnects_between_two_tenants_leaves_no_tenant(void **state) {
	struct turned *s = turned_new();
	(void)state;
	struct turned_client stays = turned_auth(s, "many"), many = subscriber_of_many(s, "many");
	client_send(many.fd, "AUTH other\r\n");
	turned_turns(s, 1);
	assert_true(subscriptions_of(stays.connection->session.tenant) > 1000);
	close(many.fd);
	turned_turns(s, 100);
	assert_int_equal(counter_get(&s->worker->counters.clients), 1);
	unsigned tenants = 0;
	registry_each(s->shared.registry, count_tenant, &tenants);
	assert_int_equal(tenants, 1);
	turned_free(s);
}

/* The tenant ends when the last of its clients has left it. */
static void a_tenant_is_removed_when_a_client_with_many_subscriptions_has_left(void **state) {
	struct turned *s = turned_new();
	(void)state;
	struct turned_client first = turned_auth(s, "many"), many = subscriber_of_many(s, "many"),
			     last = turned_auth(s, "many");
	assert_int_equal(worker_post_removal(s->worker, first.connection->session.tenant), 0);
	turned_turns(s, 100);
	assert_int_equal(counter_get(&s->worker->counters.clients), 0);
	close(first.fd);
	close(many.fd);
	close(last.fd);
	turned_free(s);
}

static void clients_that_are_still_leaving_are_gone_at_the_end_of_the_process(void **state) {
	struct turned *s = turned_new();
	(void)state;
	struct turned_client many = subscriber_of_many(s, "many");
	close(many.fd);
	turned_turns(s, 1);
	assert_false(list_empty(&s->worker->leaving));
	turned_free(s);
}

/* Sends a transaction of `count` commands, and runs turns until it is suspended. */
static void suspend_transaction(struct turned_client c, const char *command, unsigned count) {
	char text[4096] = "MULTI\r\n", drop[4096];
	for (unsigned i = 0; i < count; i++)
		strcat(text, command);
	client_send(c.fd, text);
	turned_turns(c.of, 2);
	(void)!recv(c.fd, drop, sizeof(drop), 0);
	client_send(c.fd, "EXEC\r\n");
	turned_turns(c.of, 5);
	assert_non_null(c.connection->session.tenant->clients.task);
}

/* CLIENT KILL with many arguments runs on a fiber itself. */
static void the_operator_kills_a_client_whose_command_is_suspended(void **state) {
	struct turned *s = turned_new();
	char text[4096] = "CLIENT KILL SKIPME yes";
	(void)state;
	struct turned_client busy = turned_auth(s, "busy"), other = turned_auth(s, "busy"),
			     root = turned_auth(s, "root");
	root.connection->session.tenant->is_operator = true;
	suspend_transaction(busy, "INCR a\r\n", 300);
	for (unsigned i = 0; i < 40; i++)
		strcat(text, " TYPE normal");
	strcat(text, "\r\n");
	client_send(root.fd, text);
	turned_turns(s, 100);
	client_expect_end(busy.fd);
	client_expect_end(other.fd);
	turned_finish(s);
	turned_expect(root, ":2\r\n");
	struct turned_client again = turned_auth(s, "busy");
	turned_ask(again, "GET a\r\n", "$3\r\n300\r\n");
	turned_free(s);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hands_over_the_input_behind_auth),
		cmocka_unit_test(bounds_what_unauthenticated_clients_hold),
		cmocka_unit_test(answers_half_closed_connections),
		cmocka_unit_test(a_client_with_many_subscriptions_leaves_in_parts),
		cmocka_unit_test(a_client_that_is_killed_is_gone_at_once_and_leaves_in_parts),
		cmocka_unit_test(a_client_goes_to_another_tenant_when_all_its_subscriptions_have_ended),
		cmocka_unit_test(a_client_that_disconnects_between_two_tenants_leaves_no_tenant),
		cmocka_unit_test(a_tenant_is_removed_when_a_client_with_many_subscriptions_has_left),
		cmocka_unit_test(clients_that_are_still_leaving_are_gone_at_the_end_of_the_process),
		cmocka_unit_test(the_operator_kills_a_client_whose_command_is_suspended),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
