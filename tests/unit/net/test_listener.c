#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "atomdb/net/listener.h"
#include "atomdb/util/error.h"
#include "harness.h"

static const struct listener_access any = {.mode = 0666, .group = LISTENER_OWN_GROUP};

static char directory[] = "/tmp/atomdb-listener-XXXXXX";

static int make_directory(void **state) {
	(void)state;
	return mkdtemp(directory) == NULL ? -1 : 0;
}

static int remove_directory(void **state) {
	(void)state;
	return rmdir(directory);
}

static void refuses_what_is_no_address(void **state) {
	static const char *const bad[] = {
		"",
		":",
		"127.0.0.1",
		"127.0.0.1:",
		"127.0.0.1:65536",
		"127.0.0.1:-1",
		"localhost",
		"localhost:1",
		"127.0.0.1:80x",
		"127.0.0.1: 80",
		"::1:80",
		"[::1]",
		"[::1]80",
		"[::1:80",
		"[127.0.0.1]:80",
		"[]:80",
		"[",
		"256.0.0.1:80",
		"unix:",
		"unix:name",
		"127.0.0.1:00080",
		"[::1]:99999999999999999999",
	};
	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct listener *l = NULL;
		assert_int_equal(listener_open(&l, bad[i], &any), ATOMDB_E_SYNTAX);
		assert_null(l);
		assert_false(listener_is_local(bad[i]));
	}
	char path[200] = "unix:/";
	memset(path + 6, 'x', sizeof(path) - 7);
	struct listener *l = NULL;
	assert_int_equal(listener_open(&l, path, &any), ATOMDB_E_SYNTAX);
}

static void knows_local_addresses(void **state) {
	(void)state;
	assert_true(listener_is_local("127.0.0.1:8080"));
	assert_true(listener_is_local("127.8.9.1:8080"));
	assert_true(listener_is_local("[::1]:8080"));
	assert_true(listener_is_local("[::ffff:127.0.0.1]:8080"));
	assert_true(listener_is_local("unix:/run/atomdb/atomdb.sock"));
	assert_false(listener_is_local("0.0.0.0:8080"));
	assert_false(listener_is_local("[::]:8080"));
	assert_false(listener_is_local("192.168.127.1:8080"));
	assert_false(listener_is_local("[::ffff:10.0.0.1]:8080"));
}

static void assert_accepts(const struct listener *l, const struct sockaddr *to, socklen_t size) {
	int fd = socket(to->sa_family, SOCK_STREAM, 0);
	assert_true(fd >= 0);
	assert_int_equal(connect(fd, to, size), 0);
	int peer = accept(listener_fd(l), NULL, NULL);
	assert_true(peer >= 0);
	close(peer);
	close(fd);
}

static void listens_on_tcp(void **state) {
	struct listener *l, *second = NULL;
	char address[64];
	(void)state;
	assert_int_equal(listener_open(&l, "127.0.0.1:0", &any), 0);
	uint16_t port = listener_port(l);
	assert_true(port != 0);
	snprintf(address, sizeof(address), "127.0.0.1:%u", port);
	assert_string_equal(listener_address(l), address);
	assert_true(listener_is_at(l, address));
	assert_false(listener_is_at(l, "127.0.0.1:0"));
	assert_false(listener_is_at(l, "127.0.0.1"));
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
	assert_accepts(l, (struct sockaddr *)&to, sizeof(to));
	assert_int_equal(accept(listener_fd(l), NULL, NULL), -1);
	assert_int_equal(errno, EAGAIN);
	assert_int_equal(listener_open(&second, address, &any), -EADDRINUSE);
	listener_close(l);
	/* The address is free at once, although a connection was open. */
	assert_int_equal(listener_open(&second, address, &any), 0);
	listener_close(second);
}

static void listens_on_ipv6(void **state) {
	struct listener *l;
	(void)state;
	int r = listener_open(&l, "[::1]:0", &any);
	if (r == -EADDRNOTAVAIL || r == -EAFNOSUPPORT)
		skip();
	assert_int_equal(r, 0);
	assert_true(strncmp(listener_address(l), "[::1]:", 6) == 0);
	struct sockaddr_in6 to = {.sin6_family = AF_INET6, .sin6_port = htons(listener_port(l))};
	to.sin6_addr = in6addr_loopback;
	char address[64];
	snprintf(address, sizeof(address), "[0:0:0::1]:%u", listener_port(l));
	assert_true(listener_is_at(l, address));
	snprintf(address, sizeof(address), "127.0.0.1:%u", listener_port(l));
	assert_false(listener_is_at(l, address));
	assert_accepts(l, (struct sockaddr *)&to, sizeof(to));
	listener_close(l);
}

static void unix_path(const char *name, char *address, struct sockaddr_un *to) {
	*to = (struct sockaddr_un){.sun_family = AF_UNIX};
	snprintf(to->sun_path, sizeof(to->sun_path), "%s/%s", directory, name);
	snprintf(address, 150, "unix:%s", to->sun_path);
}

