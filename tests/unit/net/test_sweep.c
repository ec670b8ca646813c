/* Timeouts of clients. */
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

#define STEP_MS 60000

static int authenticated(const struct server *s, const char *command, const char *reply) {
	int fd = client_auth(s, "idle");
	client_send(fd, command);
	client_expect(fd, reply);
	return fd;
}

/* The server has sent all bytes that the socket takes for now. */
static void await_quiet(struct server *s) {
	uint64_t before;
	do {
		before = server_sum(s, output_bytes);
		pass_ms(20);
		take_turns(s);
	} while (server_sum(s, output_bytes) != before);
}

static void closes_by_the_clock(void **state) {
	struct settings settings = server_settings();
	settings.auth_timeout = 2;
	settings.idle_timeout = 4;
	struct server *s = start_with(settings);
	(void)state;
	uint64_t start = clock_monotonic_ns();
	int unauthenticated = client_open(s), idle = client_auth(s, "idle"), busy = client_auth(s, "busy");
	client_expect_end(unauthenticated);
	assert_true(clock_monotonic_ns() - start > UINT64_C(1500000000));
	assert_int_equal(server_sum(s, idle_closed), 1);
	while (server_sum(s, idle_closed) < 2 && clock_monotonic_ns() - start < UINT64_C(60000000000)) {
		client_send(busy, "PING\r\n");
		client_expect(busy, "+PONG\r\n");
		pass_ms(50);
	}
	client_expect_end(idle);
	client_send(busy, "PING\r\n");
	client_expect(busy, "+PONG\r\n");
	close(busy);
	server_free(s);
}

static void timeouts_end_on_time(void **state) {
	struct server *s = start(2, 2);
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
	/* A subscriber without a channel has an idle timeout. */
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
		cmocka_unit_test(closes_by_the_clock),
		cmocka_unit_test(timeouts_end_on_time),
		cmocka_unit_test(a_client_is_idle_if_no_byte_moves_and_it_waits_for_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
