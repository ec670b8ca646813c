/* The clock of the calendar is set while clients wait for what monotonic time decides. */
#include "server.h"

#define HOUR_MS 3600000

/* In the place of util's: the calendar is the test's. */
static _Atomic int64_t shift_ms;

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

uint64_t clock_monotonic_ns(void) {
	return (uint64_t)read_ns(CLOCK_MONOTONIC);
}

void clock_rate_init(struct clock_rate *start) {
	start->ticks = start->ns = 0;
}

double clock_ticks_to_seconds(const struct clock_rate *start, uint64_t ticks) {
	(void)start;
	return (double)ticks / 1e9;
}

static void set_clock(struct server *s, int64_t by_ms) {
	atomic_store(&shift_ms, by_ms);
	for (unsigned i = 0; i < WORKERS; i++)
		worker_ping(s->workers[i]);
}

static struct server *start(unsigned auth_timeout, unsigned idle_timeout) {
	struct settings settings = server_settings();
	struct tenancy tenancy = server_open_tenancy();
	atomic_store(&shift_ms, 0);
	settings.auth_timeout = auth_timeout;
	settings.idle_timeout = idle_timeout;
	return server_start(&settings, &tenancy);
}

static void timeouts_end_on_time(void **state) {
	struct server *s = start(1, 1);
	(void)state;
	int stranger = client_open(s), idle = client_auth(s, "idle");
	set_clock(s, -HOUR_MS);
	int late = client_open(s);
	client_expect_end(stranger);
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

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(timeouts_end_on_time),
		cmocka_unit_test(a_pause_ends_on_time),
		cmocka_unit_test(an_hour_ahead_is_no_hour_of_idling),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
