/* Messages to workers. */
#include "atomdb/store/registry_reload.h"
#include "server.h"

static struct server *start_with(struct settings settings) {
	struct tenants_config tenants_config = server_open_tenants();
	return server_start(&settings, &tenants_config);
}

static void answers_pings(void **state) {
	struct server *s = start_with(server_settings());
	(void)state;
	for (unsigned n = 1; n <= 3; n++) {
		for (unsigned i = 0; i < WORKERS; i++)
			worker_ping(s->workers[i]);
		wait_for(server_sum(s, pongs) == 2 * n);
	}
	assert_true(worker_take_longest_turn(s->workers[0]) > 0);
	assert_true(worker_take_longest_turn(s->workers[0]) < UINT64_C(1000000000));
	server_free(s);
}

static void obeys_new_settings_and_limits(void **state) {
	struct settings settings = server_settings();
	struct tenants_config tenants_config = server_open_tenants();
	struct server *s = server_start(&settings, &tenants_config);
	(void)state;
	int fd = client_auth(s, "limits");
	client_send(fd, "MSET a 1 b 2 c 3\r\nDBSIZE\r\n");
	client_expect(fd, "+OK\r\n:3\r\n");
	tenants_config.defaults.max_entries = 2;
	tenants_config.defaults.sources[KEY_LIMIT_ENTRIES] = LIMIT_IN_DEFAULTS;
	assert_int_equal(registry_reload(s->shared.registry, &tenants_config, NULL), 0);
	wait_for(server_tenants(s).keys == 2);
	settings.max_clients = 1;
	for (unsigned i = 0; i < WORKERS; i++)
		assert_int_equal(worker_post_settings(s->workers[i], &settings), 0);
	for (unsigned i = 0; i < WORKERS; i++)
		worker_ping(s->workers[i]);
	wait_for(server_sum(s, pongs) == 2);
	int second = client_open(s);
	client_expect(second, "-ERR max number of clients reached\r\n");
	client_expect_end(second);
	assert_int_equal(server_sum(s, rejected[REJECT_MAX_CLIENTS]), 1);
	assert_int_equal(s->events[LOG_EVENT_CLIENT_REJECTED], 1);
	close(fd);
	server_free(s);
}

static void removes_a_tenant(void **state) {
	struct tenant_config tenants[2] = {{.name = "shop", .secret_count = 1}, {.name = "mail", .secret_count = 1}};
	struct settings settings = server_settings();
	(void)state;
	secret_digest(SLICE("shop-secret"), &tenants[0].secrets[0]);
	secret_digest(SLICE("mail-secret"), &tenants[1].secrets[0]);
	struct tenants_config tenants_config = {.tenants = tenants, .tenant_count = 2};
	struct server *s = server_start(&settings, &tenants_config);
	int shop[3], mail = client_auth(s, "mail-secret");
	for (int i = 0; i < 3; i++)
		shop[i] = client_auth(s, "shop-secret");
	client_set(shop[0], "key", 'x', 100000);
	/* One of the clients has an unfinished command, another unsent replies. */
	client_send(shop[1], "*2\r\n$3\r\nGET\r\n$100\r\nabc");
	for (int i = 0; i < 200; i++)
		client_send(shop[2], "GET key\r\n");
	client_set(mail, "key", 'm', 10);
	static const char removed[][TENANT_NAME_MAX + 1] = {"mail", "shop"};
	tenants_config.tenants = &tenants[1];
	tenants_config.tenant_count = 1;
	tenants_config.removed = removed;
	tenants_config.removed_count = 2;
	assert_int_equal(registry_reload(s->shared.registry, &tenants_config, NULL), 0);
	client_expect_end(shop[0]);
	client_expect_end(shop[1]);
	wait_for(server_tenants(s).clients == 1);
	close(shop[2]);
	client_send(mail, "GET key\r\n");
	client_expect_fill(mail, 'm', 10);
	int again = client_open(s);
	client_send(again, "AUTH shop-secret\r\n");
	client_expect(again, "-WRONGPASS");
	/* A tenant without clients. */
	close(mail);
	wait_for(server_tenants(s).clients == 0);
	tenants_config.tenant_count = 0;
	assert_int_equal(registry_reload(s->shared.registry, &tenants_config, NULL), 0);
	wait_for(server_tenants(s).keys == 0);
	close(again);
	server_free(s);
}

static void a_listener_that_ends_gives_its_waiting_clients_to_the_workers(void **state) {
	enum { CLIENTS = 4 };
	struct server *s = start_with(server_settings());
	int fds[CLIENTS];
	(void)state;
	/* The workers accept no more clients: they wait at the listener. */
	atomic_store(&s->shared.deaf, true);
	for (int i = 0; i < CLIENTS; i++)
		fds[i] = client_open(s);
	worker_end_listener(&s->shared, s->listeners[0]);
	wait_for(server_sum(s, clients) == CLIENTS);
	assert_int_equal(counter_get(&worker_counters(s->workers[0])->clients), CLIENTS / 2);
	for (int i = 0; i < CLIENTS; i++) {
		client_send(fds[i], "AUTH late\r\n");
		client_expect(fds[i], "+OK\r\n");
		close(fds[i]);
	}
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(listener_port(s->listeners[0]))};
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	int refused = client_socket();
	assert_int_equal(connect(refused, (struct sockaddr *)&to, sizeof(to)), -1);
	close(refused);
	server_free(s);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_pings),
		cmocka_unit_test(obeys_new_settings_and_limits),
		cmocka_unit_test(removes_a_tenant),
		cmocka_unit_test(a_listener_that_ends_gives_its_waiting_clients_to_the_workers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
