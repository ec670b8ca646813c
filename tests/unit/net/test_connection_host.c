/* Calls from sessions to their connections. */
#include "server.h"

static struct server *start_with(struct settings settings) {
	struct tenants_config tenants_config = server_open_tenants();
	return server_start(&settings, &tenants_config);
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
	char got[1024], want[160];
	(void)state;
	const char *path = strchr(listener_address(s->listeners[1]), ':') + 1;
	int fd = client_open_unix(s);
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

static void visits_and_closes_other_clients_of_the_tenant(void **state) {
	struct server *s = start_with(server_settings());
	(void)state;
	int own = client_auth(s, "one"), other = client_auth(s, "one"), stranger = client_auth(s, "two");
	client_send(own, "CLIENT KILL TYPE normal SKIPME yes\r\n");
	client_expect(own, ":1\r\n");
	client_expect_end(other);
	client_send(own, "PING\r\nCLIENT KILL TYPE normal SKIPME no\r\nPING\r\n");
	client_expect(own, "+PONG\r\n:1\r\n");
	client_expect_end(own);
	client_send(stranger, "PING\r\n");
	client_expect(stranger, "+PONG\r\n");
	close(stranger);
	server_free(s);
}

static void a_push_to_the_running_client_comes_between_its_replies(void **state) {
	struct server *s = start_with(server_settings());
	(void)state;
	int fd = client_auth(s, "push");
	client_send(fd, "HELLO 3\r\nSUBSCRIBE c\r\n");
	char line[1024];
	size_t len = 0;
	while (len < 9 || memcmp(line + len - 9, "$1\r\nc\r\n:1", 9) != 0) {
		assert_true(len < sizeof(line));
		client_read(fd, line + len++, 1);
	}
	client_expect(fd, "\r\n");
	client_send(fd, "ECHO a\r\nPUBLISH c m\r\nECHO b\r\n");
	client_expect(fd, "$1\r\na\r\n>3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\nm\r\n:1\r\n$1\r\nb\r\n");
	close(fd);
	server_free(s);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(describes_its_clients),
		cmocka_unit_test(serves_unix_sockets),
		cmocka_unit_test(visits_and_closes_other_clients_of_the_tenant),
		cmocka_unit_test(a_push_to_the_running_client_comes_between_its_replies),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
