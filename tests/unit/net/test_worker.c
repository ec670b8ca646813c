/* What clients and the control plane see of the workers. */
#include <pthread.h>

#include "server.h"

static struct server *start_plain(void) {
	struct settings settings = server_settings();
	struct tenants_config tenants_config = server_open_tenants();
	return server_start(&settings, &tenants_config);
}

static void serves_commands(void **state) {
	struct server *s = start_plain();
	(void)state;
	int fd = client_open(s);
	client_send(fd, "GET x\r\nPING\r\n");
	client_expect(fd, "-NOAUTH Authentication required.\r\n-NOAUTH Authentication required.\r\n");
	client_send(fd, "AUTH secret\r\n");
	client_expect(fd, "+OK\r\n");
	client_send(fd, "*3\r\n$3\r\nSET\r\n$1\r\nx\r\n$5\r\nAlice\r\n\r\n*0\r\nGET x\r\n");
	client_expect(fd, "+OK\r\n$5\r\nAlice\r\n");
	client_send(fd, "PING\r\nQUIT\r\nPING\r\n");
	client_expect(fd, "+PONG\r\n+OK\r\n");
	client_expect_end(fd);
	server_free(s);
}

/* The commands behind AUTH are in the same packet: they go with the connection, and every tenant finds its own data
 * again from another connection. */
