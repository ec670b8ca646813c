#include <stdio.h>
#include <string.h>

#include "alloc_fail.h"
#include "atomdb/resp/reader.h"
#include "atomdb/util/error.h"
#include "harness.h"
#include "transcript.h"

static const struct reader_limits authenticated = {INT32_MAX, UINT64_C(512) << 20, true, 1 << 20};
static const struct reader_limits unauthenticated = {10, 16384, false, 4096};

/* Reads one command that takes all of `input`. `expected` has its arguments, terminated by NULL. */
static void expect(struct slice input, const char *const *expected) {
	struct reader r;
	size_t consumed = 0;
	reader_init(&r);
	assert_int_equal(reader_read(&r, input.data, input.len, &authenticated, &consumed), READER_COMMAND);
	assert_int_equal(consumed, input.len);
	for (uint32_t i = 0; i < r.argc; i++) {
		assert_non_null(expected[i]);
		if (!slice_equal(r.argv[i], slice_of(expected[i])))
			fail_msg("'%.*s' instead of '%s'", (int)r.argv[i].len, r.argv[i].data, expected[i]);
	}
	assert_null(expected[r.argc]);
	reader_deinit(&r);
}
#define EXPECT(input, ...) expect(SLICE(input), (const char *const[]){__VA_ARGS__, NULL})

static void multibulk_commands(void **state) {
	(void)state;
	EXPECT("*1\r\n$4\r\nPING\r\n", "PING");
	EXPECT("*3\r\n$3\r\nSET\r\n$4\r\nna\r\n\r\n$0\r\n\r\n", "SET", "na\r\n", "");
	EXPECT("*1\rX$4\rXPINGXX", "PING");
}

static void inline_commands(void **state) {
	(void)state;
	EXPECT("PING\r\n", "PING");
	EXPECT("PING\n", "PING");
	EXPECT("  SET\ta   b \r\n", "SET", "a", "b");
	EXPECT("ECHO \"a b\"\r\n", "ECHO", "a b");
	EXPECT("ECHO \"\\x41\\x4a\\xZZ\\x4\\n\\r\\t\\b\\a\\q\\\\\\\"\"\r\n", "ECHO", "AJxZZx4\n\r\t\b\aq\\\"");
	EXPECT("ECHO 'a\\'b\\n\"' x\r\n", "ECHO", "a'b\\n\"", "x");
	EXPECT("ECHO a\"b c\"\r\n", "ECHO", "ab c");
	EXPECT("ECHO a\\ b\r\n", "ECHO", "a\\", "b");
	EXPECT("ECHO ab\rcd\r\n", "ECHO", "ab", "cd");
	EXPECT("ECHO ab\r\r\n", "ECHO", "ab");
	EXPECT("ECHO \"ab\r\"\r\n", "ECHO", "ab\r");
	EXPECT("ECHO \vab\f\r\n", "ECHO", "ab\f");
	EXPECT("\"\"\r\n", "");
	EXPECT("ECHO \xa0"
	       "a\r\n",
	       "ECHO",
	       "\xa0"
	       "a");
}

static void empty_commands_are_skipped(void **state) {
	static const char *const inputs[] = {"\r\n", "\n", "  \t\v\r\n", "*0\r\n", "*-1\r\n", "*-12345678901234\r\n"};
	(void)state;
	for (size_t i = 0; i < sizeof(inputs) / sizeof(inputs[0]); i++) {
		struct reader r;
		size_t consumed = 0;
		reader_init(&r);
		assert_int_equal(reader_read(&r, inputs[i], strlen(inputs[i]), &unauthenticated, &consumed),
				 READER_EMPTY);
		assert_int_equal(consumed, strlen(inputs[i]));
		reader_deinit(&r);
	}
}

