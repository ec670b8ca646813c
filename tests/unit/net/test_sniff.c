#include <stdlib.h>

#include "harness.h"
#include "net/sniff.h"

static enum sniff sniff(struct slice text) {
	struct slice line = {NULL, 0};
	/* On the heap, so that a sanitizer sees a read beyond the end. */
	char *copy = malloc(text.len > 0 ? text.len : 1);
	memcpy(copy, text.data, text.len);
	enum sniff s = sniff_first_line((struct slice){copy, text.len}, &line);
	if (s == SNIFF_HTTP) {
		assert_ptr_equal(line.data, copy);
		assert_true(line.len < text.len && copy[line.len] != ' ');
	}
	free(copy);
	return s;
}

static void finds_http(void **state) {
	(void)state;
	assert_int_equal(sniff(SLICE("GET / HTTP/1.1\r\nHost: x\r\n")), SNIFF_HTTP);
	assert_int_equal(sniff(SLICE("POST /a%20b HTTP/1.0\n")), SNIFF_HTTP);
	assert_int_equal(sniff(SLICE("OPTIONS * HTTP/1.1\r\n")), SNIFF_HTTP);
	assert_int_equal(sniff(SLICE("PRI * HTTP/2.0\r\n")), SNIFF_HTTP);
	assert_int_equal(sniff(SLICE("CONNECT localhost:22 HTTP/1.1\r\n")), SNIFF_HTTP);
	assert_int_equal(sniff(SLICE("GET http://127.0.0.1:8080/ HTTP/1.1\r\n")), SNIFF_HTTP);
}

static void waits_for_the_line(void **state) {
	static const char text[] = "GET / HTTP/1.1\r\n";
	(void)state;
	for (size_t n = 0; n < sizeof(text) - 2; n++)
		assert_int_equal(sniff((struct slice){text, n}), SNIFF_MORE);
	assert_int_equal(sniff((struct slice){text, sizeof(text) - 1}), SNIFF_HTTP);
}

static void lets_commands_pass(void **state) {
	(void)state;
	assert_int_equal(sniff(SLICE("*1\r\n")), SNIFF_OTHER);
	assert_int_equal(sniff(SLICE("*")), SNIFF_OTHER);
	assert_int_equal(sniff(SLICE("\r\n")), SNIFF_OTHER);
	assert_int_equal(sniff(SLICE("\x16\x03\x01\x02")), SNIFF_OTHER);
	assert_int_equal(sniff(SLICE("GET key\r\n")), SNIFF_OTHER);
	assert_int_equal(sniff(SLICE("GET HTTP/1.1\r\n")), SNIFF_OTHER);
	assert_int_equal(sniff(SLICE("SET proto HTTP/1.1\r\n")), SNIFF_OTHER);
	assert_int_equal(sniff(SLICE("SET /x HTTP/1.1x\r\n")), SNIFF_OTHER);
	assert_int_equal(sniff(SLICE("GET  HTTP/1.1\r\n")), SNIFF_OTHER);
	assert_int_equal(sniff(SLICE("PING\n")), SNIFF_OTHER);
	assert_int_equal(sniff(SLICE("A\n")), SNIFF_OTHER);
	assert_int_equal(sniff(SLICE("get / HTTP/1.1\n")), SNIFF_OTHER);
}

static void gives_up_on_endless_lines(void **state) {
	static char text[70000];
	(void)state;
	memset(text, 'A', sizeof(text));
	assert_int_equal(sniff((struct slice){text, 1000}), SNIFF_MORE);
	assert_int_equal(sniff((struct slice){text, sizeof(text)}), SNIFF_OTHER);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_http),
		cmocka_unit_test(waits_for_the_line),
		cmocka_unit_test(lets_commands_pass),
		cmocka_unit_test(gives_up_on_endless_lines),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
