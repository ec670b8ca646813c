#include "harness.h"
#include "observe/http_request.h"

/* Reads "Name: value" lines, each with one '\n' behind it. */
static bool is_valid(const char *version, const char *lines) {
	struct http_request r = {0};
	while (*lines != '\0') {
		char value[100];
		size_t name = strcspn(lines, ":"), end = strcspn(lines, "\n"), len = end - name - 2;
		memcpy(value, lines + name + 2, len);
		value[len] = '\0';
		http_request_header(&r, (struct slice){lines, name}, value, len);
		lines += end + 1;
	}
	return http_request_valid(&r, version);
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
	struct http_request r = {0};
	http_request_header(&r, SLICE("X"), "a\0b", 3);
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
		cmocka_unit_test(a_target_has_a_path_and_maybe_a_host),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