static void errors_have_the_texts_of_redis(void **state) {
	static const struct {
		const char *input, *error;
		bool authenticated;
	} cases[] = {
		{"*\r\n", "invalid multibulk length", true},
		{"*a\r\n", "invalid multibulk length", true},
		{"* 1\r\n", "invalid multibulk length", true},
		{"*01\r\n", "invalid multibulk length", true},
		{"*-0\r\n", "invalid multibulk length", true},
		{"*2147483648\r\n", "invalid multibulk length", true},
		{"*2147483648\r\n", "invalid multibulk length", false},
		{"*11\r\n", "unauthenticated multibulk length", false},
		{"*2147483647\r\n", "unauthenticated multibulk length", false},
		{"*1\r\n$-1\r\n", "invalid bulk length", true},
		{"*1\r\n$-1\r\n", "invalid bulk length", false},
		{"*1\r\n$\r\n", "invalid bulk length", true},
		{"*1\r\n$1x\r\n", "invalid bulk length", true},
		{"*1\r\n$00\r\n", "invalid bulk length", true},
		{"*1\r\n$536870913\r\n", "invalid bulk length", true},
		{"*1\r\n$536870913\r\n", "invalid bulk length", false},
		{"*1\r\n$16385\r\n", "unauthenticated bulk length", false},
		{"*1\r\n$536870912\r\n", "unauthenticated bulk length", false},
		{"*1\r\nX4\r\n", "expected '$', got 'X'", true},
		{"*1\r\n\r\n", "expected '$', got '\r'", true},
		{"*1\r\n\xff\r\n", "expected '$', got '\xff'", true},
		{"SET a \"b\r\n", "unbalanced quotes in request", true},
		{"SET a 'b\r\n", "unbalanced quotes in request", true},
		{"SET a 'b'c\r\n", "unbalanced quotes in request", true},
		{"SET a \"b\\\"\r\n", "unbalanced quotes in request", true},
		{"SET a \"b\"\"c\"\r\n", "unbalanced quotes in request", true},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct reader r;
		size_t consumed = 7;
		reader_init(&r);
		int got = reader_read(&r, cases[i].input, strlen(cases[i].input),
				      cases[i].authenticated ? &authenticated : &unauthenticated, &consumed);
		assert_int_equal(got, ATOMDB_E_PROTOCOL);
		assert_int_equal(consumed, 7);
		assert_memory_equal(r.error, "Protocol error: ", 16);
		assert_string_equal(r.error + 16, cases[i].error);
		reader_deinit(&r);
	}
}

static void limits_are_inclusive(void **state) {
	static const char *const within[] = {"*10\r\n", "*1\r\n$16384\r\n"};
	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct reader r;
		size_t consumed;
		reader_init(&r);
		assert_int_equal(reader_read(&r, within[i], strlen(within[i]), &unauthenticated, &consumed),
				 READER_UNFINISHED);
		reader_deinit(&r);
	}
}

static void lines_without_end_are_refused(void **state) {
	static const struct {
		const char *head, *error;
	} cases[] = {
		{"P", "Protocol error: too big inline request"},
		{"*", "Protocol error: too big mbulk count string"},
		{"*1\r\n$", "Protocol error: too big bulk count string"},
	};
	enum { LINE = 64 * 1024 };
	static char input[LINE + 16];
	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct reader r;
		size_t consumed, prefix = strlen(cases[i].head) - 1;
		memset(input, '1', sizeof(input));
		memcpy(input, cases[i].head, prefix + 1);
		reader_init(&r);
		assert_int_equal(reader_read(&r, input, prefix + LINE, &authenticated, &consumed), READER_UNFINISHED);
		assert_int_equal(reader_read(&r, input, prefix + LINE + 1, &authenticated, &consumed),
				 ATOMDB_E_PROTOCOL);
		assert_string_equal(r.error, cases[i].error);
		reader_deinit(&r);
	}
}

static void announced_arguments_take_no_memory(void **state) {
	static const char input[] = "*1048576\r\n$1\r\na\r\n$1\r\nb\r\n";
	struct reader r;
	size_t consumed;
	(void)state;
	reader_init(&r);
	assert_int_equal(reader_read(&r, input, sizeof(input) - 1, &authenticated, &consumed), READER_UNFINISHED);
	assert_true(reader_memory(&r) <= 16 * sizeof(struct slice));
	reader_deinit(&r);
}

static void slots_are_bounded(void **state) {
	struct reader_limits tight = authenticated;
	char input[2048];
	int n = snprintf(input, sizeof(input), "*100\r\n");
	(void)state;
	for (int i = 0; i < 100; i++)
		n += snprintf(input + n, sizeof(input) - (size_t)n, "$1\r\nx\r\n");
	for (int inlined = 0; inlined < 2; inlined++) {
		struct reader r;
		size_t consumed;
		reader_init(&r);
		tight.max_bytes = 99 * sizeof(struct slice);
		assert_int_equal(reader_read(&r, input, (size_t)n, &tight, &consumed), ATOMDB_E_RANGE);
		assert_true(r.cap * sizeof(struct slice) <= tight.max_bytes);
		reader_reset(&r);
		tight.max_bytes = 100 * sizeof(struct slice);
		assert_int_equal(reader_read(&r, input, (size_t)n, &tight, &consumed), READER_COMMAND);
		assert_int_equal(r.argc, 100);
		reader_deinit(&r);
		for (n = 0; n < 200; n += 2)
			memcpy(input + n, n < 198 ? "x " : "x\n", 2);
	}
}

