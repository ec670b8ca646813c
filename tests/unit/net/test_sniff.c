#include <stdlib.h>

#include "atomdb/resp/reader.h"
#include "harness.h"
#include "net/sniff.h"

static enum sniff sniff(struct slice text) {
	struct slice line = {NULL, 0};
	/* On the heap, so that a sanitizer detects a read beyond the end. */
	char *copy = malloc(text.len > 0 ? text.len : 1);
	memcpy(copy, text.data, text.len);
	enum sniff s = sniff_first_line((struct slice){copy, text.len}, &line);
	if (s == SNIFF_HTTP)
		assert_true(line.data >= copy && line.len > 0 && line.data + line.len <= copy + text.len);
	free(copy);
	return s;
}

static void finds_http(void **state) {
	static const char *const lines[] = {
		"GET / HTTP/1.1\r\nHost: x\r\n",
		"POST /a%20b HTTP/1.0\n",
		"OPTIONS * HTTP/1.1\r\n",
		"PRI * HTTP/2.0\r\n",
		"CONNECT localhost:22 HTTP/1.1\r\n",
		"GET http://127.0.0.1:8080/ HTTP/1.1\r\n",
		"GET ws://127.0.0.1/ HTTP/1.1\r\n",
		"get / http/1.1\n",
		"M-SEARCH * HTTP/1.1\r\n",
		"x!y /a HTTP/1.1\r\n",
		"SET /a HTTP/1.1\r\n",
		"GET /a b c HTTP/1.1\r\n",
		"GET\t/\tHTTP/1.1\r\n",
		"  GET  /   HTTP/1.10 \r\r\n",
		"\r\n\n \t\r\nGET / HTTP/1.1\r\n",
		"GET / HTTP/2\n",
		"PUT /x\r\n",
		"POST\r\n",
		"post x\n",
		"Host:localhost\r\n",
		"hOST: x\r\n",
	};
	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		assert_int_equal(sniff(slice_of(lines[i])), SNIFF_HTTP);
}

static void finds_tls(void **state) {
	(void)state;
	assert_int_equal(sniff(SLICE("\x16\x03\x01\x02")), SNIFF_TLS);
	assert_int_equal(sniff(SLICE("\x16\x03")), SNIFF_TLS);
	assert_int_equal(sniff(SLICE("\x16")), SNIFF_MORE);
}

static void waits_for_the_line(void **state) {
	static const char text[] = "\r\n\nGET / HTTP/1.1\r\n";
	(void)state;
	for (size_t n = 0; n < sizeof(text) - 2; n++)
		assert_int_equal(sniff((struct slice){text, n}), SNIFF_MORE);
	assert_int_equal(sniff((struct slice){text, sizeof(text) - 1}), SNIFF_HTTP);
}

static void lets_commands_pass(void **state) {
	static const char *const lines[] = {
		"*1\r\n",
		"*",
		"\r\n*1\r\n",
		"\x16\n",
		"GET key\r\n",
		"GET /key\r\n",
		"GET http://x/\r\n",
		"GET HTTP/1.1\r\n",
		"SET proto HTTP/1.1\r\n",
		"SET /x HTTP/1.1x\r\n",
		"SET /x HTTP/\r\n",
		"SET * HTTP\r\n",
		"GET  HTTP/1.1\r\n",
		"KEYS *\r\n",
		"\"GET\" / HTTP/1.1\r\n",
		"POS T\r\n",
		"Host x\r\n",
		"PING\n",
		"A\n",
	};
	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		assert_int_equal(sniff(slice_of(lines[i])), SNIFF_OTHER);
}

static void looks_at_the_beginning_of_endless_lines(void **state) {
	static char text[70000];
	(void)state;
	memset(text, 'A', sizeof(text));
	assert_int_equal(sniff((struct slice){text, 1000}), SNIFF_MORE);
	assert_int_equal(sniff((struct slice){text, READER_LINE_MAX}), SNIFF_MORE);
	assert_int_equal(sniff((struct slice){text, READER_LINE_MAX + 1}), SNIFF_OTHER);
	memcpy(text, "GET /", 5);
	assert_int_equal(sniff((struct slice){text, READER_LINE_MAX}), SNIFF_MORE);
	assert_int_equal(sniff((struct slice){text, sizeof(text)}), SNIFF_HTTP);
	/* The longest line that the reader accepts. */
	memcpy(text + READER_LINE_MAX - 9, " HTTP/1.1\n", 10);
	assert_int_equal(sniff((struct slice){text, READER_LINE_MAX + 1}), SNIFF_HTTP);
	text[READER_LINE_MAX - 9] = 'A';
	assert_int_equal(sniff((struct slice){text, READER_LINE_MAX + 1}), SNIFF_OTHER);
}

static void tells_why_a_line_was_no_command(void **state) {
	static char text[200000];
	(void)state;
	memset(text, 'A', sizeof(text));
	assert_false(sniff_begins_like_http((struct slice){text, sizeof(text)}));
	memcpy(text, "GET /", 5);
	assert_true(sniff_begins_like_http((struct slice){text, sizeof(text)}));
	memcpy(text, "POST ", 5);
	assert_true(sniff_begins_like_http((struct slice){text, sizeof(text)}));
	assert_true(sniff_begins_like_http(SLICE("host: \"x\r\n")));
	assert_false(sniff_begins_like_http(SLICE("*1\r\n/")));
	assert_false(sniff_begins_like_http(SLICE("GET /key \"\r\n")));
	assert_false(sniff_begins_like_http(SLICE("")));
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_http),
		cmocka_unit_test(finds_tls),
		cmocka_unit_test(waits_for_the_line),
		cmocka_unit_test(lets_commands_pass),
		cmocka_unit_test(looks_at_the_beginning_of_endless_lines),
		cmocka_unit_test(tells_why_a_line_was_no_command),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
