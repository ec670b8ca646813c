/* Places for clients, and rejected clients. */
#include <fcntl.h>
#include <sys/resource.h>

#include "clock.h"

static struct server *start_with(struct settings settings) {
	struct tenants_config tenants_config = server_open_tenants();
	return server_start(&settings, &tenants_config);
}

/* Without descriptors, the worker closes new clients at once, does not spin, and serves later clients. */
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

static void keeps_one_place_in_64(void **state) {
	(void)state;
	/* Without a limit, or with very few places, none is reserved. */
	assert_int_equal(accept_kept_places(0), 0);
	assert_int_equal(accept_kept_places(7), 0);
	assert_int_equal(accept_kept_places(8), 1);
	assert_int_equal(accept_kept_places(64), 2);
	assert_int_equal(accept_kept_places(6400), 101);
}

static void rejects_clients_beyond_max_clients(void **state) {
	struct settings settings = server_settings();
	settings.max_clients = 2;
	struct server *s = start_with(settings);
	(void)state;
	int first = client_auth(s, "one"), second = client_auth(s, "two");
	assert_int_equal(accept_authenticated(&s->shared), 2);
	int third = client_open(s);
	client_expect(third, "-ERR max number of clients reached\r\n");
	client_expect_end(third);
	assert_int_equal(server_sum(s, rejected[REJECT_MAX_CLIENTS]), 1);
	assert_int_equal(s->events[LOG_EVENT_CLIENT_REJECTED], 1);
	close(first);
	wait_for(server_sum(s, clients) == 1);
	int again = client_auth(s, "three");
	close(again);
	close(second);
	server_free(s);
}

/* A listener that closes distributes its waiting clients over the workers. */
static void the_oldest_client_without_a_tenant_gives_way(void **state) {
	enum { PLACES = 8 };
	struct settings settings = server_settings();
	settings.max_clients = PLACES;
	struct server *s = start_with(settings);
	int fds[PLACES / 2];
	(void)state;
	/* Clients without a tenant may use half of the places. */
	atomic_store(&s->shared.deaf, true);
	for (int i = 0; i < PLACES / 2; i++)
		fds[i] = client_open(s);
	worker_end_listener(&s->shared, s->listeners[0]);
	wait_for(server_sum(s, clients) == PLACES / 2);
	pass(s, 1000);
	int late = client_open_unix(s);
	worker_end_listener(&s->shared, s->listeners[1]);
	client_send(late, "AUTH secret\r\n");
	client_expect(late, "+OK\r\n");
	client_expect_end(fds[0]);
	assert_int_equal(server_sum(s, clients), PLACES / 2);
	assert_int_equal(server_sum(s, rejected[REJECT_MAX_CLIENTS]), 1);
	close(late);
	for (int i = 1; i < PLACES / 2; i++)
		close(fds[i]);
	server_free(s);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(survives_the_lack_of_descriptors),
		cmocka_unit_test(keeps_one_place_in_64),
		cmocka_unit_test(rejects_clients_beyond_max_clients),
		cmocka_unit_test(the_oldest_client_without_a_tenant_gives_way),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