static void slots_are_reused_and_large_ones_given_back(void **state) {
	static char large[5000 * 2];
	struct reader r;
	size_t consumed;
	(void)state;
	for (size_t i = 0; i < sizeof(large); i += 2)
		memcpy(large + i, "x ", 2);
	large[sizeof(large) - 1] = '\n';
	reader_init(&r);
	assert_int_equal(reader_read(&r, "GET a\n", 6, &authenticated, &consumed), READER_COMMAND);
	alloc_fail_seen = 0;
	for (int i = 0; i < 100; i++)
		assert_int_equal(reader_read(&r, "GET a\n", 6, &authenticated, &consumed), READER_COMMAND);
	assert_int_equal(alloc_fail_seen, 0);
	size_t small = reader_memory(&r);
	assert_int_equal(reader_read(&r, large, sizeof(large), &authenticated, &consumed), READER_COMMAND);
	assert_int_equal(r.argc, 5000);
	assert_true(reader_memory(&r) > 5000 * sizeof(struct slice));
	assert_int_equal(reader_read(&r, "GET a\n", 6, &authenticated, &consumed), READER_COMMAND);
	assert_true(reader_memory(&r) <= small);
	reader_deinit(&r);
	assert_int_equal(reader_memory(&r), 0);
}

static void a_large_argument_tells_its_size(void **state) {
	static const char input[] = "*2\r\n$4\r\nECHO\r\n$100000\r\nabc";
	struct reader r;
	size_t consumed;
	(void)state;
	reader_init(&r);
	assert_int_equal(reader_need(&r), 0);
	assert_int_equal(reader_read(&r, input, 9, &authenticated, &consumed), READER_UNFINISHED);
	assert_int_equal(reader_need(&r), 14);
	assert_int_equal(reader_read(&r, input, 16, &authenticated, &consumed), READER_UNFINISHED);
	assert_int_equal(reader_need(&r), 0);
	assert_int_equal(reader_read(&r, input, sizeof(input) - 1, &authenticated, &consumed), READER_UNFINISHED);
	assert_int_equal(reader_need(&r), 23 + 100000 + 2);
	reader_reset(&r);
	assert_int_equal(reader_need(&r), 0);
	assert_int_equal(reader_read(&r, "PING\n", 5, &authenticated, &consumed), READER_COMMAND);
	reader_deinit(&r);
}

static void usual_commands_at_once(void **state) {
	static const struct {
		const char *input;
		unsigned taken;
	} cases[] = {
		{"*1\r\n$4\r\nPING\r\n", 1},
		{"*2\r\n$3\r\nGET\r\n$1\r\na\r\n*1\r\n$4\r\nPING\r\n", 2},
		{"*2\r\n$3\r\nGET\r\n$0\r\n\r\n", 1},
		{"*2\r\n$3\r\nGET\r\n$12\r\nabcdefghijkl\r\n", 1},
		{"*2\r\n$3\r\nGET\r\n$12\r\nabcdefghijkl\r", 0},
		{"*1\r\n$4\r\nPING\r\n*1\r\n$4\r\nPIN", 1},
		{"*1\r\n$4\r\nPING\r\nPING\r\n", 1},
		{"*1\rX$4\rXPINGXX*1\r\n$4\r\nPING\r\n", 2},
		/* Left to reader_read(). */
		{"PING\r\n", 0},
		{"*0\r\n", 0},
		{"*-1\r\n", 0},
		{"*01\r\n$4\r\nPING\r\n", 0},
		{"*1\r\n$04\r\nPING\r\n", 0},
		{"*1\r\n$0004\r\nPING\r\n", 0},
		{"*1\r\n$-1\r\nPING\r\n", 0},
		{"*1\r\n$999999\r\nPING\r\n", 0},
		{"*1\r\n$12345", 0},
		{"*1\r\n$123456", 0},
		{"*1\r\n$", 0},
		{"*1\r\n#4\r\nPING\r\n", 0},
		{"*10\r\n$4\r\nPING\r\n", 0},
		{"*", 0},
		{"", 0},
	};
	char large[2000];
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(transcript_usual(cases[i].input, strlen(cases[i].input)), cases[i].taken);
	/* Lengths of three digits; then more commands than `slots` can hold. */
	int n = snprintf(large, sizeof(large),
			 "*2\r\n$4\r\nECHO\r\n$123\r\n%0123d\r\n*2\r\n$4\r\nECHO\r\n$1000\r\n%01000d\r\n", 1, 2);
	assert_int_equal(transcript_usual(large, (size_t)n), 2);
	for (n = 0; n < 20; n++)
		memcpy(large + n * 14, "*1\r\n$4\r\nPING\r\n", 14);
	assert_int_equal(transcript_usual(large, (size_t)n * 14), 16);
	for (n = 0; n < 7; n++)
		memcpy(large + n * 46, "*7\r\n$0\r\n\r\n$0\r\n\r\n$0\r\n\r\n$0\r\n\r\n$0\r\n\r\n$0\r\n\r\n$0\r\n\r\n",
		       46);
	assert_int_equal(transcript_usual(large, (size_t)n * 46), 5);
}

