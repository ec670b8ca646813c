/* Addresses and sources of peers. */

#include "net/peer.h"
#include "server.h"

struct pair {
	int listener, client, server;
};

/* A connection over a listening socket at this address. */
static struct pair connect_pair(int family, const void *address, socklen_t size) {
	struct pair p = {.listener = socket(family, SOCK_STREAM, 0), .client = socket(family, SOCK_STREAM, 0)};
	struct sockaddr_storage bound = {0};
	socklen_t length = sizeof(bound);
	assert_int_equal(bind(p.listener, address, size), 0);
	assert_int_equal(listen(p.listener, 1), 0);
	assert_int_equal(getsockname(p.listener, (struct sockaddr *)&bound, &length), 0);
	assert_int_equal(connect(p.client, (struct sockaddr *)&bound, length), 0);
	p.server = accept(p.listener, NULL, NULL);
	assert_true(p.server >= 0);
	return p;
}

static void close_pair(struct pair p) {
	close(p.client);
	close(p.server);
	close(p.listener);
}

static void tcp_has_addresses_and_loopback_no_source(void **state) {
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)}, client, server;
	socklen_t size = sizeof(at);
	char address[64], local[64], want[64];
	(void)state;
	struct pair p = connect_pair(AF_INET, &at, sizeof(at));
	assert_int_equal(getsockname(p.client, (struct sockaddr *)&client, &size), 0);
	assert_int_equal(getsockname(p.server, (struct sockaddr *)&server, &size), 0);
	peer_addresses(p.server, address, local, sizeof(address));
	snprintf(want, sizeof(want), "127.0.0.1:%u", ntohs(client.sin_port));
	assert_string_equal(address, want);
	snprintf(want, sizeof(want), "127.0.0.1:%u", ntohs(server.sin_port));
	assert_string_equal(local, want);
	assert_int_equal(peer_source(p.server), 0);
	close_pair(p);
}

static void a_unix_client_has_the_listeners_address_and_its_user_as_source(void **state) {
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	char address[64], local[64], want[128];
	(void)state;
	snprintf(at.sun_path, sizeof(at.sun_path), "/tmp/atomdb-peer-%d.sock", (int)getpid());
	unlink(at.sun_path);
	struct pair p = connect_pair(AF_UNIX, &at, sizeof(at));
	peer_addresses(p.server, address, local, sizeof(address));
	snprintf(want, sizeof(want), "%s:0", at.sun_path);
	assert_string_equal(address, want);
	assert_string_equal(local, want);
	assert_int_equal(peer_source(p.server), UINT64_C(1) << 32 | getuid());
	close_pair(p);
	unlink(at.sun_path);
}

static void a_path_that_is_too_long_is_cut(void **state) {
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	char address[64], local[64], want[64];
	(void)state;
	snprintf(at.sun_path, sizeof(at.sun_path), "/tmp/%080d-%d", 0, (int)getpid());
	unlink(at.sun_path);
	struct pair p = connect_pair(AF_UNIX, &at, sizeof(at));
	peer_addresses(p.server, address, local, sizeof(address));
	snprintf(want, sizeof(want), "%.61s:0", at.sun_path);
	assert_string_equal(address, want);
	close_pair(p);
	unlink(at.sun_path);
}

static void a_socket_without_a_peer_has_neither(void **state) {
	char address[64], local[64];
	(void)state;
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	peer_addresses(fd, address, local, sizeof(address));
	assert_string_equal(address, "?:0");
	assert_string_equal(local, "0.0.0.0:0");
	assert_int_equal(peer_source(fd), 0);
	close(fd);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tcp_has_addresses_and_loopback_no_source),
		cmocka_unit_test(a_unix_client_has_the_listeners_address_and_its_user_as_source),
		cmocka_unit_test(a_path_that_is_too_long_is_cut),
		cmocka_unit_test(a_socket_without_a_peer_has_neither),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
