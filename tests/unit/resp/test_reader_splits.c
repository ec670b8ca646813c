#include <errno.h>

#include "alloc_fail.h"
#include "harness.h"
#include "transcript.h"

static const struct reader_limits authenticated = {INT32_MAX, UINT64_C(512) << 20, true, 1 << 20};
static const struct reader_limits unauthenticated = {10, 16384, false, 4096};

#define CASE(text) \
	{ text, sizeof(text) - 1 }
static const struct slice corpus[] = {
	CASE(""),
	CASE("*1\r\n$4\r\nPING\r\n"),
	CASE("*3\r\n$3\r\nSET\r\n$4\r\nname\r\n$5\r\nAlice\r\n*2\r\n$3\r\nGET\r\n$4\r\nname\r\n"),
	CASE("*2\r\n$4\r\nECHO\r\n$0\r\n\r\n*0\r\n*-1\r\n*-9223372036854775808\r\nPING\r\n"),
	CASE("*2\r\n$4\r\nECHO\r\n$6\r\n\r\n\0*1$\r\nPING\n"),
	CASE("*1\rX$4\rXPINGXX*1\r\n$4\r\nPING\r\n"),
	CASE("*12\r\n$1\r\n1\r\n$1\r\n2\r\n$1\r\n3\r\n$1\r\n4\r\n$1\r\n5\r\n$1\r\n6\r\n$1\r\n7\r\n$1\r\n8\r\n$"
	     "1\r\n9\r\n$1\r\na\r\n"
	     "$1\r\nb\r\n$1\r\nc\r\n"),
	CASE("PING\r\n\r\n\n  \t \r\nECHO \"a b\\x41\\n\\\"\" 'c\\'d' x\"y\"\r\nGET k\n"),
	CASE("ECHO a\0b\r\nPING\r\n"),
	CASE("ECHO ab\rcd\r\r\nECHO \vab\f\r\nECHO \"\" ''\r\n\"\"\r\n"),
	CASE("SET a 'b\r\nPING\r\n"),
	CASE("SET a \"b\"c\r\n"),
	CASE("*\r\n"),
	CASE("*1a\r\n"),
	CASE("*01\r\n"),
	CASE("*+1\r\n"),
	CASE("*2147483647\r\n$4\r\nPING\r\n"),
	CASE("*2147483648\r\n"),
	CASE("*99999999999999999999\r\n"),
	CASE("*11\r\n"),
	CASE("*1\r\n4\r\nPING\r\n"),
	CASE("*1\r\n\r\n\r\n"),
	CASE("*1\r\n\0\r\n"),
	CASE("*1\r\n\xff\r\n"),
	CASE("*1\r\n:1\r\n"),
	CASE("*1\r\n*1\r\n$4\r\nPING\r\n"),
	CASE("*2\r\n$4\r\nPING\r\nx"),
	CASE("*2\r\n$4\r\nPING\r\nx\r"),
	CASE("*1\r\n$-1\r\n"),
	CASE("*1\r\n$\r\n"),
	CASE("*1\r\n$04\r\nPING\r\n"),
	CASE("*1\r\n$536870912\r\nabc"),
	CASE("*1\r\n$536870913\r\nabc"),
	CASE("*1\r\n$16385\r\nabc"),
	CASE("*1\r\n$9223372036854775808\r\n"),
	CASE("*1\n$4\nPING\n\r\n"),
	CASE("GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
	CASE("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n\r\n"),
};

struct once {
	size_t at;
};

static size_t cut_once(void *context, size_t have, size_t len) {
	const struct once *once = context;
	return have < once->at ? once->at : len;
}

struct twice {
	size_t first, second;
};

static size_t cut_twice(void *context, size_t have, size_t len) {
	const struct twice *twice = context;
	return have < twice->first ? twice->first : have < twice->second ? twice->second : len;
}

static size_t cut_bytes(void *context, size_t have, size_t len) {
	const size_t *step = context;
	return len - have < *step ? len : have + *step;
}

static void compare(struct slice input, const struct reader_limits *limits, const struct buffer *whole,
		    transcript_cut cut, void *context) {
	struct buffer split;
	buffer_init(&split);
	transcript_write(&split, input.data, input.len, limits, cut, context);
	assert_int_equal(split.len, whole->len);
	assert_memory_equal(split.data, whole->data, whole->len);
	buffer_deinit(&split);
}

static void compare_all(struct slice input, const struct reader_limits *limits) {
	struct buffer whole;
	buffer_init(&whole);
	transcript_write(&whole, input.data, input.len, limits, NULL, NULL);
	for (size_t first = 0; first <= input.len; first++) {
		struct once once = {first};
		compare(input, limits, &whole, cut_once, &once);
		for (size_t second = first + 1; second < input.len; second++) {
			struct twice twice = {first, second};
			compare(input, limits, &whole, cut_twice, &twice);
		}
	}
	for (size_t step = 1; step <= 7; step++)
		compare(input, limits, &whole, cut_bytes, &step);
	buffer_deinit(&whole);
}

static void every_split_gives_the_same(void **state) {
	(void)state;
	for (size_t i = 0; i < sizeof(corpus) / sizeof(corpus[0]); i++) {
		compare_all(corpus[i], &authenticated);
		compare_all(corpus[i], &unauthenticated);
	}
}

/* Returns `head`, `n` bytes of `fill`, and `tail`. */
static struct slice long_line(const char *head, char fill, size_t n, const char *tail) {
	size_t before = strlen(head), behind = strlen(tail);
	char *data = test_malloc(before + n + behind);
	memcpy(data, head, before);
	memset(data + before, fill, n);
	memcpy(data + before + n, tail, behind);
	return (struct slice){data, before + n + behind};
}

static void long_lines_give_the_same(void **state) {
	static const char *const heads[] = {"", "*", "*1\r\n$", "*1\r\n", "ECHO "};
	static const char *const tails[] = {"", "\r", "\r\n", "\n", "\r\nPING\r\n"};
	(void)state;
	for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
		for (size_t j = 0; j < sizeof(tails) / sizeof(tails[0]); j++) {
			for (size_t n = 65529; n <= 65538; n++) {
				struct slice input = long_line(heads[i], '1', n, tails[j]);
				struct buffer whole;
				buffer_init(&whole);
				transcript_write(&whole, input.data, input.len, &authenticated, NULL, NULL);
				size_t step = 16384;
				compare(input, &authenticated, &whole, cut_bytes, &step);
				for (size_t at = 65534; at <= input.len; at++) {
					struct once once = {at};
					compare(input, &authenticated, &whole, cut_once, &once);
				}
				buffer_deinit(&whole);
				test_free((void *)(uintptr_t)input.data);
			}
		}
	}
}