/* Passes `input` in pieces of `piece` bytes, as a connection does. Consumed bytes are not passed again. */
static void skip_in_pieces(const char *input, size_t given_up_at, size_t piece) {
	struct reader r;
	const struct reader_limits limits = {
		.max_args = INT32_MAX, .max_bulk = 1000, .authenticated = true, .max_bytes = SIZE_MAX};
	size_t len = strlen(input), done = 0, consumed = 0;
	reader_init(&r);
	assert_int_equal(reader_read(&r, input, given_up_at, &limits, &consumed), READER_UNFINISHED);
	size_t dropped = reader_give_up(&r);
	assert_in_range(dropped, 1, given_up_at);
	done = dropped;
	int result = READER_UNFINISHED;
	for (size_t there = given_up_at; result == READER_UNFINISHED; there += piece) {
		consumed = 0;
		result = reader_read(&r, input + done, (there < len ? there : len) - done, &limits, &consumed);
		done += consumed;
		assert_int_equal(reader_need(&r), 0);
		assert_true(result != READER_UNFINISHED || reader_busy(&r));
		assert_true(result != READER_UNFINISHED || there < len);
	}
	assert_int_equal(result, READER_EMPTY);
	assert_false(reader_busy(&r));
	assert_int_equal(reader_read(&r, input + done, len - done, &limits, &consumed), READER_COMMAND);
	assert_int_equal(r.argc, 1);
	assert_memory_equal(r.argv[0].data, "PING", 4);
	reader_deinit(&r);
}

static void the_rest_of_a_given_up_command_is_skipped(void **state) {
	static const char input[] = "*4\r\n$3\r\nSET\r\n$0\r\n\r\n$21\r\n*1\r\n$4\r\nPING\r\nPING\r\n\r\r\n$1\r\nx\r\n"
				    "*1\r\n$4\r\nPING\r\n";
	(void)state;
	size_t command = strlen(input) - strlen("*1\r\n$4\r\nPING\r\n");
	for (size_t at = 4; at < command; at++)
		for (size_t piece = 1; piece <= strlen(input); piece++)
			skip_in_pieces(input, at, piece);
}

static void a_command_without_header_cannot_be_given_up(void **state) {
	struct reader r;
	const struct reader_limits limits = {.max_args = 10, .max_bulk = 1000, .max_bytes = SIZE_MAX};
	size_t consumed;
	(void)state;
	reader_init(&r);
	assert_int_equal(reader_read(&r, "*3\r", 3, &limits, &consumed), READER_UNFINISHED);
	assert_int_equal(reader_give_up(&r), 0);
	reader_reset(&r);
	assert_int_equal(reader_read(&r, "SET a", 5, &limits, &consumed), READER_UNFINISHED);
	assert_int_equal(reader_give_up(&r), 0);
	reader_deinit(&r);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(multibulk_commands),
		cmocka_unit_test(inline_commands),
		cmocka_unit_test(usual_commands_at_once),
		cmocka_unit_test(empty_commands_are_skipped),
		cmocka_unit_test(errors_have_the_texts_of_redis),
		cmocka_unit_test(limits_are_inclusive),
		cmocka_unit_test(lines_without_end_are_refused),
		cmocka_unit_test(announced_arguments_take_no_memory),
		cmocka_unit_test(slots_are_bounded),
		cmocka_unit_test(slots_are_reused_and_large_ones_given_back),
		cmocka_unit_test(a_large_argument_tells_its_size),
		cmocka_unit_test(the_rest_of_a_given_up_command_is_skipped),
		cmocka_unit_test(a_command_without_header_cannot_be_given_up),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
