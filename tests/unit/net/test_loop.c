/* The turns of a worker: its clocks, its timer, its end. */
#include <pthread.h>

#include "atomdb/store/shard.h"
#include "clock.h"

static struct server *start_with(struct settings settings) {
	struct tenants_config tenants_config = server_open_tenants();
	return server_start(&settings, &tenants_config);
}

static struct server *start(unsigned auth_timeout, unsigned idle_timeout) {
	struct settings settings = server_settings();
	struct tenants_config tenants_config = server_open_tenants();
	atomic_store(&shift_ms, 0);
	settings.auth_timeout = auth_timeout;
	settings.idle_timeout = idle_timeout;
	return server_start(&settings, &tenants_config);
}

/* Sends a command and returns its reply of one line. */
static const char *ask(int fd, const char *command) {
	static char line[128];
	size_t len = 0;
	client_send(fd, command);
	do
		client_read(fd, line + len, 1);
	while (line[len++] != '\n' && len < sizeof(line) - 1);
	line[len] = '\0';
	return line;
}

static long long number_of(int fd, const char *command) {
	return strtoll(ask(fd, command) + 1, NULL, 10);
}

static void *stop_server(void *argument) {
	server_stop(argument, PATIENCE_S * 1000);
	return NULL;
}

/* The timer removes due keys without any command. DBSIZE waits until all due keys are removed. */
static void expires_on_time(void **state) {
	enum { COUNT = 30000 };
	struct server *s = start_with(server_settings());
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

static void a_pause_ends_on_time(void **state) {
	struct server *s = start(0, 0);
	(void)state;
	int fd = client_auth(s, "pause");
	client_send(fd, "CLIENT PAUSE 300\r\nSET a b\r\n");
	client_expect(fd, "+OK\r\n");
	set_clock(s, -HOUR_MS);
	client_expect(fd, "+OK\r\n");
	close(fd);
	server_free(s);
}

static void an_hour_ahead_is_no_hour_of_idling(void **state) {
	struct server *s = start(60, 60);
	char line[512];
	(void)state;
	int fd = client_auth(s, "age");
	set_clock(s, HOUR_MS);
	client_send(fd, "CLIENT INFO\r\n");
	ssize_t n = recv(fd, line, sizeof(line) - 1, 0);
	assert_true(n > 0);
	line[n] = '\0';
	assert_non_null(strstr(line, " age=0 idle=0 "));
	close(fd);
	server_free(s);
}

static void deadlines_follow_a_clock_that_is_set_ahead_and_back(void **state) {
	static const int64_t steps[] = {1000, 24 * HOUR_MS, 10 * YEAR_MS};
	struct server *s = start(0, 0);
	(void)state;
	int fd = client_auth(s, "keys");
	for (unsigned i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		char command[128];
		snprintf(command, sizeof(command), "SET far v PX %lld\r\n", (long long)steps[i] + 500000);
		assert_string_equal(ask(fd, command), "+OK\r\n");
		set_clock(s, steps[i]);
		assert_in_range(number_of(fd, "PTTL far\r\n"), 400000, 500000);
		assert_string_equal(ask(fd, "SET ahead v PX 500000\r\n"), "+OK\r\n");
		set_clock(s, 0);
		assert_in_range(number_of(fd, "PTTL far\r\n"), steps[i] + 400000, steps[i] + 500000);
		assert_in_range(number_of(fd, "PTTL ahead\r\n"), steps[i] + 400000, steps[i] + 500000);
		/* The timer fires at the right time again, without any command. */
		assert_string_equal(ask(fd, "SET soon v PX 50\r\n"), "+OK\r\n");
		assert_string_equal(ask(fd, "EXISTS soon\r\n"), ":1\r\n");
		wait_for(counter_get(&shard_counters(s->shards[0])->keys) +
				 counter_get(&shard_counters(s->shards[1])->keys) ==
			 2);
		snprintf(command, sizeof(command), "SET at v PXAT %lld\r\n", (long long)clock_realtime_ms() + 100000);
		assert_string_equal(ask(fd, command), "+OK\r\n");
		assert_in_range(number_of(fd, "PTTL at\r\n"), 1000, 100000);
		assert_string_equal(ask(fd, "DEL far ahead at\r\n"), ":3\r\n");
	}
	close(fd);
	server_free(s);
}

/* A transaction runs at one time, that of EXEC. */
static void a_step_within_a_transaction(void **state) {
	struct server *s = start(0, 0);
	(void)state;
	int fd = client_auth(s, "multi");
	set_clock(s, 10 * YEAR_MS);
	client_send(fd, "MULTI\r\nSET k v PX 60000\r\nPTTL k\r\n");
	client_expect(fd, "+OK\r\n+QUEUED\r\n+QUEUED\r\n");
	set_clock(s, -10 * YEAR_MS);
	client_send(fd, "EXEC\r\n");
	client_expect(fd, "*2\r\n+OK\r\n:60000\r\n");
	set_clock(s, 0);
	assert_string_equal(ask(fd, "EXISTS k\r\n"), ":0\r\n");
	close(fd);
	server_free(s);
}

#ifdef ATOMDB_TEST_HOOKS
/* The watchdog's view of a worker that hangs. */
static void hangs_when_told_to(void **state) {
	struct server *s = start_with(server_settings());
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

/* A stop replies to all received commands, even to a slow client, and then closes the connection. */
static void stops_when_all_is_answered(void **state) {
	enum { COUNT = 32, SIZE = (1 << 20) - 1 };
	struct server *s = start_with(server_settings());
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
	struct server *s = start_with(server_settings());
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

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(expires_on_time),
		cmocka_unit_test(a_pause_ends_on_time),
		cmocka_unit_test(an_hour_ahead_is_no_hour_of_idling),
		cmocka_unit_test(deadlines_follow_a_clock_that_is_set_ahead_and_back),
		cmocka_unit_test(a_step_within_a_transaction),
#ifdef ATOMDB_TEST_HOOKS
		cmocka_unit_test(hangs_when_told_to),
#endif
		cmocka_unit_test(stops_when_all_is_answered),
		cmocka_unit_test(stops_in_time),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
