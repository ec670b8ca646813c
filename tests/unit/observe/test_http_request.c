#include "harness.h"
#include "observe/http_request.h"

/* Reads "Name: value" lines, each with one '\n' behind it, in the form in which libmicrohttpd leaves the memory. */
static bool is_valid(const char *version, const char *lines) {
	char head[200] = {0}, *line = head;
	assert_true(strlen(lines) + 2 < sizeof(head));
	memcpy(head, lines, strlen(lines));
	struct http_request r = {.end = head};
	while (*line != '\0') {
		size_t name = strcspn(line, ":"), end = strcspn(line, "\n");
		line[name] = line[end] = '\0';
		http_request_header(&r, (struct slice){line, name}, line + name + 2, end - name - 2);
		line += end + 1;
	}
	return http_request_valid(&r, version, line + 1);
}

static void read_at(struct http_request *r, const char *name, const char *value) {
	http_request_header(r, slice_of(name), value, strlen(value));
}

static void headers_that_leave_bytes_between_them_are_not_valid(void **state) {
	/* The second line is cut at a NUL, or there is a third one. */
	static const char whole[] = "\0\0Host\0 \tx\0\0Via\0y\0\0\0\0", cut[] = "\0\0Host\0 \tx\0\0Via\0y\0z\0\0\0\0",
			  other[] = "Host", far[] = "x";
	struct http_request r = {.end = whole};
	(void)state;
	read_at(&r, whole + 2, whole + 9);
	read_at(&r, whole + 12, whole + 16);
	assert_true(http_request_valid(&r, "HTTP/1.1", whole + sizeof(whole) - 1));
	assert_false(http_request_valid(&r, "HTTP/1.1", whole + sizeof(whole)));
	assert_false(http_request_valid(&r, "HTTP/1.1", whole + 16));
	r = (struct http_request){.end = cut};
	read_at(&r, cut + 2, cut + 9);
	read_at(&r, cut + 12, cut + 16);
	assert_false(r.malformed);
	assert_false(http_request_valid(&r, "HTTP/1.1", cut + sizeof(cut) - 1));
	/* A header is missing. */
	r = (struct http_request){.end = whole};
	read_at(&r, whole + 12, whole + 16);
	assert_true(r.malformed);
	/* A name, or a value, is not in the head. */
	r = (struct http_request){.end = whole};
	read_at(&r, other, whole + 9);
	assert_true(r.malformed);
	r = (struct http_request){.end = whole};
	read_at(&r, whole + 2, far);
	assert_true(r.malformed);
	/* The name is longer than the text before the value. */
	r = (struct http_request){.end = whole};
	http_request_header(&r, (struct slice){whole + 2, 8}, whole + 9, 1);
	assert_true(r.malformed);
}

static void usual_requests_are_valid(void **state) {
	(void)state;
	assert_true(is_valid("HTTP/1.1", "Host: x\nAccept: */*\n"));
	assert_true(is_valid("HTTP/1.1", "host: x\nContent-Length: 0\n"));
	assert_true(is_valid("HTTP/1.1", "Host: x\nContent-Length: 123456789012345678\n"));
	assert_true(is_valid("HTTP/1.1", "Host: x\nTransfer-Encoding: Chunked\n"));
	assert_true(is_valid("HTTP/1.1", "Host: \n"));
	assert_true(is_valid("HTTP/1.0", ""));
	assert_true(is_valid("HTTP/1.0", "Host: x\nContent-Length: 5\n"));
}

static void requests_that_can_be_read_in_two_ways_are_not(void **state) {
	static const char *const heads[] = {
		"",
		"Host: x\nHost: x\n",
		"Host: x\nHOST: y\n",
		"Host: x\nContent-Length: 5\nContent-Length: 5\n",
		"Host: x\nContent-Length: 5\ncontent-length: 6\n",
		"Host: x\nContent-Length: 5\nTransfer-Encoding: chunked\n",
		"Host: x\nTransfer-Encoding: chunked\nTransfer-Encoding: chunked\n",
		"Host: x\nTransfer-Encoding: identity\n",
		"Host: x\nTransfer-Encoding: gzip, chunked\n",
		"Host: x\nTransfer-Encoding: \n",
		"Host: x\nContent-Length: \n",
		"Host: x\nContent-Length: +5\n",
		"Host: x\nContent-Length: -5\n",
		"Host: x\nContent-Length: 5, 5\n",
		"Host: x\nContent-Length: 0x5\n",
		"Host: x\nContent-Length: 5 \n",
		"Host: x\nContent-Length: 1234567890123456789\n",
		"Host: x\nContent-Length : 5\n",
		"Host: x\n Content-Length: 5\n",
		"Host: x\nX: a\rContent-Length: 5\n",
		"Host: x\n: y\n",
	};
	(void)state;
	for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++)
		assert_false(is_valid("HTTP/1.1", heads[i]));
	assert_false(is_valid("HTTP/1.0", "Transfer-Encoding: chunked\n"));
	static const char nul[] = "X\0a\0b";
	struct http_request r = {.end = nul};
	http_request_header(&r, (struct slice){nul, 1}, nul + 2, 3);
	assert_true(r.malformed);
}

static void a_target_has_a_path_and_maybe_a_host(void **state) {
	static const struct {
		const char *target, *host, *path;
	} cases[] = {
		{"/health", "", "/health"},
		{"/", "", "/"},
		{"*", "", "*"},
		{"http://localhost/health", "localhost", "/health"},
		{"HTTP://localhost:8081/metrics", "localhost:8081", "/metrics"},
		{"https://[::1]:80//x", "[::1]:80", "//x"},
		{"http://localhost", "localhost", "/"},
		{"http:///health", "", "/health"},
		{"ftp://localhost/health", "", "ftp://localhost/health"},
		{"/http://localhost/health", "", "/http://localhost/health"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct slice host = {NULL, 0};
		assert_string_equal(http_target_path(cases[i].target, &host), cases[i].path);
		assert_true(slice_equal(host, slice_of(cases[i].host)));
	}
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(usual_requests_are_valid),
		cmocka_unit_test(requests_that_can_be_read_in_two_ways_are_not),
		cmocka_unit_test(headers_that_leave_bytes_between_them_are_not_valid),
		cmocka_unit_test(a_target_has_a_path_and_maybe_a_host),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
