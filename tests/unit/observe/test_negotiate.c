#include <stdint.h>
#include <stdlib.h>
#include <zlib.h>

#include "harness.h"
#include "observe/negotiate.h"

static void what_is_named_is_accepted(void **state) {
	(void)state;
	static const struct {
		const char *header;
		bool accepts;
	} cases[] = {
		{NULL, false},           {"", false},
		{"gzip", true},          {"GZip", true},
		{"deflate,gzip", true},  {"gzip;q=0", false},
		{"gzip; Q=0.0", false},  {"gzip;q=0.001", true},
		{"gzip ; q=1", true},    {"gzipped", false},
		{"x-gzip", false},       {"*", false},
		{",, ,gzip", true},      {"deflate;q=gzip", false},
		{"gzip;x=1;q=0", false}, {"gzip;q", true},
		{"gzip;", true},         {";;;,", false},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(negotiate_accepts(cases[i].header, "gzip"), cases[i].accepts);
}

static void what_is_packed_can_be_unpacked(void **state) {
	(void)state;
	static const size_t sizes[] = {0, 1, 1000, 1000000};
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct buffer b;
		buffer_init(&b);
		for (size_t k = 0; k < sizes[i]; k++)
			assert_int_equal(buffer_append(&b, k % 7 == 0 ? "x" : "y", 1, SIZE_MAX), 0);
		assert_int_equal(negotiate_gzip(&b), 0);
		char *plain = malloc(sizes[i] + 1);
		z_stream z = {.next_in = (Bytef *)b.data,
			      .avail_in = (uInt)b.len,
			      .next_out = (Bytef *)plain,
			      .avail_out = (uInt)sizes[i] + 1};
		assert_int_equal(inflateInit2(&z, 15 + 16), Z_OK);
		assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
		assert_int_equal(z.total_out, sizes[i]);
		for (size_t k = 0; k < sizes[i]; k++)
			assert_int_equal(plain[k], k % 7 == 0 ? 'x' : 'y');
		inflateEnd(&z);
		free(plain);
		buffer_deinit(&b);
	}
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_named_is_accepted),
		cmocka_unit_test(what_is_packed_can_be_unpacked),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
