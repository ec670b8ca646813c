/* Reading from the socket, and running the commands. */
#include <fcntl.h>

#include "server.h"

static struct server *start_with(struct settings settings) {
	struct tenants_config tenants_config = server_open_tenants();
	return server_start(&settings, &tenants_config);
}

static void takes_commands_byte_by_byte(void **state) {
	static const char input[] = "AUTH drop\r\n*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$5\r\nva\r\ne\r\n"
				    "set \"b c\" 'd'\r\n*2\r\n$3\r\nGET\r\n$3\r\nkey\r\nGET \"b c\"\r\n";
	struct server *s = start_with(server_settings());
	(void)state;
	int fd = client_open(s), on = 1;
	setsockopt(fd, IPPROTO_TCP, 1 /* TCP_NODELAY */, &on, sizeof(on));
	for (size_t i = 0; i < sizeof(input) - 1; i++) {
		client_send_bytes(fd, input + i, 1);
		if (i % 8 == 0)
			pass_ms(1);
	}
	client_expect(fd, "+OK\r\n+OK\r\n+OK\r\n$5\r\nva\r\ne\r\n$1\r\nd\r\n");
	/* An unfinished command is charged and discharged. */
	uint64_t idle = server_tenants(s).bytes;
	client_send(fd, "*2\r\n$3\r\nGET\r\n$10000\r\n0123");
	wait_for(server_tenants(s).bytes > idle);
	char rest[9998];
	memset(rest, 'x', sizeof(rest));
	memcpy(rest + 9996, "\r\n", 2);
	client_send_bytes(fd, rest, sizeof(rest));
	client_expect(fd, "$-1\r\n");
	wait_for(server_tenants(s).bytes == idle);
	close(fd);
	server_free(s);
}

static void takes_large_values(void **state) {
	static const size_t sizes[] = {0, 1, 16383, 65500, 65536, 70000, 1 << 20, (3 << 20) + 7, 20 << 20};
	struct server *s = start_with(server_settings());
	(void)state;
	int fd = client_auth(s, "large");
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		char fill = (char)('a' + i);
		client_set(fd, "key", fill, sizes[i]);
		client_send(fd, "GET key\r\nSTRLEN key\r\n");
		client_expect_fill(fd, fill, sizes[i]);
		char length[32];
		snprintf(length, sizeof(length), ":%zu\r\n", sizes[i]);
		client_expect(fd, length);
	}
	close(fd);
	server_free(s);
}

static void obeys_the_query_limit(void **state) {
	struct settings settings = server_settings();
	settings.query_buffer = 1 << 20;
	struct server *s = start_with(settings);
	(void)state;
	int fd = client_auth(s, "query");
	client_set(fd, "key", 'x', 1000000);
	client_send(fd, "*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$2000000\r\nxxxx");
	client_expect(fd, "-ERR Protocol error: query buffer limit exceeded\r\n");
	client_expect_end(fd);
	/* A command with very many tiny arguments. */
	fd = client_auth(s, "query");
	client_send(fd, "*200000\r\n$4\r\nMGET\r\n");
	char *many = malloc(7 * 150000);
	assert_non_null(many);
	for (size_t i = 0; i < 150000; i++)
		memcpy(many + i * 7, "$1\r\nk\r\n", 7);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	for (size_t at = 0; at < (size_t)7 * 150000;) {
		ssize_t n = send(fd, many + at, (size_t)7 * 150000 - at, MSG_NOSIGNAL);
		if (n < 0 && errno != EAGAIN)
			break;
		at += n > 0 ? (size_t)n : 0;
	}
	wait_for(server_sum(s, protocol_errors) == 2);
	free(many);
	close(fd);
	server_free(s);
}

/* A command that exceeds its tenant's memory is refused before it is held. The connection continues after it. */
static void obeys_the_quota(void **state) {
	enum { LENGTH = 8000000 };
	struct settings settings = server_settings();
	struct tenants_config tenants_config = server_open_tenants();
	tenants_config.defaults.max_memory = 1 << 20;
	struct server *s = server_start(&settings, &tenants_config);
	(void)state;
	int fd = client_auth(s, "quota");
	client_set(fd, "key", 'x', 100000);
	client_send(fd, "*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$8000000\r\n");
	client_expect(fd, "-OOM command not allowed when used memory > 'maxmemory'.\r\n");
	char *value = calloc(1, LENGTH);
	assert_non_null(value);
	client_send_bytes(fd, value, LENGTH);
	free(value);
	client_send(fd, "\r\nSTRLEN key\r\n");
	client_expect(fd, ":100000\r\n");
	assert_true(server_tenants(s).bytes < 1 << 18);
	assert_int_equal(server_sum(s, clients), 1);
	close(fd);
	server_free(s);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_commands_byte_by_byte),
		cmocka_unit_test(takes_large_values),
		cmocka_unit_test(obeys_the_query_limit),
		cmocka_unit_test(obeys_the_quota),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
