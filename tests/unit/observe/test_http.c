/* The HTTP server over loopback sockets, driven by poll like the control plane. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "atomdb/observe/http.h"
#include "harness.h"
#include "sources.h"

struct site {
	struct counters *counters;
	struct metrics *metrics;
	struct health health;
	struct http_auth http_auth;
	struct hosts hosts;
	struct status_api *status_api;
	struct page *page;
	struct http_content content;
	struct http *http;
	uint64_t now_ns;
	int listen_fd;
	struct sockaddr_in address;
};

static struct site *site_new(void) {
	struct site *s = calloc(1, sizeof(*s));
	assert_non_null(s);
	s->counters = sources_new();
	assert_non_null(s->counters);
	assert_int_equal(metrics_new(&s->metrics, &s->counters->sources), 0);
	s->health.state = HEALTH_SERVING;
	s->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	s->now_ns = 1;
	s->address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(s->address);
	assert_int_equal(bind(s->listen_fd, (struct sockaddr *)&s->address, len), 0);
	assert_int_equal(listen(s->listen_fd, 128), 0);
	assert_int_equal(getsockname(s->listen_fd, (struct sockaddr *)&s->address, &len), 0);
	assert_int_equal(status_api_new(&s->status_api, &s->counters->sources, &s->health, 0), 0);
	assert_int_equal(page_new(&s->page), 0);
	hosts_init(&s->hosts);
	s->content = (struct http_content){
		.health = &s->health,
		.metrics = s->metrics,
		.http_auth = &s->http_auth,
		.hosts = &s->hosts,
		.status_api = s->status_api,
		.page = s->page,
	};
	assert_int_equal(http_new(&s->http, s->listen_fd, &s->content), 0);
	return s;
}

static void site_free(struct site *s) {
	http_free(s->http);
	page_free(s->page);
	status_api_free(s->status_api);
	metrics_free(s->metrics);
	sources_free(s->counters);
	close(s->listen_fd);
	free(s);
}

static int site_connect(const struct site *s) {
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(fd, (const struct sockaddr *)&s->address, sizeof(s->address)), 0);
	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	return fd;
}

/* One turn of the loop, of at most 2 ms. */
static void turn(struct site *s) {
	struct pollfd p = {.fd = http_fd(s->http), .events = POLLIN};
	int64_t timeout = http_timeout(s->http, s->now_ns);
	poll(&p, 1, timeout >= 0 && timeout < 2 ? (int)timeout : 2);
	http_run(s->http, s->now_ns);
}

/* Reads until the other end closes, or until `pause` turns in a row bring nothing. The result is terminated. */
static char *receive(struct site *s, int fd, unsigned pause, bool *closed) {
	struct buffer b;
	buffer_init(&b);
	*closed = false;
	for (unsigned quiet = 0; quiet < pause && !*closed;) {
		char piece[4096];
		ssize_t n = recv(fd, piece, sizeof(piece), 0);
		if (n > 0) {
			assert_int_equal(buffer_append(&b, piece, (size_t)n, SIZE_MAX), 0);
			quiet = 0;
		} else if (n == 0 || errno != EAGAIN) {
			*closed = true;
		} else {
			turn(s);
			quiet++;
		}
	}
	assert_int_equal(buffer_append(&b, "", 1, SIZE_MAX), 0);
	return b.data;
}

/* Sends `request` on its own connection and returns the response. */
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
		http_run(s->http, s->now_ns);
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

#define CROWD 200
static const char whole_request[] = "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n";