/* Reads `input`, and continues after each allocation failure. Parsed bytes must stay parsed. */
static uint32_t read_with_failures(struct slice input, uint64_t at, uint64_t *seen) {
	struct reader r;
	size_t consumed = 0;
	reader_init(&r);
	alloc_fail_seen = 0;
	alloc_fail_at = at;
	int got = reader_read(&r, input.data, input.len, &authenticated, &consumed);
	*seen = alloc_fail_seen;
	alloc_fail_at = 0;
	if (at > 0 && at <= *seen) {
		assert_int_equal(got, -ENOMEM);
		assert_int_equal(consumed, 0);
		got = reader_read(&r, input.data, input.len, &authenticated, &consumed);
	}
	assert_int_equal(got, READER_COMMAND);
	assert_int_equal(consumed, input.len);
	uint32_t argc = r.argc;
	reader_deinit(&r);
	return argc;
}

static void any_allocation_may_fail(void **state) {
	static const char text[] = "MSET 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20\r\n";
	const struct slice inputs[] = {corpus[6], {text, sizeof(text) - 1}};
	const uint32_t arguments[] = {12, 21};
	(void)state;
	for (size_t i = 0; i < 2; i++) {
		uint64_t allocations, seen;
		assert_int_equal(read_with_failures(inputs[i], 0, &allocations), arguments[i]);
		assert_true(allocations >= 2);
		for (uint64_t at = 1; at <= allocations; at++)
			assert_int_equal(read_with_failures(inputs[i], at, &seen), arguments[i]);
	}
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_split_gives_the_same),
		cmocka_unit_test(long_lines_give_the_same),
		cmocka_unit_test(any_allocation_may_fail),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
