/* The quoting rules of inline commands. */
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "resp/inline.h"

/* Reads the argument at the start of `line`. Expects its unquoted bytes, and the rest of the line behind it. */
static void reads(struct slice line, struct slice argument, const char *rest) {
	char bytes[64];
	char *out = bytes;
	const char *p = line.data, *end = line.data + line.len;
	assert_true(line.len <= sizeof(bytes));
	assert_true(inline_argument(&p, end, &out));
	assert_int_equal(out - bytes, argument.len);
	assert_memory_equal(bytes, argument.data, argument.len);
	assert_int_equal(end - p, strlen(rest));
	assert_memory_equal(p, rest, strlen(rest));
}

/* The line ends where its memory ends: AddressSanitizer reports a read behind it. */
static void refuses(const char *line) {
	size_t length = strlen(line);
	char bytes[64];
	char *out = bytes, *copy = malloc(length);
	const char *p = copy;
	assert_non_null(copy);
	memcpy(copy, line, length);
	assert_false(inline_argument(&p, copy + length, &out));
	free(copy);
}

static void test_every_blank_before_an_argument_is_skipped(void **state) {
	static const char line[] = " \t\n\v\f\rx ";
	const char *p = line;
	(void)state;
	assert_true(inline_next(&p, line + sizeof(line) - 1));
	assert_ptr_equal(p, line + 6);
	assert_true(inline_next(&p, line + sizeof(line) - 1));
	assert_ptr_equal(p, line + 6);
	p = line;
	assert_false(inline_next(&p, line + 6));
	assert_ptr_equal(p, line + 6);
	/* NUL is not a blank. */
	p = "\0";
	assert_true(inline_next(&p, p + 1));
}

static void test_an_argument_ends_at_a_blank_but_not_at_a_vertical_tab(void **state) {
	(void)state;
	reads(SLICE("SET key"), SLICE("SET"), " key");
	reads(SLICE("a\tb"), SLICE("a"), "\tb");
	reads(SLICE("a\rb"), SLICE("a"), "\rb");
	reads(SLICE("a\nb"), SLICE("a"), "\nb");
	reads(SLICE("a\vb\fc d"), SLICE("a\vb\fc"), " d");
	reads(SLICE("a\\n\0b c"), SLICE("a\\n\0b"), " c");
}

static void test_double_quotes_keep_blanks_and_read_escape_sequences(void **state) {
	(void)state;
	reads(SLICE("\"\""), SLICE(""), "");
	reads(SLICE("\"a 'b\" c"), SLICE("a 'b"), " c");
	reads(SLICE("\"\\n\\r\\t\\b\\a\""), SLICE("\n\r\t\b\a"), "");
	reads(SLICE("\"\\\"\\\\\\'\\q\""), SLICE("\"\\'q"), "");
	reads(SLICE("\"\\x00\\x4a\\xFf\""), SLICE("\0J\xff"), "");
	/* The two digits of \x must both be hexadecimal. */
	reads(SLICE("\"\\xg0\\x0g\\x1\""), SLICE("xg0x0gx1"), "");
	reads(SLICE("ab\"c d\" e"), SLICE("abc d"), " e");
}

static void test_single_quotes_escape_only_the_single_quote(void **state) {
	(void)state;
	reads(SLICE("'a \"b' c"), SLICE("a \"b"), " c");
	reads(SLICE("'it\\'s'"), SLICE("it's"), "");
	reads(SLICE("'\\n\\x41\\\\.'"), SLICE("\\n\\x41\\\\."), "");
	/* A backslash does not escape itself. */
	refuses("'\\\\'");
}

static void test_a_quote_must_be_closed_before_a_blank_or_the_end(void **state) {
	(void)state;
	refuses("\"");
	refuses("'");
	refuses("\"a");
	refuses("'a b");
	refuses("a\"");
	refuses("\"a\\\"");
	refuses("'a\\'");
	refuses("\"a\\");
	refuses("\"a\"b");
	refuses("'a''b'");
	refuses("\"a\\x4");
	reads(SLICE("\"a\"\vb"), SLICE("a"), "\vb");
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_blank_before_an_argument_is_skipped),
		cmocka_unit_test(test_an_argument_ends_at_a_blank_but_not_at_a_vertical_tab),
		cmocka_unit_test(test_double_quotes_keep_blanks_and_read_escape_sequences),
		cmocka_unit_test(test_single_quotes_escape_only_the_single_quote),
		cmocka_unit_test(test_a_quote_must_be_closed_before_a_blank_or_the_end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
