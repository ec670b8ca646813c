/* The HTTP side over loopback sockets, driven by poll as the control plane drives it. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "atomdb/observe/http.h"
#include "figures.h"
#include "harness.h"

struct site {
	struct figures *figures;
	struct metrics *metrics;
	struct health health;
	struct guard guard;
	struct view *view;
	struct page *page;
	struct http_content content;
	struct http *http;
	int listen_fd;
	struct sockaddr_in address;
};

static struct site *site_new(void) {
	struct site *s = calloc(1, sizeof(*s));
	assert_non_null(s);
	s->figures = figures_new();
	assert_non_null(s->figures);
	assert_int_equal(metrics_new(&s->metrics, &s->figures->sources), 0);
	s->health.state = HEALTH_SERVING;
	s->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	s->address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(s->address);
	assert_int_equal(bind(s->listen_fd, (struct sockaddr *)&s->address, len), 0);
	assert_int_equal(listen(s->listen_fd, 128), 0);
	assert_int_equal(getsockname(s->listen_fd, (struct sockaddr *)&s->address, &len), 0);
	assert_int_equal(view_new(&s->view, &s->figures->sources, &s->health, 0), 0);
	assert_int_equal(page_new(&s->page), 0);
	s->content = (struct http_content){
		.health = &s->health, .metrics = s->metrics, .guard = &s->guard, .view = s->view, .page = s->page};
	assert_int_equal(http_new(&s->http, s->listen_fd, &s->content), 0);
	return s;
}

static void site_free(struct site *s) {
	http_free(s->http);
	page_free(s->page);
	view_free(s->view);
	metrics_free(s->metrics);
	figures_free(s->figures);
	close(s->listen_fd);
	free(s);
}

static int site_connect(const struct site *s) {
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(fd, (const struct sockaddr *)&s->address, sizeof(s->address)), 0);
	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	return fd;
}

/* One turn of the loop, of at most 20 ms. */
static void turn(struct site *s) {
	struct pollfd p = {.fd = http_fd(s->http), .events = POLLIN};
	int64_t timeout = http_timeout(s->http);
	poll(&p, 1, timeout >= 0 && timeout < 20 ? (int)timeout : 20);
	http_run(s->http);
}

/* Reads until the other end closes, or until `pause` turns in a row brought nothing. The result is terminated. */
static char *receive(struct site *s, int fd, unsigned pause, bool *closed) {
	struct buffer b;
	buffer_init(&b);
	*closed = false;
	for (unsigned quiet = 0; quiet < pause && !*closed;) {
		char piece[4096];
		turn(s);
		ssize_t n = recv(fd, piece, sizeof(piece), 0);
		if (n > 0) {
			assert_int_equal(buffer_append(&b, piece, (size_t)n, SIZE_MAX), 0);
			quiet = 0;
		} else if (n == 0 || errno != EAGAIN) {
			*closed = true;
		} else {
			quiet++;
		}
	}
	assert_int_equal(buffer_append(&b, "", 1, SIZE_MAX), 0);
	return b.data;
}

/* Sends `request` on a connection of its own and returns all that comes back. */
static char *ask(struct site *s, const char *request) {
	int fd = site_connect(s);
	bool closed;
	assert_int_equal(send(fd, request, strlen(request), MSG_NOSIGNAL), strlen(request));
	char *answer = receive(s, fd, 15, &closed);
	close(fd);
	return answer;
}

#define REQUEST(method, path) method " " path " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"

static bool starts(const char *text, const char *with) {
	return strncmp(text, with, strlen(with)) == 0;
}

static const char *body(const char *answer) {
	const char *end = strstr(answer, "\r\n\r\n");
	assert_non_null(end);
	return end + 4;
}

static void test_health(void **state) {
	struct site *s = site_new();
	(void)state;
	char *a = ask(s, REQUEST("GET", "/health"));
	assert_true(starts(a, "HTTP/1.1 200 OK\r\n"));
	assert_non_null(strstr(a, "\r\nContent-Type: application/json\r\n"));
	assert_non_null(strstr(a, "\r\nCache-Control: no-store\r\n"));
	assert_non_null(strstr(a, "\r\nX-Content-Type-Options: nosniff\r\n"));
	assert_true(starts(body(a), "{\"status\":\"ok\",\"checks\":{\"data\":{\"status\":\"ok\"},"));
	free(a);
	s->health.stuck = true;
	a = ask(s, REQUEST("GET", "/health"));
	assert_true(starts(a, "HTTP/1.1 503 "));
	assert_non_null(strstr(body(a), "\"status\":\"stuck\""));
	free(a);
	s->health = (struct health){.state = HEALTH_STOPPING};
	a = ask(s, REQUEST("HEAD", "/health"));
	assert_true(starts(a, "HTTP/1.1 503 "));
	assert_string_equal(body(a), "");
	free(a);
	site_free(s);
}

