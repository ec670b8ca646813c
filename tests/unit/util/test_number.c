#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "atomdb/util/number.h"
#include "harness.h"

static void reads_the_canonical_form(void **state) {
	static const struct {
		const char *text;
		int64_t value;
	} good[] = {
		{"0", 0},
		{"1", 1},
		{"-1", -1},
		{"10", 10},
		{"9223372036854775807", INT64_MAX},
		{"-9223372036854775808", INT64_MIN},
		{"999999999999999999", 999999999999999999},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		int64_t value = 42;
		assert_true(number_parse(slice_of(good[i].text), &value));
		assert_true(value == good[i].value);
	}
}

static void rejects_everything_else(void **state) {
	static const char *const bad[] = {"",
					  "-",
					  "+1",
					  " 1",
					  "1 ",
					  "01",
					  "-0",
					  "-01",
					  "00",
					  "1.0",
					  "0x1",
					  "1e3",
					  "--1",
					  "a",
					  "1a",
					  "a1",
					  "/",
					  ":",
					  "1:",
					  "1/",
					  "9223372036854775808",
					  "-9223372036854775809",
					  "18446744073709551616",
					  "99999999999999999999",
					  "10000000000000000000",
					  "-10000000000000000000",
					  "123456789012345678901"};
	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		int64_t value = 42;
		assert_false(number_parse(slice_of(bad[i]), &value));
		assert_int_equal(value, 42);
	}
	int64_t value = 42;
	assert_false(number_parse((struct slice){"1\0", 2}, &value));
	assert_false(number_parse((struct slice){"\x80", 1}, &value));
	/* Bytes after the slice are ignored. */
	assert_true(number_parse((struct slice){"123", 2}, &value));
	assert_int_equal(value, 12);
}

static void round_trip(int64_t value) {
	char expected[32], text[NUMBER_TEXT_MAX + 1];
	int n = snprintf(expected, sizeof(expected), "%" PRId64, value);
	text[NUMBER_TEXT_MAX] = '!';
	size_t got = number_format(value, text);
	assert_int_equal(got, n);
	assert_memory_equal(text, expected, got);
	assert_int_equal(text[NUMBER_TEXT_MAX], '!');
	int64_t back;
	assert_true(number_parse((struct slice){text, got}, &back));
	assert_true(back == value);
}

static void writes_what_it_reads(void **state) {
	(void)state;
	for (int64_t v = -100100; v <= 100100; v++)
		round_trip(v);
	for (uint64_t power = 1, i = 0; i < 19; i++, power *= 10) {
		for (int64_t near = -2; near <= 2; near++) {
			round_trip((int64_t)power + near);
			round_trip(-(int64_t)power + near);
		}
	}
	round_trip(INT64_MAX);
	round_trip(INT64_MIN);
	srandom(7);
	for (int i = 0; i < 100000; i++)
		round_trip((int64_t)(((uint64_t)random() << 33 ^ (uint64_t)random()) << (random() & 3)) >>
			   (random() & 63));
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_the_canonical_form),
		cmocka_unit_test(rejects_everything_else),
		cmocka_unit_test(writes_what_it_reads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
