/* The hand-over of a client that receives a large value. The next process reads valid, damaged and arbitrary bytes. */
#include <fcntl.h>

#include "atomdb/net/handover.h"
#include "atomdb/store/pin.h"
#include "atomdb/store/shard_open.h"
#include "net/connection.h"
#include "net/output.h"
#include "net/worker.h"
#include "server.h"

#define SIZE ((size_t)16 << 20)

/* The rest of one client: its socket, here and at the other end, and its state. */
struct left {
	struct server *server;
	struct buffer bytes, sockets;
	struct slice state;
	int socket, peer;
};

static void freeze(struct server *s) {
	for (unsigned i = 0; i < WORKERS; i++)
		worker_freeze(s->workers[i]);
	for (unsigned i = 0; i < WORKERS; i++)
		worker_join(s->workers[i]);
	s->running = false;
}

/* The socket stays open here: epoll must no longer watch it. */
static void forget(const struct worker *w, const struct list *clients) {
	for (const struct list *node = clients->next; node != clients; node = node->next)
		epoll_ctl(w->epoll, EPOLL_CTL_DEL, list_entry(node, struct connection, link)->fd, NULL);
}

static void close_all(const struct server *s) {
	for (unsigned i = 0; i < WORKERS; i++) {
		struct worker *w = s->workers[i];
		forget(w, &w->unauthenticated);
		forget(w, &w->authenticated);
		forget(w, &w->lingering);
		worker_close_clients(w);
	}
}

static struct left leave(void) {
	struct settings settings = server_settings();
	struct tenants_config tenants_config = server_open_tenants();
	struct left l = {.server = server_start(&settings, &tenants_config)};
	int small = 1 << 16;
	l.peer = client_auth(l.server, "one");
	setsockopt(l.peer, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	client_set(l.peer, "big", 'x', SIZE);
	client_send(l.peer, "GET big\r\n");
	client_expect(l.peer, "$16777216\r\nxxx");
	freeze(l.server);
	buffer_init(&l.bytes);
	buffer_init(&l.sockets);
	struct serializer out = {.out = &l.bytes};
	size_t count = 0;
	for (unsigned i = 0; i < WORKERS; i++)
		count += worker_serialize_clients(l.server->workers[i], &out, &l.sockets);
	assert_int_equal(count, 1);
	assert_int_equal(out.error, 0);
	/* The state is small: it does not contain the value. */
	assert_true(l.bytes.len < 4096);
	memcpy(&l.socket, l.sockets.data, sizeof(l.socket));
	l.socket = fcntl(l.socket, F_DUPFD_CLOEXEC, 0);
	assert_true(l.socket >= 0);
	struct slice list = buffer_slice(&l.bytes);
	assert_int_equal(deserialize_element(&list, &l.state), 1);
	for (unsigned i = 0; i < WORKERS; i++) {
		pins_keep(l.server->shards[i]);
		shard_restore_clients(l.server->shards[i], true);
	}
	close_all(l.server);
	return l;
}

static void end(struct left *l) {
	close_all(l->server);
	for (unsigned i = 0; i < WORKERS; i++)
		pins_drop_unclaimed(l->server->shards[i]);
	buffer_deinit(&l->bytes);
	buffer_deinit(&l->sockets);
	close(l->socket);
	close(l->peer);
	server_free(l->server);
}

static int resume(const struct left *l, struct slice state) {
	int fd = fcntl(l->socket, F_DUPFD_CLOEXEC, 0);
	assert_true(fd >= 0);
	return worker_resume_client(&l->server->shared, 0, fd, state);
}

/* The session ends with its socket. */
static void try(const struct left *l, struct slice state) {
	int ends[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
	(void)worker_resume_client(&l->server->shared, 0, ends[0], state);
	close_all(l->server);
	close(ends[1]);
}

/* Reads the arrived bytes; the rest of the value is `x`. */
static size_t take(const struct left *l, int flags) {
	static char got[1 << 16];
	ssize_t n = recv(l->peer, got, sizeof(got), flags);
	for (ssize_t i = 0; i < n; i++)
		assert_true(got[i] == 'x' || got[i] == '\r' || got[i] == '\n');
	return n > 0 ? (size_t)n : 0;
}

/* Sends everything to the client. Returns the number of bytes. */
static size_t send_rest(const struct left *l, size_t expected) {
	size_t sum = 0;
	for (unsigned i = 0; i < WORKERS; i++) {
		const struct list *authenticated = &l->server->workers[i]->authenticated;
		while (!list_empty(authenticated)) {
			struct connection *c = list_entry(authenticated->next, struct connection, link);
			if (output_unsent(c) == 0)
				break;
			assert_int_equal(output_flush(c), 0);
			sum += take(l, MSG_DONTWAIT);
		}
	}
	while (sum < expected) {
		size_t more = take(l, 0);
		assert_true(more > 0);
		sum += more;
	}
	return sum + take(l, MSG_DONTWAIT);
}

static void a_value_goes_on_where_it_was(void **state) {
	struct left l = leave();
	(void)state;
	assert_int_equal(resume(&l, l.state), 0);
	/* Three bytes of it were read before; CRLF follows. */
	assert_int_equal(send_rest(&l, SIZE - 3 + 2), SIZE - 3 + 2);
	end(&l);
}

/* Truncated and damaged at every byte: an error, or a client that can be closed. */
static void any_state_is_an_error_or_a_client(void **state) {
	struct left l = leave();
	(void)state;
	for (size_t i = 0; i < l.state.len; i++) {
		char *byte = &((char *)(uintptr_t)l.state.data)[i];
		try(&l, (struct slice){l.state.data, i});
		for (unsigned bit = 1; bit < 256; bit <<= 1) {
			*byte ^= (char)bit;
			try(&l, l.state);
			*byte ^= (char)bit;
		}
	}
	assert_int_equal(resume(&l, l.state), 0);
	end(&l);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_value_goes_on_where_it_was),
		cmocka_unit_test(any_state_is_an_error_or_a_client),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