static void test_metrics_and_index(void **state) {
	struct site *s = site_new();
	(void)state;
	char *a = ask(s, REQUEST("GET", "/metrics?name=value"));
	assert_true(starts(a, "HTTP/1.1 200 OK\r\n"));
	assert_non_null(strstr(a, "\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"));
	assert_true(starts(body(a), "# HELP redis_up "));
	assert_non_null(strstr(a, "\nprocess_start_time_seconds "));
	assert_int_equal(strtoul(strstr(a, "Content-Length: ") + 16, NULL, 10), strlen(body(a)));
	free(a);
	a = ask(s, REQUEST("HEAD", "/metrics"));
	assert_true(starts(a, "HTTP/1.1 200 OK\r\n"));
	assert_true(strtoul(strstr(a, "Content-Length: ") + 16, NULL, 10) > 1000);
	assert_string_equal(body(a), "");
	free(a);
	a = ask(s, REQUEST("GET", "/"));
	assert_true(starts(a, "HTTP/1.1 200 OK\r\n"));
	assert_non_null(strstr(a, "\r\nContent-Type: text/html; charset=utf-8\r\n"));
	assert_non_null(strstr(a, "\r\nContent-Security-Policy: default-src 'none'; style-src 'sha256-"));
	assert_non_null(strstr(body(a), "<title>"));
	free(a);
	site_free(s);
}

static void test_what_is_not_there(void **state) {
	struct site *s = site_new();
	(void)state;
	const char *missing[] = {REQUEST("GET", "/nothing"), REQUEST("GET", "/metrics/"), REQUEST("POST", "/nothing"),
				 REQUEST("GET", "/%00"), REQUEST("GET", "/../health")};
	for (unsigned i = 0; i < sizeof(missing) / sizeof(missing[0]); i++) {
		char *a = ask(s, missing[i]);
		if (strstr(missing[i], "%00") == NULL)
			assert_true(starts(a, "HTTP/1.1 404 "));
		if (starts(a, "HTTP/1.1 404 "))
			assert_non_null(strstr(body(a), "/metrics"));
		free(a);
	}
	const char *refused[] = {REQUEST("POST", "/metrics"), REQUEST("DELETE", "/health"), REQUEST("OPTIONS", "/"),
				 "PUT /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"};
	for (unsigned i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		char *a = ask(s, refused[i]);
		assert_true(starts(a, "HTTP/1.1 405 "));
		assert_non_null(strstr(a, "\r\nAllow: GET, HEAD\r\n"));
		assert_non_null(strstr(body(a), "GET and HEAD"));
		free(a);
	}
	site_free(s);
}

static void check_alive(struct site *s) {
	char *a = ask(s, REQUEST("GET", "/health"));
	assert_true(starts(a, "HTTP/1.1 200 OK\r\n"));
	free(a);
}

static void test_garbage(void **state) {
	struct site *s = site_new();
	char long_head[40000];
	(void)state;
	memset(long_head, 'a', sizeof(long_head) - 1);
	long_head[sizeof(long_head) - 1] = '\0';
	memcpy(long_head, "GET /metrics HTTP/1.1\r\nHost: x\r\nX: ", 35);
	const char *garbage[] = {
		"*1\r\n$4\r\nPING\r\n\r\n",
		"\r\n\r\n\r\n",
		"GET\r\n\r\n",
		"\x16\x03\x01\x02\x00\x01\xff\xff\r\n\r\n",
		"GET /health HTTP/9.9\r\n\r\n",
		long_head,
		"GET /health HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
		"GET /health HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999999\r\n\r\n",
		"GET /health HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
	};
	for (unsigned i = 0; i < sizeof(garbage) / sizeof(garbage[0]); i++) {
		char *a = ask(s, garbage[i]);
		assert_true(a[0] == '\0' || starts(a, "HTTP/1."));
		assert_false(starts(a, "HTTP/1.1 200"));
		free(a);
		check_alive(s);
	}
	/* A body where none belongs ends the connection. */
	char *a = ask(s, "GET /health HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello");
	assert_string_equal(a, "");
	free(a);
	check_alive(s);
	site_free(s);
}