static void listens_on_a_unix_socket(void **state) {
	struct listener *l, *second = NULL;
	char address[150];
	struct sockaddr_un to;
	struct stat st;
	(void)state;
	unix_path("live.sock", address, &to);
	assert_int_equal(listener_open(&l, address, &any), 0);
	assert_int_equal(listener_port(l), 0);
	assert_string_equal(listener_address(l), address);
	assert_true(listener_is_at(l, address));
	assert_accepts(l, (struct sockaddr *)&to, sizeof(to));
	assert_int_equal(stat(to.sun_path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0666);
	/* A running server keeps its socket. */
	assert_int_equal(listener_open(&second, address, &any), -EADDRINUSE);
	assert_accepts(l, (struct sockaddr *)&to, sizeof(to));
	listener_close(l);
	assert_int_equal(stat(to.sun_path, &st), -1);
}

/* The umask has no effect, and is unchanged afterwards. */
static void a_unix_socket_has_the_mode_that_was_asked_for(void **state) {
	static const mode_t modes[] = {0660, 0600, 0777, 0};
	char address[150];
	struct sockaddr_un to;
	struct stat st;
	(void)state;
	unix_path("mode.sock", address, &to);
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		struct listener *l;
		const struct listener_access access = {.mode = modes[i], .group = LISTENER_OWN_GROUP};
		mode_t odd = i % 2 == 0 ? 0 : 0077, before = umask(odd);
		assert_int_equal(listener_open(&l, address, &access), 0);
		assert_int_equal(umask(before), odd);
		assert_int_equal(stat(to.sun_path, &st), 0);
		assert_int_equal(st.st_mode & 07777, modes[i]);
		assert_int_equal(st.st_gid, getegid());
		listener_close(l);
	}
}

static void a_unix_socket_is_given_to_a_group(void **state) {
	struct listener *l = NULL;
	char address[150];
	struct sockaddr_un to;
	struct stat st;
	(void)state;
	unix_path("group.sock", address, &to);
	const struct listener_access access = {.mode = 0660, .group = 54321};
	int r = listener_open(&l, address, &access);
	if (geteuid() != 0) {
		assert_int_equal(r, -EPERM);
		assert_int_equal(stat(to.sun_path, &st), -1);
		return;
	}
	assert_int_equal(r, 0);
	assert_int_equal(stat(to.sun_path, &st), 0);
	assert_int_equal(st.st_gid, 54321);
	assert_int_equal(st.st_mode & 07777, 0660);
	listener_close(l);
}

static void replaces_the_socket_of_a_dead_server(void **state) {
	struct listener *l;
	char address[150];
	struct sockaddr_un to;
	(void)state;
	unix_path("dead.sock", address, &to);
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	assert_int_equal(listen(fd, 1), 0);
	close(fd);
	assert_int_equal(listener_open(&l, address, &any), 0);
	assert_accepts(l, (struct sockaddr *)&to, sizeof(to));
	listener_close(l);
}

static void leaves_other_files_alone(void **state) {
	struct listener *l = NULL;
	char address[150];
	struct sockaddr_un to;
	struct stat st;
	(void)state;
	unix_path("file", address, &to);
	int fd = open(to.sun_path, O_CREAT | O_WRONLY | O_EXCL, 0600);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(listener_open(&l, address, &any), -EADDRINUSE);
	assert_int_equal(stat(to.sun_path, &st), 0);
	unlink(to.sun_path);
	/* The socket of a later process survives the end of the earlier one. */
	struct listener *second;
	assert_int_equal(listener_open(&l, address, &any), 0);
	unlink(to.sun_path);
	assert_int_equal(listener_open(&second, address, &any), 0);
	listener_close(l);
	assert_int_equal(stat(to.sun_path, &st), 0);
	listener_close(second);
}

static void adopts_a_listening_socket(void **state) {
	struct listener *l = NULL;
	(void)state;
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t size = sizeof(to);
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	assert_int_equal(listener_adopt(&l, fd), -EINVAL);
	assert_int_equal(listen(fd, 4), 0);
	assert_int_equal(listener_adopt(&l, fd), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&to, &size), 0);
	assert_int_equal(listener_port(l), ntohs(to.sin_port));
	assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
	assert_accepts(l, (struct sockaddr *)&to, sizeof(to));
	listener_close(l);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
	listener_close(NULL);
}

static void adopts_nothing_else(void **state) {
	struct listener *l = NULL;
	int datagram = socket(AF_INET, SOCK_DGRAM, 0), null = open("/dev/null", O_RDONLY);
	(void)state;
	assert_int_equal(listener_adopt(&l, datagram), -ESOCKTNOSUPPORT);
	assert_int_equal(listener_adopt(&l, null), -ENOTSOCK);
	assert_int_equal(listener_adopt(&l, -1), -EBADF);
	assert_null(l);
	close(datagram);
	close(null);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refuses_what_is_no_address),
		cmocka_unit_test(knows_local_addresses),
		cmocka_unit_test(listens_on_tcp),
		cmocka_unit_test(listens_on_ipv6),
		cmocka_unit_test(listens_on_a_unix_socket),
		cmocka_unit_test(a_unix_socket_has_the_mode_that_was_asked_for),
		cmocka_unit_test(a_unix_socket_is_given_to_a_group),
		cmocka_unit_test(replaces_the_socket_of_a_dead_server),
		cmocka_unit_test(leaves_other_files_alone),
		cmocka_unit_test(adopts_a_listening_socket),
		cmocka_unit_test(adopts_nothing_else),
	};
	return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
