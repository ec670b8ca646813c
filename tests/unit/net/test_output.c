/* Replies to clients that read late, too late or never. */
#include <fcntl.h>

#include "turned.h"

static struct server *start_with(struct settings settings) {
	struct tenants_config tenants_config = server_open_tenants();
	return server_start(&settings, &tenants_config);
}

/* A client with large replies that reads late gets all of them. Other clients are served in between. The held bytes are
 * charged to the tenant, and discharged. */
static void waits_for_a_slow_reader(void **state) {
	enum { COUNT = 48, SIZE = 1 << 20 };
	struct server *s = start_with(server_settings());
	(void)state;
	int slow = client_auth(s, "slow"), other = client_auth(s, "slow");
	/* The entries of the slow log are charged too, and a sanitizer makes commands slow. */
	client_send(slow, "CONFIG SET slowlog-log-slower-than -1\r\n");
	client_expect(slow, "+OK\r\n");
	client_set(slow, "key", 's', SIZE);
	uint64_t idle = server_tenants(s).bytes;
	for (int i = 0; i < COUNT; i++)
		client_send(slow, "GET key\r\n");
	client_send(slow, "PING\r\n");
	wait_for(server_tenants(s).bytes > idle);
	/* Some MiB are in the buffers of the kernel, and few in the server. */
	assert_true(server_tenants(s).bytes - idle < (uint64_t)COUNT * SIZE / 2);
	client_send(other, "PING\r\n");
	client_expect(other, "+PONG\r\n");
	for (int i = 0; i < COUNT; i++)
		client_expect_fill(slow, 's', SIZE);
	client_expect(slow, "+PONG\r\n");
	wait_for(server_tenants(s).bytes == idle);
	close(slow);
	close(other);
	server_free(s);
}

static void closes_beyond_the_output_limit(void **state) {
	struct settings settings = server_settings();
	struct tenants_config tenants_config = server_open_tenants();
	settings.output_buffer = 4 << 20;
	struct server *s = server_start(&settings, &tenants_config);
	(void)state;
	int fd = client_auth(s, "limit");
	client_set(fd, "key", 'x', 3 << 20);
	client_send(fd, "GET key\r\n");
	client_expect_fill(fd, 'x', 3 << 20);
	client_send(fd, "MGET key key\r\n");
	wait_for(server_sum(s, output_limit) == 1);
	client_expect_end(fd);
	assert_int_equal(s->events[LOG_EVENT_OUTPUT_LIMIT], 1);
	server_free(s);
}

/* An unauthenticated client that never reads is not served beyond the kernel's buffers, and holds little memory. */
static void a_client_that_does_not_read_its_replies_is_not_read_from(void **state) {
	struct server *s = start_with(server_settings());
	char input[14000];
	(void)state;
	for (size_t i = 0; i < sizeof(input); i += 14)
		memcpy(input + i, "*1\r\n$4\r\nPING\r\n", 14);
	int fd = client_open(s);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	size_t sent = 0;
	int full = 0;
	while (full < 200 && sent < (size_t)64 << 20) {
		/* Complete commands, or an error of the kernel. */
		ssize_t n = send(fd, input + sent % sizeof(input), sizeof(input) - sent % sizeof(input), MSG_NOSIGNAL);
		full = n < 0 ? full + 1 : 0;
		if (n < 0)
			pass_ms(5);
		else
			sent += (size_t)n;
	}
	assert_true(sent < (size_t)64 << 20);
	int other = client_auth(s, "other");
	close(other);
	close(fd);
	wait_for(server_sum(s, clients) == 0);
	server_free(s);
}

/* A command is suspended while earlier replies of its client are unsent. The worker sends them, and then watches the
 * socket for room no longer. */
static void replies_are_sent_while_a_later_command_is_suspended(void **state) {
	enum { REPLIES = 100, SIZE = 4000 };
	struct turned *s = turned_new();
	struct epoll_event events[16];
	static char text[SIZE + 64], got[1 << 20];
	(void)state;
	struct turned_client c = turned_auth(s, "tenant");
	snprintf(text, sizeof(text), "SET a %0*d\r\n", SIZE, 0);
	turned_ask(c, text, "+OK\r\n");
	for (unsigned i = 0; i < REPLIES || output_unsent(c.connection) == 0; i++) {
		client_send(c.fd, "GET a\r\n");
		turned_turns(s, 1);
	}
	memcpy(text, "EXISTS", sizeof("EXISTS"));
	for (unsigned i = 0; i < 200; i++)
		strcat(text, " a");
	strcat(text, "\r\n");
	client_send(c.fd, text);
	turned_turns(s, 2);
	assert_non_null(task_of(c.connection));
	assert_int_equal(c.connection->interest, EPOLLOUT);
	size_t len = 0;
	for (unsigned i = 0; i < 3; i++) {
		for (ssize_t n; (n = recv(c.fd, got + len, sizeof(got) - len, 0)) > 0;)
			len += (size_t)n;
		turned_turns(s, i < 2 ? 1 : 0);
	}
	assert_non_null(task_of(c.connection));
	assert_true(len >= REPLIES * SIZE);
	assert_int_equal(c.connection->interest, 0);
	assert_int_equal(epoll_wait(s->worker->epoll, events, 16, 0), 0);
	turned_finish(s);
	turned_expect(c, ":200\r\n");
	turned_free(s);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(waits_for_a_slow_reader),
		cmocka_unit_test(closes_beyond_the_output_limit),
		cmocka_unit_test(a_client_that_does_not_read_its_replies_is_not_read_from),
		cmocka_unit_test(replies_are_sent_while_a_later_command_is_suspended),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
