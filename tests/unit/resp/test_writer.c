#include <math.h>
#include <stdio.h>
#include <string.h>

#include "alloc_fail.h"
#include "atomdb/resp/writer.h"
#include "harness.h"

static struct buffer out;

static int set_up(void **state) {
	(void)state;
	buffer_init(&out);
	return 0;
}

static int tear_down(void **state) {
	(void)state;
	buffer_deinit(&out);
	return 0;
}

/* Checks the bytes written since the last call. */
static void wrote(struct writer *w, struct slice expected) {
	assert_false(w->failed);
	if (!slice_equal(buffer_slice(w->out), expected))
		fail_msg("'%.*s' instead of '%.*s'", (int)w->out->len, w->out->data, (int)expected.len, expected.data);
	w->out->len = 0;
}
#define WROTE(literal) wrote(&w, SLICE(literal))

static void types_of_both_protocols(void **state) {
	struct writer w;
	(void)state;
	writer_init(&w, &out, SIZE_MAX);
	assert_int_equal(w.protocol, 2);
	for (uint8_t protocol = 2; protocol <= 3; protocol++) {
		w.protocol = protocol;
		writer_ok(&w);
		WROTE("+OK\r\n");
		writer_simple(&w, "PONG");
		WROTE("+PONG\r\n");
		writer_integer(&w, 0);
		writer_integer(&w, 9);
		writer_integer(&w, 10);
		writer_integer(&w, -1);
		writer_integer(&w, INT64_MIN);
		WROTE(":0\r\n:9\r\n:10\r\n:-1\r\n:-9223372036854775808\r\n");
		writer_bulk(&w, SLICE("Alice"));
		writer_bulk(&w, SLICE(""));
		writer_bulk(&w, (struct slice){NULL, 0});
		writer_bulk(&w, SLICE("a\r\n\0b"));
		WROTE("$5\r\nAlice\r\n$0\r\n\r\n$0\r\n\r\n$5\r\na\r\n\0b\r\n");
		writer_bulk_integer(&w, -120);
		WROTE("$4\r\n-120\r\n");
		writer_array(&w, 0);
		writer_array(&w, 1000000);
		WROTE("*0\r\n*1000000\r\n");
		writer_raw(&w, SLICE(""));
		WROTE("");
		writer_constant(&w, ":1\r\n");
		WROTE(":1\r\n");
	}
}

static void types_differ_between_protocols(void **state) {
	struct writer w;
	(void)state;
	writer_init(&w, &out, SIZE_MAX);
	writer_null(&w);
	writer_null_array(&w);
	writer_bool(&w, true);
	writer_bool(&w, false);
	WROTE("$-1\r\n*-1\r\n:1\r\n:0\r\n");
	writer_map(&w, 3);
	writer_set(&w, 3);
	writer_push(&w, 3);
	WROTE("*6\r\n*3\r\n*3\r\n");
	writer_verbatim(&w, "txt", SLICE("some\ntext"));
	WROTE("$9\r\nsome\ntext\r\n");
	w.protocol = 3;
	writer_null(&w);
	writer_null_array(&w);
	writer_bool(&w, true);
	writer_bool(&w, false);
	WROTE("_\r\n_\r\n#t\r\n#f\r\n");
	writer_map(&w, 3);
	writer_set(&w, 3);
	writer_push(&w, 3);
	WROTE("%3\r\n~3\r\n>3\r\n");
	writer_verbatim(&w, "txt", SLICE("some\ntext"));
	writer_verbatim(&w, "mkd", SLICE(""));
	WROTE("=13\r\ntxt:some\ntext\r\n=4\r\nmkd:\r\n");
}

static void doubles(void **state) {
	static const struct {
		double value;
		const char *text;
	} cases[] = {
		{0, "0"},
		{1.5, "1.5"},
		{-2, "-2"},
		{3.141, "3.141"},
		{0.1, "0.10000000000000001"},
		{1e300, "1.0000000000000001e+300"},
		{-2.2250738585072014e-308, "-2.2250738585072014e-308"},
		{INFINITY, "inf"},
		{-INFINITY, "-inf"},
		{-NAN, "nan"},
	};
	struct writer w;
	(void)state;
	writer_init(&w, &out, SIZE_MAX);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char expected[64];
		int n = snprintf(expected, sizeof(expected), "$%zu\r\n%s\r\n", strlen(cases[i].text), cases[i].text);
		w.protocol = 2;
		writer_double(&w, cases[i].value);
		wrote(&w, (struct slice){expected, (size_t)n});
		n = snprintf(expected, sizeof(expected), ",%s\r\n", cases[i].text);
		w.protocol = 3;
		writer_double(&w, cases[i].value);
		wrote(&w, (struct slice){expected, (size_t)n});
	}
}

