/* Clients that do what they should not, and the ends that the clock brings. */
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/un.h>

#include "server.h"

static struct server *start_with(struct settings settings) {
	struct tenants_config tenants_config = server_open_tenants();
	return server_start(&settings, &tenants_config);
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
	/* Behind the first line it is only a wrong command. */
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

/* Before AUTH a client may hold little, and all of them together too. */
static void bounds_what_unauthenticated_clients_hold(void **state) {
	enum { UNAUTHENTICATED = 800, SIZE = 160000 };
	struct server *s = start_with(server_settings());
	int fds[UNAUTHENTICATED];
	(void)state;
	char *input = malloc(SIZE + 256), *at = input;
	assert_non_null(input);
	/* The last argument never comes. */
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

/* An unauthenticated client that asks and never reads is not served beyond the kernel's buffers, and holds little. */
static void stops_reading_who_does_not_read(void **state) {
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
		/* Always whole commands, or the kernel's refusal. */
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
	/* Very many tiny arguments. */
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

/* A command that its tenant has no room for is refused before it is held, and the connection goes on behind it. */
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

static void closes_by_the_clock(void **state) {
	struct settings settings = server_settings();
	settings.auth_timeout = 1;
	settings.idle_timeout = 3;
	struct server *s = start_with(settings);
	(void)state;
	int unauthenticated = client_open(s), idle = client_auth(s, "idle"), busy = client_auth(s, "busy");
	uint64_t start = clock_monotonic_ns();
	client_expect_end(unauthenticated);
	uint64_t after = clock_monotonic_ns() - start;
	assert_true(after > UINT64_C(500000000) && after < UINT64_C(10000000000));
	assert_int_equal(server_sum(s, idle_closed), 1);
	while (server_sum(s, idle_closed) < 2 && clock_monotonic_ns() - start < UINT64_C(20000000000)) {
		client_send(busy, "PING\r\n");
		client_expect(busy, "+PONG\r\n");
		pass_ms(50);
	}
	client_expect_end(idle);
	client_send(busy, "PING\r\n");
	client_expect(busy, "+PONG\r\n");
	close(busy);
	server_free(s);
}

/* The client may end its side first: it still gets the answer. */
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

/* Without descriptors clients are turned away at once, the loop does not spin, and later ones are served again. */
static void survives_the_lack_of_descriptors(void **state) {
	enum { CLIENTS = 20 };
	struct server *s = start_with(server_settings());
	int fds[CLIENTS];
	struct rlimit before, low;
	(void)state;
	int served = client_auth(s, "files");
	for (int i = 0; i < CLIENTS; i++)
		fds[i] = client_socket();
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	low = before;
	low.rlim_cur = (rlim_t)fds[CLIENTS - 1] + 1;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	for (int i = 0; i < CLIENTS; i++)
		client_connect(s, fds[i]);
	wait_for(server_sum(s, rejected[REJECT_FILES]) > 0);
	uint64_t turns = server_sum(s, turns);
	for (int i = 0; i < 20; i++) {
		client_send(served, "PING\r\n");
		client_expect(served, "+PONG\r\n");
		pass_ms(10);
	}
	assert_true(server_sum(s, turns) - turns < 2000);
	assert_true(s->events[LOG_EVENT_ACCEPT_FAILED] > 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	for (int i = 0; i < CLIENTS; i++)
		close(fds[i]);
	int again = client_auth(s, "files");
	close(again);
	close(served);
	server_free(s);
}

static void describes_its_clients(void **state) {
	struct server *s = start_with(server_settings());
	char got[1024], want[64];
	struct sockaddr_in own;
	socklen_t size = sizeof(own);
	(void)state;
	int fd = client_auth(s, "describe");
	assert_int_equal(getsockname(fd, (struct sockaddr *)&own, &size), 0);
	client_send(fd, "CLIENT INFO\r\n");
	ssize_t n = recv(fd, got, sizeof(got) - 1, 0);
	assert_true(n > 0);
	got[n] = '\0';
	snprintf(want, sizeof(want), " addr=127.0.0.1:%u ", ntohs(own.sin_port));
	assert_non_null(strstr(got, want));
	snprintf(want, sizeof(want), " laddr=127.0.0.1:%u ", listener_port(s->listeners[0]));
	assert_non_null(strstr(got, want));
	close(fd);
	server_free(s);
}

static void serves_unix_sockets(void **state) {
	struct server *s = start_with(server_settings());
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	char got[1024], want[160];
	(void)state;
	const char *path = strchr(listener_address(s->listeners[1]), ':') + 1;
	snprintf(to.sun_path, sizeof(to.sun_path), "%s", path);
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	client_send(fd, "AUTH unix\r\nPING\r\n");
	client_expect(fd, "+OK\r\n+PONG\r\n");
	client_send(fd, "CLIENT INFO\r\n");
	ssize_t n = recv(fd, got, sizeof(got) - 1, 0);
	assert_true(n > 0);
	got[n] = '\0';
	snprintf(want, sizeof(want), " addr=%s:0 laddr=%s:0 ", path, path);
	assert_non_null(strstr(got, want));
	close(fd);
	wait_for(server_sum(s, clients) == 0);
	server_free(s);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(closes_http_without_a_word),
		cmocka_unit_test(answers_protocol_errors_and_closes),
		cmocka_unit_test(survives_noise),
		cmocka_unit_test(bounds_what_unauthenticated_clients_hold),
		cmocka_unit_test(stops_reading_who_does_not_read),
		cmocka_unit_test(obeys_the_query_limit),
		cmocka_unit_test(obeys_the_quota),
		cmocka_unit_test(closes_by_the_clock),
		cmocka_unit_test(answers_half_closed_connections),
		cmocka_unit_test(survives_the_lack_of_descriptors),
		cmocka_unit_test(describes_its_clients),
		cmocka_unit_test(serves_unix_sockets),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
