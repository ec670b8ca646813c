#include "atomdb/util/error.h"
#include "atomdb/util/size.h"
#include "harness.h"

static void reads_sizes(void **state) {
	static const struct {
		const char *text;
		uint64_t bytes;
	} good[] = {
		{"0", 0},
		{"512", 512},
		{"512B", 512},
		{"1K", 1024},
		{"1k", 1024},
		{"1KB", 1024},
		{"64m", 64 << 20},
		{"64Mb", 64 << 20},
		{"2G", UINT64_C(2) << 30},
		{"3T", UINT64_C(3) << 40},
		{"0T", 0},
		{"007", 7},
		{"9223372036854775807", INT64_MAX},
		{"8388607T", UINT64_C(8388607) << 40},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		uint64_t bytes = 42;
		assert_int_equal(size_parse(good[i].text, &bytes), 0);
		assert_true(bytes == good[i].bytes);
	}
}

static void rejects_invalid_sizes(void **state) {
	static const char *const bad[] = {"",    "K",   "B",   "-1",   "+1", " 1",   "1 ",
					  "1 K", "1KK", "1BK", "1.5G", "1P", "0x10", "1+"};
	static const char *const large[] = {"9223372036854775808",  "8388608T",
					    "8589934592G",          "99999999999999999999",
					    "18446744073709551617", "99999999999999999999999999999999G"};
	uint64_t bytes = 42;
	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(size_parse(bad[i], &bytes), ATOMDB_E_SYNTAX);
	for (size_t i = 0; i < sizeof(large) / sizeof(large[0]); i++)
		assert_int_equal(size_parse(large[i], &bytes), ATOMDB_E_RANGE);
	assert_int_equal(bytes, 42);
}

static void writes_as_info_does(void **state) {
	static const struct {
		uint64_t bytes;
		const char *text;
	} cases[] = {
		{0, "0B"},
		{1023, "1023B"},
		{1024, "1.00K"},
		{1536, "1.50K"},
		{1 << 20, "1.00M"},
		{(1 << 20) + (1 << 19), "1.50M"},
		{UINT64_C(5) << 30, "5.00G"},
		{UINT64_C(7) << 40, "7.00T"},
		{UINT64_C(9) << 50, "9.00P"},
		{UINT64_MAX, "16384.00P"},
	};
	char out[32];
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_format(cases[i].bytes, out, sizeof(out));
		assert_string_equal(out, cases[i].text);
	}
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_sizes),
		cmocka_unit_test(rejects_invalid_sizes),
		cmocka_unit_test(writes_as_info_does),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
