/* The clock of the calendar is set: what monotonic time decides does not notice, deadlines of keys follow. */
#include "server.h"

#define HOUR_MS 3600000
#define YEAR_MS INT64_C(31536000000)

/* In the place of util's: the calendar is the test's. */
static _Atomic int64_t shift_ms;
/* And so is what passes. */
static _Atomic int64_t passed_ms;

static int64_t read_ns(clockid_t which) {
	struct timespec t;
	clock_gettime(which, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int64_t clock_realtime_ms(void) {
	return read_ns(CLOCK_REALTIME) / 1000000 + atomic_load(&shift_ms);
}

int64_t clock_realtime_us(void) {
	return read_ns(CLOCK_REALTIME) / 1000 + atomic_load(&shift_ms) * 1000;
}

#ifdef ATOMDB_TEST_HOOKS
int64_t clock_test_shift_ms(void) {
	return atomic_load(&shift_ms);
}
#endif

uint64_t clock_monotonic_ns(void) {
	return (uint64_t)(read_ns(CLOCK_MONOTONIC) + atomic_load(&passed_ms) * 1000000);
}

void clock_rate_init(struct clock_rate *start) {
	start->ticks = start->ns = 0;
}

double clock_ticks_to_seconds(const struct clock_rate *start, uint64_t ticks) {
	(void)start;
	return (double)ticks / 1e9;
}

/* Every worker reads the clocks again, and does what is due. */
static void take_turns(struct server *s) {
	unsigned turns[WORKERS];
	for (unsigned i = 0; i < WORKERS; i++) {
		turns[i] = (unsigned)counter_get(&worker_counters(s->workers[i])->turns);
		worker_ping(s->workers[i]);
	}
	for (unsigned i = 0; i < WORKERS; i++)
		wait_for((unsigned)counter_get(&worker_counters(s->workers[i])->turns) != turns[i]);
}

static void set_clock(struct server *s, int64_t by_ms) {
	atomic_store(&shift_ms, by_ms);
	take_turns(s);
}

static struct server *start(unsigned auth_timeout, unsigned idle_timeout) {
	struct settings settings = server_settings();
	struct tenants_config tenants_config = server_open_tenants();
	atomic_store(&shift_ms, 0);
	settings.auth_timeout = auth_timeout;
	settings.idle_timeout = idle_timeout;
	return server_start(&settings, &tenants_config);
}

static void timeouts_end_on_time(void **state) {
	struct server *s = start(1, 1);
	(void)state;
	int unauthenticated = client_open(s), idle = client_auth(s, "idle");
	set_clock(s, -HOUR_MS);
	int late = client_open(s);
	client_expect_end(unauthenticated);
	client_expect_end(idle);
	client_expect_end(late);
	assert_int_equal(server_sum(s, idle_closed), 3);
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

/* The reply to a command, of one line. */
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
		/* At the right time again, also if nobody asks. */
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

/* All of a transaction happens at one time, that of EXEC. */
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

#define STEP_MS 60000

static int authenticated(const struct server *s, const char *command, const char *reply) {
	int fd = client_auth(s, "idle");
	client_send(fd, command);
	client_expect(fd, reply);
	return fd;
}

/* The server has sent all that the socket takes for now. */
static void await_quiet(struct server *s) {
	uint64_t before;
	do {
		before = server_sum(s, output_bytes);
		pass_ms(20);
		take_turns(s);
	} while (server_sum(s, output_bytes) != before);
}

static void a_client_is_idle_if_no_byte_moves_and_it_waits_for_nothing(void **state) {
	enum { SIZE = 64 << 20, PIECE = 8 << 20, UPLOAD = 1000000 };
	char *value = calloc(1, SIZE), line[128];
	struct server *s = start(0, 2 * STEP_MS / 1000);
	(void)state;
	assert_non_null(value);
	int idle = authenticated(s, "PING\r\n", "+PONG\r\n");
	int subscriber = authenticated(s, "SUBSCRIBE none\r\n", "*3\r\n$9\r\nsubscribe\r\n$4\r\nnone\r\n:1\r\n");
	int pattern = authenticated(s, "PSUBSCRIBE n*\r\n", "*3\r\n$10\r\npsubscribe\r\n$2\r\nn*\r\n:1\r\n");
	int busy = authenticated(s, "PING\r\n", "+PONG\r\n");
	int upload = client_auth(s, "idle"), download = client_auth(s, "idle");
	snprintf(line, sizeof(line), "*3\r\n$3\r\nSET\r\n$5\r\nlarge\r\n$%d\r\n", SIZE);
	client_send(download, line);
	client_send_bytes(download, value, SIZE);
	client_send(download, "\r\nGET large\r\n");
	client_expect(download, "+OK\r\n$67108864\r\n");
	snprintf(line, sizeof(line), "*3\r\n$3\r\nSET\r\n$1\r\nu\r\n$%d\r\n", UPLOAD);
	client_send(upload, line);
	int monitor = authenticated(s, "MONITOR\r\n", "+OK\r\n");
	int paused = authenticated(s, "CLIENT PAUSE 100000000 WRITE\r\nSET paused v\r\n", "+OK\r\n");
	const int steps = 5;
	for (int i = 0; i < steps; i++) {
		client_send_bytes(upload, value, UPLOAD / (size_t)steps);
		client_read(download, value, PIECE);
		client_send(busy, "PING\r\n");
		client_expect(busy, "+PONG\r\n");
		await_quiet(s);
		atomic_fetch_add(&passed_ms, STEP_MS);
		take_turns(s);
		pass_ms(20);
	}
	client_expect_end(idle);
	assert_int_equal(server_sum(s, idle_closed), 1);
	client_send(busy, "CLIENT UNPAUSE\r\n");
	client_expect(busy, "+OK\r\n");
	client_expect(paused, "+OK\r\n");
	client_send(subscriber, "PING\r\n");
	client_expect(subscriber, "*2\r\n$4\r\npong\r\n$0\r\n\r\n");
	client_send(pattern, "PING\r\n");
	client_expect(pattern, "*2\r\n$4\r\npong\r\n$0\r\n\r\n");
	client_read(monitor, line, 1);
	client_send(upload, "\r\nPING\r\n");
	client_expect(upload, "+OK\r\n+PONG\r\n");
	/* A subscriber without a channel is a client like any other. */
	client_send(subscriber, "UNSUBSCRIBE none\r\n");
	client_expect(subscriber, "*3\r\n$11\r\nunsubscribe\r\n$4\r\nnone\r\n:0\r\n");
	for (int i = 0; i < 3; i++) {
		atomic_fetch_add(&passed_ms, STEP_MS);
		take_turns(s);
		pass_ms(20);
	}
	client_expect_end(subscriber);
	client_expect_end(paused);
	client_send(pattern, "PING\r\n");
	client_expect(pattern, "*2\r\n$4\r\npong\r\n$0\r\n\r\n");
	close(pattern);
	close(monitor);
	close(busy);
	close(upload);
	close(download);
	free(value);
	server_free(s);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(timeouts_end_on_time),
		cmocka_unit_test(a_pause_ends_on_time),
		cmocka_unit_test(an_hour_ahead_is_no_hour_of_idling),
		cmocka_unit_test(deadlines_follow_a_clock_that_is_set_ahead_and_back),
		cmocka_unit_test(a_step_within_a_transaction),
		cmocka_unit_test(a_client_is_idle_if_no_byte_moves_and_it_waits_for_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
