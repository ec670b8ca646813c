#include <stdint.h>
#include <stdio.h>
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

/* Packs the bytes and compares with what zlib makes of that; returns the packed size. */
static size_t check_packed(int (*pack)(struct buffer *body), const char *bytes, size_t size) {
	struct buffer b;
	buffer_init(&b);
	assert_int_equal(buffer_append(&b, bytes, size, SIZE_MAX), 0);
	assert_int_equal(pack(&b), 0);
	char *plain = malloc(size + 1);
	z_stream z = {.next_in = (Bytef *)b.data,
		      .avail_in = (uInt)b.len,
		      .next_out = (Bytef *)plain,
		      .avail_out = (uInt)size + 1};
	assert_non_null(plain);
	assert_int_equal(inflateInit2(&z, 15 + 16), Z_OK);
	assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
	assert_int_equal(z.total_out, size);
	assert_int_equal(z.avail_in, 0);
	assert_memory_equal(plain, bytes, size);
	size_t packed = b.len;
	inflateEnd(&z);
	free(plain);
	buffer_deinit(&b);
	return packed;
}

static void what_is_packed_can_be_unpacked(void **state) {
	(void)state;
	static const size_t sizes[] = {0, 1, 1000, 1000000};
	static char bytes[1000000];
	for (size_t k = 0; k < sizeof(bytes); k++)
		bytes[k] = k % 7 == 0 ? 'x' : 'y';
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		check_packed(negotiate_gzip, bytes, sizes[i]);
		check_packed(negotiate_gzip_lines, bytes, sizes[i]);
	}
}

/* Every byte, lines of every length within and beyond the format's window, and matches of every length. */
static void any_lines_can_be_packed(void **state) {
	(void)state;
	static char bytes[200000];
	uint32_t random = 12345;
	for (unsigned round = 0; round < 300; round++) {
		size_t size = 1 + random % (round < 250 ? 5000 : sizeof(bytes));
		unsigned line = 1 + random % (round % 3 == 0 ? 8 : round % 3 == 1 ? 700 : 70000);
		unsigned noise = round % 5 == 0 ? 2 : 1 + random % 400;
		for (size_t k = 0; k < size; k++) {
			random = random * 1664525 + 1013904223;
			if (k % line == line - 1)
				bytes[k] = '\n';
			else if (k >= line && (random >> 8) % noise != 0)
				bytes[k] = bytes[k - line];
			else
				bytes[k] = (char)(random >> 24);
		}
		check_packed(negotiate_gzip_lines, bytes, size);
	}
}

static void a_page_gets_much_smaller(void **state) {
	(void)state;
	static char page[1200000];
	size_t size = 0;
	uint64_t name = 88172645463325252;
	while (size < 1000000) {
		name ^= name << 13, name ^= name >> 7, name ^= name << 17;
		size += (size_t)snprintf(page + size, sizeof(page) - size,
					 "atomdb_tenant_keys{tenant=\"%012llx\"} %u\n",
					 (unsigned long long)(name >> 16), (unsigned)(name % 1000));
	}
	assert_true(check_packed(negotiate_gzip_lines, page, size) < size / 2);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_named_is_accepted),
		cmocka_unit_test(what_is_packed_can_be_unpacked),
		cmocka_unit_test(any_lines_can_be_packed),
		cmocka_unit_test(a_page_gets_much_smaller),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