static void test_keep_alive_and_split_requests(void **state) {
	struct site *s = site_new();
	static const char request[] = "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n";
	bool closed;
	(void)state;
	int fd = site_connect(s);
	for (size_t i = 0; i < sizeof(request) - 1; i++) {
		assert_int_equal(send(fd, request + i, 1, MSG_NOSIGNAL), 1);
		http_run(s->http);
	}
	char *a = receive(s, fd, 10, &closed);
	assert_true(starts(a, "HTTP/1.1 200 OK\r\n"));
	assert_false(closed);
	free(a);
	assert_int_equal(send(fd, request, sizeof(request) - 1, MSG_NOSIGNAL), sizeof(request) - 1);
	a = receive(s, fd, 10, &closed);
	assert_true(starts(a, "HTTP/1.1 200 OK\r\n"));
	assert_false(closed);
	free(a);
	close(fd);
	site_free(s);
}

/* Those who say nothing may keep all places for some seconds; then they go, and whoever waited is served. One that
 * keeps saying a little stays longer, but not for ever. */
static void test_slow_clients_make_room(void **state) {
	static const char request[] = REQUEST("GET", "/health");
	static const char head[] = "GET /health HTTP/1.1\r\nX: ";
	struct site *s = site_new();
	int silent[40];
	bool closed = false;
	(void)state;
	int slow = site_connect(s);
	assert_int_equal(send(slow, head, sizeof(head) - 1, MSG_NOSIGNAL), sizeof(head) - 1);
	uint64_t start = clock_monotonic_ns(), said = 0;
	for (unsigned i = 0; i < 40; i++) {
		silent[i] = site_connect(s);
		turn(s);
	}
	assert_in_range((uint64_t)http_timeout(s->http), 1, 15000);
	int fd = site_connect(s);
	assert_int_equal(send(fd, request, sizeof(request) - 1, MSG_NOSIGNAL), sizeof(request) - 1);
	bool answered = false;
	while (!closed) {
		char piece[512];
		turn(s);
		uint64_t seconds = (clock_monotonic_ns() - start) / 1000000000;
		assert_true(seconds < 25);
		if (!answered && recv(fd, piece, sizeof(piece), 0) > 0) {
			assert_true(starts(piece, "HTTP/1.1 200 OK\r\n"));
			assert_true(seconds < 14);
			answered = true;
		}
		if (seconds > said) {
			send(slow, "x", 1, MSG_NOSIGNAL);
			said = seconds;
		}
		ssize_t n = recv(slow, piece, sizeof(piece), 0);
		closed = n == 0 || (n < 0 && errno != EAGAIN);
	}
	assert_true(answered);
	assert_true(clock_monotonic_ns() - start > 10000000000);
	check_alive(s);
	close(fd);
	close(slow);
	for (unsigned i = 0; i < 40; i++)
		close(silent[i]);
	site_free(s);
}

static void test_socket_stays_the_callers(void **state) {
	struct site *s = site_new();
	bool closed;
	(void)state;
	int fd = site_connect(s);
	for (unsigned i = 0; i < 5; i++)
		turn(s);
	http_free(s->http);
	char piece[1];
	assert_int_equal(recv(fd, piece, 1, 0), 0);
	close(fd);
	/* Who connects meanwhile waits for the next one to serve. */
	fd = site_connect(s);
	static const char request[] = REQUEST("GET", "/health");
	assert_int_equal(send(fd, request, sizeof(request) - 1, MSG_NOSIGNAL), sizeof(request) - 1);
	assert_int_equal(http_new(&s->http, s->listen_fd, &s->content), 0);
	char *a = receive(s, fd, 15, &closed);
	assert_true(starts(a, "HTTP/1.1 200 OK\r\n"));
	free(a);
	close(fd);
	struct http *none = NULL;
	assert_int_equal(http_new(&none, -1, &s->content), -EBADF);
	assert_null(none);
	http_free(NULL);
	site_free(s);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_health),
		cmocka_unit_test(test_metrics_and_index),
		cmocka_unit_test(test_what_is_not_there),
		cmocka_unit_test(test_garbage),
		cmocka_unit_test(test_keep_alive_and_split_requests),
		cmocka_unit_test(test_slow_clients_make_room),
		cmocka_unit_test(test_socket_stays_the_callers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
