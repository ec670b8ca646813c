/* The life of a connection: authentication, the move to another worker, memory, the end. */
#include <fcntl.h>

#include "server.h"

static struct server *start_with(struct settings settings) {
	struct tenants_config tenants_config = server_open_tenants();
	return server_start(&settings, &tenants_config);
}

/* The commands behind AUTH are in the same packet. They move with the connection, and every tenant finds its data again
 * from another connection. */
static void hands_over_what_is_behind_auth(void **state) {
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

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hands_over_what_is_behind_auth),
		cmocka_unit_test(bounds_what_unauthenticated_clients_hold),
		cmocka_unit_test(answers_half_closed_connections),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