static void hands_over_what_is_behind_auth(void **state) {
	struct server *s = start_plain();
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
	/* A change of the secret may move a connection once more. */
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

static void takes_commands_byte_by_byte(void **state) {
	static const char input[] = "AUTH drop\r\n*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$5\r\nva\r\ne\r\n"
				    "set \"b c\" 'd'\r\n*2\r\n$3\r\nGET\r\n$3\r\nkey\r\nGET \"b c\"\r\n";
	struct server *s = start_plain();
	(void)state;
	int fd = client_open(s), on = 1;
	setsockopt(fd, IPPROTO_TCP, 1 /* TCP_NODELAY */, &on, sizeof(on));
	for (size_t i = 0; i < sizeof(input) - 1; i++) {
		client_send_bytes(fd, input + i, 1);
		if (i % 8 == 0)
			pass_ms(1);
	}
	client_expect(fd, "+OK\r\n+OK\r\n+OK\r\n$5\r\nva\r\ne\r\n$1\r\nd\r\n");
	/* What an unfinished command holds is charged, and given back. */
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
	struct server *s = start_plain();
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

/* A pipeline much longer than the window and the buffers, with every reply in its place. */
static void answers_long_pipelines(void **state) {
	enum { COUNT = 20000 };
	struct server *s = start_plain();
	char *input = malloc(COUNT * 64), *at = input, reply[128];
	(void)state;
	assert_non_null(input);
	for (int i = 0; i < COUNT; i++)
		at += sprintf(at, "ECHO %d-%.*s\r\n", i, i % 30, "012345678901234567890123456789");
	int fd = client_auth(s, "long");
	client_send_bytes(fd, input, (size_t)(at - input));
	for (int i = 0; i < COUNT; i++) {
		char text[64];
		int n = snprintf(text, sizeof(text), "%d-%.*s", i, i % 30, "012345678901234567890123456789");
		snprintf(reply, sizeof(reply), "$%d\r\n%s\r\n", n, text);
		client_expect(fd, reply);
	}
	free(input);
	close(fd);
	server_free(s);
}

/* A client that asks for much and reads late: it gets everything, others are served meanwhile, and what was held for it
 * is charged to its tenant and given back. */
static void waits_for_a_slow_reader(void **state) {
	enum { COUNT = 48, SIZE = 1 << 20 };
	struct server *s = start_plain();
	(void)state;
	int slow = client_auth(s, "slow"), other = client_auth(s, "slow");
	/* What the slow log keeps is charged too, and a sanitizer makes commands slow. */
	client_send(slow, "CONFIG SET slowlog-log-slower-than -1\r\n");
	client_expect(slow, "+OK\r\n");
	client_set(slow, "key", 's', SIZE);
	uint64_t idle = server_tenants(s).bytes;
	for (int i = 0; i < COUNT; i++)
		client_send(slow, "GET key\r\n");
	client_send(slow, "PING\r\n");
	wait_for(server_tenants(s).bytes > idle);
	/* Held back: some MiB are in the kernel's buffers, far from all in the server's. */
	assert_true(server_tenants(s).bytes - idle < (uint64_t)COUNT * SIZE / 2);
	client_send(other, "PING\r\n");
	client_expect(other, "+PONG\r\n");
	for (int i = 0; i < COUNT; i++)
		client_expect_fill(slow, 's', SIZE);
	client_expect(slow, "+PONG\r\n");
	wait_for(server_tenants(s).bytes == idle);
	close(slow);
	close(other);
	server_free(s);
}

static void closes_beyond_the_output_limit(void **state) {
	struct settings settings = server_settings();
	struct tenants_config tenants_config = server_open_tenants();
	settings.output_buffer = 4 << 20;
	struct server *s = server_start(&settings, &tenants_config);
	(void)state;
	int fd = client_auth(s, "limit");
	client_set(fd, "key", 'x', 3 << 20);
	client_send(fd, "GET key\r\n");
	client_expect_fill(fd, 'x', 3 << 20);
	client_send(fd, "MGET key key\r\n");
	wait_for(server_sum(s, output_limit) == 1);
	client_expect_end(fd);
	assert_int_equal(s->events[LOG_EVENT_OUTPUT_LIMIT], 1);
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
	/* One of them has a command under way, another unsent replies. */
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
	/* And one without clients. */
	close(mail);
	wait_for(server_tenants(s).clients == 0);
	tenants_config.tenant_count = 0;
	assert_int_equal(registry_reload(s->shared.registry, &tenants_config, NULL), 0);
	wait_for(server_tenants(s).keys == 0);
	close(again);
	server_free(s);
}

static void *stop_server(void *argument) {
	server_stop(argument, PATIENCE_S * 1000);
	return NULL;
}

/* Stopping answers what was read, however slowly the client takes it, and closes then. */
static void stops_when_all_is_answered(void **state) {
	enum { COUNT = 32, SIZE = (1 << 20) - 1 };
	struct server *s = start_plain();
	pthread_t stopper;
	(void)state;
	int fd = client_auth(s, "stop"), idle = client_auth(s, "idle"), unauthenticated = client_open(s);
	client_set(fd, "key", 'k', SIZE);
	for (int i = 0; i < COUNT; i++)
		client_send(fd, "GET key\r\n");
	wait_for(server_tenants(s).bytes > (uint64_t)SIZE * 3 / 2);
	client_send(idle, "PING\r\n*1\r\n$4\r\nPI");
	assert_int_equal(pthread_create(&stopper, NULL, stop_server, s), 0);
	client_expect(idle, "+PONG\r\n");
	client_expect_end(idle);
	client_expect_end(unauthenticated);
	for (int i = 0; i < COUNT; i++)
		client_expect_fill(fd, 'k', SIZE);
	client_expect_end(fd);
	pthread_join(stopper, NULL);
	server_free(s);
}

static void stops_in_time(void **state) {
	struct server *s = start_plain();
	(void)state;
	int fd = client_auth(s, "stop");
	client_set(fd, "key", 'k', 1 << 20);
	for (int i = 0; i < 64; i++)
		client_send(fd, "GET key\r\n");
	uint64_t before = clock_monotonic_ns();
	server_stop(s, 300);
	assert_true(clock_monotonic_ns() - before < UINT64_C(10000000000));
	close(fd);
	server_free(s);
}

static void answers_pings(void **state) {
	struct server *s = start_plain();
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

#ifdef ATOMDB_TEST_HOOKS
/* What the watchdog sees of a worker that hangs. */
static void hangs_when_told_to(void **state) {
	struct server *s = start_plain();
	(void)state;
	worker_test_hang(s->workers[1], true);
	pass_ms(50);
	worker_ping(s->workers[0]);
	worker_ping(s->workers[1]);
	wait_for(counter_get(&worker_counters(s->workers[0])->pongs) == 1);
	pass_ms(200);
	assert_int_equal(counter_get(&worker_counters(s->workers[1])->pongs), 0);
	worker_test_hang(s->workers[1], false);
	wait_for(counter_get(&worker_counters(s->workers[1])->pongs) == 1);
	server_free(s);
}
#endif

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

/* Keys end by the timer, without anybody asking for them; and a count waits until all that are due are gone. */
static void expires_on_time(void **state) {
	enum { COUNT = 30000 };
	struct server *s = start_plain();
	char text[128];
	(void)state;
	int fd = client_auth(s, "expire");
	client_send(fd, "SET a 1 PX 30\r\nSET b 1 PX 60\r\nSET c 1 PX 20\r\n");
	client_expect(fd, "+OK\r\n+OK\r\n+OK\r\n");
	assert_true(server_tenants(s).keys > 0);
	wait_for(server_tenants(s).keys == 0);
	int64_t due = clock_realtime_ms() + 1500;
	for (int i = 0; i < COUNT; i++) {
		snprintf(text, sizeof(text), "SET key-%d value PXAT %lld\r\n", i, (long long)due);
		client_send(fd, text);
		if (i % 100 == 99) {
			for (int j = 0; j < 100; j++)
				client_expect(fd, "+OK\r\n");
		}
	}
	client_send(fd, "SET stays 1\r\n");
	client_expect(fd, "+OK\r\n");
	while (clock_realtime_ms() < due)
		pass_ms(1);
	client_send(fd, "DBSIZE\r\nPING\r\n");
	client_expect(fd, ":1\r\n+PONG\r\n");
	close(fd);
	server_free(s);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(serves_commands),
		cmocka_unit_test(hands_over_what_is_behind_auth),
		cmocka_unit_test(takes_commands_byte_by_byte),
		cmocka_unit_test(takes_large_values),
		cmocka_unit_test(answers_long_pipelines),
		cmocka_unit_test(waits_for_a_slow_reader),
		cmocka_unit_test(closes_beyond_the_output_limit),
		cmocka_unit_test(removes_a_tenant),
		cmocka_unit_test(stops_when_all_is_answered),
		cmocka_unit_test(stops_in_time),
		cmocka_unit_test(answers_pings),
#ifdef ATOMDB_TEST_HOOKS
		cmocka_unit_test(hangs_when_told_to),
#endif
		cmocka_unit_test(obeys_new_settings_and_limits),
		cmocka_unit_test(expires_on_time),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
