#include <sys/socket.h>
#include <unistd.h>

#include "harness.h"
#include "observe/http_clients.h"

#define SECOND UINT64_C(1000000000)

/* Clients without sockets: shutting them down has no effect. */
static struct http_client clients[100];

static void add(struct http_clients *l, unsigned first, unsigned count) {
	for (unsigned i = first; i < first + count; i++)
		http_clients_add(l, &clients[i], -1);
}

static void remove_all(struct http_clients *l, unsigned count) {
	for (unsigned i = 0; i < count; i++)
		http_clients_remove(l, &clients[i]);
	assert_int_equal(l->open, 0);
	assert_int_equal(l->idle.count + l->answered.count, 0);
	assert_int_equal(l->idle.bytes + l->answered.bytes, 0);
	assert_int_equal(http_clients_timeout(l, 0), -1);
}

static void oldest_idle_clients_go_first(void **state) {
	struct http_clients l;
	(void)state;
	http_clients_init(&l);
	add(&l, 0, HTTP_IDLE_MAX + 2);
	http_clients_trim(&l);
	assert_null(clients[0].queue);
	assert_null(clients[1].queue);
	assert_ptr_equal(clients[2].queue, &l.idle);
	assert_int_equal(l.idle.count, HTTP_IDLE_MAX);
	assert_int_equal(l.open, HTTP_IDLE_MAX + 2);
	remove_all(&l, HTTP_IDLE_MAX + 2);
}

static void kinds_have_places_of_their_own(void **state) {
	struct http_clients l;
	(void)state;
	http_clients_init(&l);
	add(&l, 0, HTTP_ANSWERED_MAX + 1);
	for (unsigned i = 0; i <= HTTP_ANSWERED_MAX; i++)
		http_clients_answer(&l, &clients[i], 10);
	add(&l, HTTP_ANSWERED_MAX + 1, HTTP_IDLE_MAX);
	http_clients_trim(&l);
	assert_null(clients[0].queue);
	assert_int_equal(l.answered.count, HTTP_ANSWERED_MAX);
	assert_int_equal(l.answered.bytes, HTTP_ANSWERED_MAX * 10);
	assert_int_equal(l.idle.count, HTTP_IDLE_MAX);
	http_clients_answered(&l, &clients[1]);
	assert_ptr_equal(clients[1].queue, &l.idle);
	/* A client that was shut down takes no place. */
	http_clients_answered(&l, &clients[0]);
	assert_null(clients[0].queue);
	remove_all(&l, HTTP_ANSWERED_MAX + 1 + HTTP_IDLE_MAX);
}

static void a_client_that_is_ended_reads_what_was_sent(void **state) {
	struct http_clients l;
	int pair[2];
	char text[8];
	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	http_clients_init(&l);
	http_clients_add(&l, &clients[0], pair[0]);
	assert_int_equal(send(pair[0], "bye", 3, 0), 3);
	http_clients_end(&clients[0]);
	assert_int_equal(l.idle.count, 0);
	assert_int_equal(l.open, 1);
	assert_int_equal(send(pair[0], "more", 4, MSG_NOSIGNAL), -1);
	assert_int_equal(recv(pair[1], text, sizeof(text), 0), 3);
	assert_int_equal(recv(pair[1], text, sizeof(text), 0), 0);
	remove_all(&l, 1);
	close(pair[0]);
	close(pair[1]);
}

static void responses_have_a_limit_in_bytes(void **state) {
	struct http_clients l;
	(void)state;
	http_clients_init(&l);
	add(&l, 0, 3);
	http_clients_answer(&l, &clients[0], HTTP_ANSWERED_BYTES / 2);
	http_clients_answer(&l, &clients[1], HTTP_ANSWERED_BYTES / 2);
	http_clients_trim(&l);
	assert_int_equal(l.answered.count, 2);
	http_clients_answer(&l, &clients[2], 3 * HTTP_ANSWERED_BYTES);
	http_clients_trim(&l);
	assert_null(clients[0].queue);
	assert_null(clients[1].queue);
	assert_ptr_equal(clients[2].queue, &l.answered);
	remove_all(&l, 3);
}

static void each_kind_has_its_time(void **state) {
	struct http_clients l;
	(void)state;
	http_clients_init(&l);
	http_clients_expire(&l, 100 * SECOND);
	add(&l, 0, 2);
	http_clients_answer(&l, &clients[0], 1);
	assert_int_equal(http_clients_timeout(&l, 100 * SECOND), 5001);
	http_clients_expire(&l, 105 * SECOND - 1);
	assert_non_null(clients[1].queue);
	http_clients_expire(&l, 105 * SECOND);
	assert_null(clients[1].queue);
	assert_int_equal(http_clients_timeout(&l, 105 * SECOND), 5001);
	assert_int_equal(http_clients_timeout(&l, 200 * SECOND), 0);
	http_clients_expire(&l, 110 * SECOND);
	assert_null(clients[0].queue);
	remove_all(&l, 2);
}

static void a_client_that_must_go_is_shut_down(void **state) {
	struct http_clients l;
	int pair[2];
	char byte;
	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
	http_clients_init(&l);
	http_clients_add(&l, &clients[0], pair[0]);
	assert_true(recv(pair[1], &byte, 1, 0) < 0);
	http_clients_expire(&l, HTTP_IDLE_NS);
	assert_int_equal(recv(pair[1], &byte, 1, 0), 0);
	assert_int_equal(recv(pair[0], &byte, 1, 0), 0);
	close(pair[0]);
	close(pair[1]);
	remove_all(&l, 1);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(oldest_idle_clients_go_first),
		cmocka_unit_test(kinds_have_places_of_their_own),
		cmocka_unit_test(a_client_that_is_ended_reads_what_was_sent),
		cmocka_unit_test(responses_have_a_limit_in_bytes),
		cmocka_unit_test(each_kind_has_its_time),
		cmocka_unit_test(a_client_that_must_go_is_shut_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