static void errors_stay_on_one_line(void **state) {
	struct writer w;
	char text[2000];
	(void)state;
	writer_init(&w, &out, SIZE_MAX);
	writer_error(&w, "ERR syntax error");
	WROTE("-ERR syntax error\r\n");
	writer_error(&w, "ERR a\r\nb\nc\r\n");
	WROTE("-ERR a  b c\r\n");
	writer_errorf(&w, "ERR unknown command '%s', %d", "a\n+OK\r\n", 7);
	WROTE("-ERR unknown command 'a +OK  ', 7\r\n");
	writer_errorf(&w, "ERR got '%c'", '\r');
	WROTE("-ERR got ' '\r\n");
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	writer_errorf(&w, "ERR %s", text);
	assert_int_equal(out.len, sizeof(text) - 1 + 7);
	assert_memory_equal(out.data, "-ERR xx", 7);
	assert_memory_equal(out.data + out.len - 3, "x\r\n", 3);
	assert_int_equal(w.errors, 5);
}

static void a_length_may_come_last(void **state) {
	struct writer w;
	(void)state;
	writer_init(&w, &out, SIZE_MAX);
	writer_ok(&w);
	size_t outer = writer_mark(&w);
	writer_integer(&w, 1);
	size_t inner = writer_mark(&w);
	for (int i = 0; i < 12; i++)
		writer_integer(&w, 2);
	writer_array_at(&w, inner, 12);
	writer_array_at(&w, outer, 2);
	WROTE("+OK\r\n*2\r\n:1\r\n*12\r\n:2\r\n:2\r\n:2\r\n:2\r\n:2\r\n:2\r\n:2\r\n:2\r\n:2\r\n:2\r\n:2\r\n:2\r\n");
	writer_array_at(&w, writer_mark(&w), 0);
	WROTE("*0\r\n");
}

static void muted_writes_nothing(void **state) {
	struct writer w;
	(void)state;
	writer_init(&w, &out, SIZE_MAX);
	w.muted = true;
	writer_ok(&w);
	writer_bulk(&w, SLICE("a"));
	writer_integer(&w, 1);
	writer_array_at(&w, writer_mark(&w), 1);
	writer_error(&w, "ERR x");
	writer_errorf(&w, "ERR %d", 1);
	WROTE("");
	assert_int_equal(w.errors, 2);
	w.muted = false;
	writer_ok(&w);
	WROTE("+OK\r\n");
}

/* Writes one reply of each kind, 20 to 40 bytes long. */
static void write_kind(struct writer *w, int kind) {
	switch (kind) {
	case 0:
		writer_bulk(w, SLICE("0123456789012345678"));
		break;
	case 1:
		writer_integer(w, INT64_MIN);
		break;
	case 2:
		writer_raw(w, SLICE("+0123456789012345678\r\n"));
		break;
	case 3:
		writer_simple(w, "0123456789012345678");
		break;
	case 4:
		writer_error(w, "ERR 0123456789012345678");
		break;
	case 5:
		writer_errorf(w, "ERR %s", "0123456789012345678");
		break;
	case 6:
		writer_verbatim(w, "txt", SLICE("0123456789012345678"));
		break;
	default:
		writer_double(w, -2.2250738585072014e-308);
		break;
	}
}
enum { KINDS = 8 };

static void a_reply_is_whole_or_absent(void **state) {
	(void)state;
	for (int kind = 0; kind < KINDS; kind++) {
		struct writer w;
		writer_init(&w, &out, SIZE_MAX);
		w.protocol = 3;
		write_kind(&w, kind);
		size_t size = out.len;
		for (size_t limit = 3; limit <= size + 3; limit++) {
			buffer_deinit(&out);
			writer_init(&w, &out, limit);
			w.protocol = 3;
			writer_raw(&w, SLICE("abc"));
			write_kind(&w, kind);
			assert_int_equal(w.failed, limit < size + 3);
			assert_int_equal(out.len, w.failed ? 3 : size + 3);
			writer_raw(&w, SLICE("x"));
			assert_true(w.failed); /* full, or failed before: errors are sticky */
			assert_true(out.cap <= limit);
		}
		out.len = 0;
	}
}

static void any_allocation_may_fail(void **state) {
	(void)state;
	for (int kind = 0; kind < KINDS; kind++) {
		struct writer w;
		buffer_deinit(&out);
		writer_init(&w, &out, SIZE_MAX);
		alloc_fail_at = 1;
		write_kind(&w, kind);
		assert_true(w.failed);
		assert_int_equal(out.len, 0);
		write_kind(&w, kind);
		assert_int_equal(out.len, 0);
		alloc_fail_at = 0;
	}
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(types_of_both_protocols),    TEST(types_differ_between_protocols), TEST(doubles),
		TEST(errors_stay_on_one_line),    TEST(a_length_may_come_last),         TEST(muted_writes_nothing),
		TEST(a_reply_is_whole_or_absent), TEST(any_allocation_may_fail),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
