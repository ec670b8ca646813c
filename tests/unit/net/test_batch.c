/* Pipelines, and bytes that are not commands. */
#include <fcntl.h>

#include "server.h"

static struct server *start_with(struct settings settings) {
	struct tenants_config tenants_config = server_open_tenants();
	return server_start(&settings, &tenants_config);
}

static void serves_commands(void **state) {
	struct server *s = start_with(server_settings());
	(void)state;
	int fd = client_open(s);
	client_send(fd, "GET x\r\nPING\r\n");
	client_expect(fd, "-NOAUTH Authentication required.\r\n-NOAUTH Authentication required.\r\n");
	client_send(fd, "AUTH secret\r\n");
	client_expect(fd, "+OK\r\n");
	client_send(fd, "*3\r\n$3\r\nSET\r\n$1\r\nx\r\n$5\r\nAlice\r\n\r\n*0\r\nGET x\r\n");
	client_expect(fd, "+OK\r\n$5\r\nAlice\r\n");
	client_send(fd, "PING\r\nQUIT\r\nPING\r\n");
	client_expect(fd, "+PONG\r\n+OK\r\n");
	client_expect_end(fd);
	server_free(s);
}

/* A pipeline that is much longer than the window and the buffers. Every reply is in its place. */
static void answers_long_pipelines(void **state) {
	enum { COUNT = 20000 };
	struct server *s = start_with(server_settings());
	char *input = malloc(COUNT * 64), *at = input, reply[128];
	(void)state;
	assert_non_null(input);
	for (int i = 0; i < COUNT; i++)
		at += sprintf(at, "ECHO %d-%.*s\r\n", i, i % 30, "012345678901234567890123456789");
	int fd = client_auth(s, "long");
	client_send_bytes(fd, input, (size_t)(at - input));
	for (int i = 0; i < COUNT; i++) {
		char text[64];
		int n = snprintf(text, sizeof(text), "%d-%.*s", i, i % 30, "012345678901234567890123456789");
		snprintf(reply, sizeof(reply), "$%d\r\n%s\r\n", n, text);
		client_expect(fd, reply);
	}
	free(input);
	close(fd);
	server_free(s);
}

static void closes_http_without_a_word(void **state) {
	struct server *s = start_with(server_settings());
	(void)state;
	int fd = client_open(s);
	client_send(fd, "GET / HTT");
	pass_ms(20);
	client_send(fd, "P/1.1\r\nHost: localhost\r\nAUTH secret\r\n\r\n");
	client_expect_end(fd);
	assert_int_equal(s->events[LOG_EVENT_HTTP_ON_RESP], 1);
	/* After the first line it is only an unknown command. */
	fd = client_auth(s, "secret");
	client_send(fd, "GET / HTTP/1.1\r\n");
	client_expect(fd, "-ERR wrong number of arguments for 'get' command\r\n");
	close(fd);
	server_free(s);
}

static void answers_protocol_errors_and_closes(void **state) {
	static const struct {
		const char *input, *reply;
	} cases[] = {
		{"*1\r\nPING\r\n", "-ERR Protocol error: expected '$', got 'P'\r\n"},
		{"*99999999999\r\n", "-ERR Protocol error: invalid multibulk length\r\n"},
		{"*11\r\n", "-ERR Protocol error: unauthenticated multibulk length\r\n"},
		{"*1\r\n$16385\r\n", "-ERR Protocol error: unauthenticated bulk length\r\n"},
		{"PING \"\r\n", "-ERR Protocol error: unbalanced quotes in request\r\n"},
		{"AUTH x\r\n*1\r\n$-5\r\n", "+OK\r\n-ERR Protocol error: invalid bulk length\r\n"},
		{"AUTH x\r\nPING\r\n*1\r\n$536870913\r\n",
		 "+OK\r\n+PONG\r\n-ERR Protocol error: invalid bulk length\r\n"},
	};
	struct server *s = start_with(server_settings());
	unsigned count = sizeof(cases) / sizeof(cases[0]);
	(void)state;
	for (unsigned i = 0; i < count; i++) {
		int fd = client_open(s);
		client_send(fd, cases[i].input);
		client_expect(fd, cases[i].reply);
		client_expect_end(fd);
	}
	wait_for(server_sum(s, protocol_errors) == count);
	assert_int_equal(s->events[LOG_EVENT_PROTOCOL_ERROR], count);
	server_free(s);
}

static void survives_noise(void **state) {
	static const char hello[] = "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x00\r\n\x00\xff\n";
	struct server *s = start_with(server_settings());
	char *noise = malloc(1 << 20), got[4096];
	unsigned seed = 20;
	(void)state;
	assert_non_null(noise);
	int fd = client_open(s);
	client_send_bytes(fd, hello, sizeof(hello) - 1);
	client_expect_end(fd);
	assert_int_equal(s->events[LOG_EVENT_TLS_ON_RESP], 1);
	for (int round = 0; round < 64; round++) {
		size_t len = 1 + (size_t)rand_r(&seed) % (1 << 17);
		for (size_t i = 0; i < len; i++)
			noise[i] = round % 2 ? "*$\r\n0123456789-GETSA\" '"[rand_r(&seed) % 24] : (char)rand_r(&seed);
		fd = round % 4 < 2 ? client_open(s) : client_auth(s, "noise");
		fcntl(fd, F_SETFL, O_NONBLOCK);
		(void)!send(fd, noise, len, MSG_NOSIGNAL);
		(void)!recv(fd, got, sizeof(got), 0);
		close(fd);
	}
	wait_for(server_sum(s, clients) == 0);
	free(noise);
	fd = client_auth(s, "after");
	close(fd);
	server_free(s);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(serves_commands),
		cmocka_unit_test(answers_long_pipelines),
		cmocka_unit_test(closes_http_without_a_word),
		cmocka_unit_test(answers_protocol_errors_and_closes),
		cmocka_unit_test(survives_noise),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
