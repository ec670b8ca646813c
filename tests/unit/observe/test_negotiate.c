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
		enum content_coding content_coding;
	} cases[] = {
		{NULL, CODING_NONE},
		{"", CODING_NONE},
		{"gzip", CODING_ALLOWED},
		{"GZip", CODING_ALLOWED},
		{"deflate,gzip", CODING_ALLOWED},
		{"gzip;q=0", CODING_NONE},
		{"gzip; Q=0.0", CODING_NONE},
		{"gzip;q=0.001", CODING_ALLOWED},
		{"gzip ; q = 1", CODING_ALLOWED},
		{"gzipped", CODING_NONE},
		{"x-gzip", CODING_ALLOWED},
		{"*", CODING_NONE},
		{",, ,gzip", CODING_ALLOWED},
		{"deflate;q=gzip", CODING_NONE},
		{"gzip;x=1;q=0", CODING_NONE},
		{"gzip;x=\",q=0;\";q=1", CODING_ALLOWED},
		{"gzip;q", CODING_ALLOWED},
		{"gzip;", CODING_ALLOWED},
		{";;;,", CODING_NONE},
		{"identity;q=1, gzip;q=0.5", CODING_NONE},
		{"gzip;q=0.5, identity;q=0.4", CODING_ALLOWED},
		{"gzip, identity", CODING_ALLOWED},
		{"gzip;q=0.5, identity;q=0.5", CODING_ALLOWED},
		{"identity", CODING_NONE},
		{"identity;q=0", CODING_NONE},
		{"identity;q=0, gzip;q=0.1", CODING_NEEDED},
		{"identity;q=0, *", CODING_NEEDED},
		{"gzip, *;q=0", CODING_NEEDED},
		{"*;q=0", CODING_NONE},
		{"*, identity;q=0.5", CODING_ALLOWED},
		{"*;q=0.5, gzip;q=0.4", CODING_NONE},
		{"*;q=0.5, gzip;q=0", CODING_NONE},
		{"gzip;q=-1", CODING_NONE},
		{"gzip;q=2", CODING_NONE},
		{"gzip;q=0.5x", CODING_NONE},
		{"gzip;q=1.000, identity;q=0.999", CODING_ALLOWED},
		{"br;q=1.0, gzip;q=0.8, *;q=0.1", CODING_ALLOWED},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(negotiate_coding(cases[i].header), cases[i].content_coding);
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

/* Compresses the bytes, and expects zlib to restore them. Returns the compressed size. */
static size_t check_compressed(int (*compress)(struct buffer *body), const char *bytes, size_t size) {
	struct buffer b;
	buffer_init(&b);
	assert_int_equal(buffer_append(&b, bytes, size, SIZE_MAX), 0);
	assert_int_equal(compress(&b), 0);
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
	size_t compressed = b.len;
	inflateEnd(&z);
	free(plain);
	buffer_deinit(&b);
	return compressed;
}

static void compressed_bodies_can_be_decompressed(void **state) {
	(void)state;
	static const size_t sizes[] = {0, 1, 1000, 1000000};
	static char bytes[1000000];
	for (size_t k = 0; k < sizeof(bytes); k++)
		bytes[k] = k % 7 == 0 ? 'x' : 'y';
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		check_compressed(negotiate_gzip, bytes, sizes[i]);
		check_compressed(negotiate_gzip_lines, bytes, sizes[i]);
	}
}

/* Every byte, lines of every length within and beyond the window, and matches of every length. */
static void any_lines_can_be_compressed(void **state) {
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
		check_compressed(negotiate_gzip_lines, bytes, size);
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
	assert_true(check_compressed(negotiate_gzip_lines, page, size) < size / 2);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(gzip_is_used_where_the_client_prefers_it),
		cmocka_unit_test(the_type_follows_weights_and_versions),
		cmocka_unit_test(compressed_bodies_can_be_decompressed),
		cmocka_unit_test(any_lines_can_be_compressed),
		cmocka_unit_test(a_page_gets_much_smaller),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