static void say(int fd, const char *text) {
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

static bool is_closed(int fd) {
	char piece[512];
	ssize_t n;
	while ((n = recv(fd, piece, sizeof(piece), 0)) > 0)
		continue;
	return n == 0 || errno != EAGAIN;
}

/* Connects `count` clients that send `text`, and requests /health between them. */
static void crowd_connect(struct site *s, int *crowd, unsigned count, const char *text) {
	for (unsigned i = 0; i < count; i++) {
		crowd[i] = site_connect(s);
		say(crowd[i], text);
		if (i % 16 == 15)
			turn(s);
		if (i % 50 == 49)
			check_alive(s);
	}
}

static void crowd_end(int *crowd, unsigned count) {
	for (unsigned i = 0; i < count; i++)
		close(crowd[i]);
}

static const char *const crowds[] = {"", "GET /health HT", "GET /health HTTP/1.1\r\nX: y\r\n", whole_request};

static void test_health_answers_during_and_after_a_crowd_that_ends_at_once(void **state) {
	static const unsigned counts[] = {31, 32, 33, 47, 48, 49, 64, 65, 128, CROWD};
	struct site *s = site_new();
	int crowd[CROWD];
	(void)state;
	for (unsigned k = 0; k < sizeof(crowds) / sizeof(crowds[0]); k++) {
		for (unsigned i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
			crowd_connect(s, crowd, counts[i], crowds[k]);
			check_alive(s);
			crowd_end(crowd, counts[i]);
			check_alive(s);
		}
	}
	site_free(s);
}

static void test_health_answers_while_a_crowd_ends_one_by_one(void **state) {
	struct site *s = site_new();
	int crowd[CROWD];
	(void)state;
	for (unsigned k = 0; k < sizeof(crowds) / sizeof(crowds[0]); k++) {
		crowd_connect(s, crowd, CROWD, crowds[k]);
		for (unsigned i = 0; i < CROWD; i++) {
			close(crowd[i]);
			turn(s);
			if (i % 40 == 0)
				check_alive(s);
		}
		check_alive(s);
	}
	site_free(s);
}

static void test_the_oldest_idle_client_is_closed_for_a_new_one(void **state) {
	struct site *s = site_new();
	int crowd[CROWD];
	(void)state;
	crowd_connect(s, crowd, CROWD, "GET /health HTTP/1.1\r\nHost: local");
	for (unsigned i = 0; i < 20; i++)
		turn(s);
	assert_true(is_closed(crowd[0]));
	assert_true(is_closed(crowd[100]));
	/* The youngest clients are still connected, and finish their requests. */
	bool closed;
	say(crowd[CROWD - 1], "host\r\n\r\n");
	char *a = receive(s, crowd[CROWD - 1], 10, &closed);
	assert_true(starts(a, "HTTP/1.1 200 OK\r\n"));
	free(a);
	crowd_end(crowd, CROWD);
	site_free(s);
}

static void test_an_unfinished_request_has_five_seconds_even_if_it_grows(void **state) {
	struct site *s = site_new();
	(void)state;
	int fd = site_connect(s), silent = site_connect(s);
	say(fd, "GET /health HTTP/1.1\r\nX: ");
	turn(s);
	assert_in_range((uint64_t)http_timeout(s->http, s->now_ns), 1, 5001);
	for (unsigned i = 0; i < 4; i++) {
		s->now_ns += 1000000000;
		say(fd, "x");
		turn(s);
		assert_false(is_closed(fd));
		assert_false(is_closed(silent));
	}
	s->now_ns += 1000000001;
	assert_int_equal(http_timeout(s->http, s->now_ns), 0);
	turn(s);
	turn(s);
	assert_true(is_closed(fd));
	assert_true(is_closed(silent));
	close(fd);
	close(silent);
	site_free(s);
}

static void test_keep_alive_client_has_five_seconds_after_each_response(void **state) {
	struct site *s = site_new();
	bool closed;
	(void)state;
	int fd = site_connect(s);
	for (unsigned i = 0; i < 3; i++) {
		say(fd, whole_request);
		char *a = receive(s, fd, 5, &closed);
		assert_true(starts(a, "HTTP/1.1 200 OK\r\n"));
		free(a);
		s->now_ns += UINT64_C(4900000000);
		turn(s);
	}
	assert_false(is_closed(fd));
	s->now_ns += 200000000;
	turn(s);
	turn(s);
	assert_true(is_closed(fd));
	close(fd);
	site_free(s);
}

/* A socket with small buffers, and a request with a large response. */
static int slow_reader(struct site *s) {
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), size = 1;
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)), 0);
	assert_int_equal(connect(fd, (const struct sockaddr *)&s->address, sizeof(s->address)), 0);
	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	for (unsigned i = 0; i < 40; i++)
		say(fd, "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n");
	return fd;
}

static void test_slow_readers_do_not_block_other_clients(void **state) {
	struct site *s = site_new();
	int crowd[CROWD / 2];
	(void)state;
	/* Small buffers on the server's side, too: the sockets that it accepts inherit them. */
	int size = 4096;
	assert_int_equal(setsockopt(s->listen_fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)), 0);
	for (unsigned i = 0; i < CROWD / 2; i++) {
		crowd[i] = slow_reader(s);
		turn(s);
		if (i % 20 == 0)
			check_alive(s);
	}
	check_alive(s);
	char *a = ask(s, REQUEST("GET", "/metrics"));
	assert_true(starts(a, "HTTP/1.1 200 OK\r\n"));
	assert_int_equal(strtoul(strstr(a, "Content-Length: ") + 16, NULL, 10), strlen(body(a)));
	free(a);
	/* The first clients are closed; the last ones have ten seconds. */
	assert_true(is_closed(crowd[0]));
	s->now_ns += UINT64_C(10000000000);
	for (unsigned i = 0; i < 10; i++)
		turn(s);
	assert_true(is_closed(crowd[CROWD / 2 - 1]));
	crowd_end(crowd, CROWD / 2);
	check_alive(s);
	site_free(s);
}

/* The waiting clients are served as soon as descriptors are free again. */
static void test_serves_again_after_descriptors_ran_out(void **state) {
	struct site *s = site_new();
	struct rlimit limit, none;
	bool closed;
	(void)state;
	int fd = site_connect(s);
	say(fd, whole_request);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	none = (struct rlimit){.rlim_cur = 3, .rlim_max = limit.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	turn(s);
	struct pollfd p = {.fd = http_fd(s->http), .events = POLLIN};
	assert_int_equal(poll(&p, 1, 0), 0);
	assert_in_range((uint64_t)http_timeout(s->http, s->now_ns), 1, 101);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	s->now_ns += 100000000;
	char *a = receive(s, fd, 10, &closed);
	assert_true(starts(a, "HTTP/1.1 200 OK\r\n"));
	free(a);
	close(fd);
	site_free(s);
}

static void test_the_caller_keeps_the_listening_socket(void **state) {
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
	/* Clients that connect in between wait for the next server. */
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
		cmocka_unit_test(test_health_answers_during_and_after_a_crowd_that_ends_at_once),
		cmocka_unit_test(test_health_answers_while_a_crowd_ends_one_by_one),
		cmocka_unit_test(test_the_oldest_idle_client_is_closed_for_a_new_one),
		cmocka_unit_test(test_an_unfinished_request_has_five_seconds_even_if_it_grows),
		cmocka_unit_test(test_keep_alive_client_has_five_seconds_after_each_response),
		cmocka_unit_test(test_slow_readers_do_not_block_other_clients),
		cmocka_unit_test(test_serves_again_after_descriptors_ran_out),
		cmocka_unit_test(test_the_caller_keeps_the_listening_socket),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
