#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>

#include "harness.h"
#include "observe/negotiate.h"

static void gzip_is_used_where_the_client_prefers_it(void **state) {
	(void)state;
	static const struct {
		const char *header;
		enum packing packing;
	} cases[] = {
		{NULL, PACKING_NONE},
		{"", PACKING_NONE},
		{"gzip", PACKING_ALLOWED},
		{"GZip", PACKING_ALLOWED},
		{"deflate,gzip", PACKING_ALLOWED},
		{"gzip;q=0", PACKING_NONE},
		{"gzip; Q=0.0", PACKING_NONE},
		{"gzip;q=0.001", PACKING_ALLOWED},
		{"gzip ; q = 1", PACKING_ALLOWED},
		{"gzipped", PACKING_NONE},
		{"x-gzip", PACKING_ALLOWED},
		{"*", PACKING_NONE},
		{",, ,gzip", PACKING_ALLOWED},
		{"deflate;q=gzip", PACKING_NONE},
		{"gzip;x=1;q=0", PACKING_NONE},
		{"gzip;x=\",q=0;\";q=1", PACKING_ALLOWED},
		{"gzip;q", PACKING_ALLOWED},
		{"gzip;", PACKING_ALLOWED},
		{";;;,", PACKING_NONE},
		{"identity;q=1, gzip;q=0.5", PACKING_NONE},
		{"gzip;q=0.5, identity;q=0.4", PACKING_ALLOWED},
		{"gzip, identity", PACKING_ALLOWED},
		{"gzip;q=0.5, identity;q=0.5", PACKING_ALLOWED},
		{"identity", PACKING_NONE},
		{"identity;q=0", PACKING_NONE},
		{"identity;q=0, gzip;q=0.1", PACKING_NEEDED},
		{"identity;q=0, *", PACKING_NEEDED},
		{"gzip, *;q=0", PACKING_NEEDED},
		{"*;q=0", PACKING_NONE},
		{"*, identity;q=0.5", PACKING_ALLOWED},
		{"*;q=0.5, gzip;q=0.4", PACKING_NONE},
		{"*;q=0.5, gzip;q=0", PACKING_NONE},
		{"gzip;q=-1", PACKING_NONE},
		{"gzip;q=2", PACKING_NONE},
		{"gzip;q=0.5x", PACKING_NONE},
		{"gzip;q=1.000, identity;q=0.999", PACKING_ALLOWED},
		{"br;q=1.0, gzip;q=0.8, *;q=0.1", PACKING_ALLOWED},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(negotiate_packing(cases[i].header), cases[i].packing);
}

#define OM "application/openmetrics-text"

static void the_type_follows_weights_and_versions(void **state) {
	static const struct media_type types[] = {{"text/plain", "0.0.4"}, {OM, "1.0.0"}, {OM, "0.0.1"}};
	(void)state;
	static const struct {
		const char *header;
		unsigned type;
	} cases[] = {
		{NULL, 0},
		{"", 0},
		{"*/*", 0},
		{"text/html, */*;q=0.1", 0},
		{"application/json", 0},
		{"application/*", 1},
		{"text/*;q=0.5, application/*;q=0.6", 1},
		{OM, 1},
		{OM "; version=1.0.0", 1},
		{OM "; version=\"0.0.1\"", 2},
		{OM ";version=2.0.0", 0},
		{OM ";version=2.0.0, text/plain;q=0.1", 0},
		{OM ";version=0.0.1;q=0.9," OM ";version=1.0.0;q=0.8", 2},
		{OM ";q=0", 0},
		{OM ";q=0.0, text/plain;q=0.1", 0},
		{OM ";q=0.5, text/plain;q=0.9", 0},
		{OM ";q=0.9, text/plain;q=0.5", 1},
		{"text/plain, " OM, 1},
		{OM ", text/plain", 1},
		{"text/plain;version=0.0.4," OM ";version=0.0.1", 2},
		{OM ";version=0.0.1," OM, 1},
		{"text/plain;version=1.0.0," OM ";version=0.0.1;q=0.1", 2},
		{"*/*, " OM, 1},
		{"*/*;q=0.9, " OM ";q=0.8", 0},
		{"text/plain;q=0, */*", 1},
		{"text/plain;version=0.0.4;charset=utf-8", 0},
		{"Application/OpenMetrics-Text; Version=1.0.0", 1},
		{OM "; q=high, text/plain", 0},
		{OM "x", 0},
		/* Prometheus 2 and 3. */
		{OM ";version=1.0.0," OM ";version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1", 1},
		{OM ";version=1.0.0;escaping=allow-utf-8;q=0.6," OM
		    ";version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,"
		    "text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
		 1},
		{"text/plain;version=0.0.4;q=1,*/*;q=0.1", 0},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(negotiate_type(cases[i].header, types, 3), cases[i].type);
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
		cmocka_unit_test(gzip_is_used_where_the_client_prefers_it),
		cmocka_unit_test(the_type_follows_weights_and_versions),
		cmocka_unit_test(what_is_packed_can_be_unpacked),
		cmocka_unit_test(any_lines_can_be_packed),
		cmocka_unit_test(a_page_gets_much_smaller),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
