/* The compression of lines. zlib is the oracle. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "harness.h"
#include "observe/deflate_lines.h"

/* Inflates a complete raw stream, and expects exactly `page`. */
static void assert_inflates(struct slice packed, struct slice page) {
	z_stream z = {.next_in = (Bytef *)(uintptr_t)packed.data, .avail_in = (uInt)packed.len};
	unsigned char *out = malloc(page.len + 1);
	assert_non_null(out);
	assert_int_equal(inflateInit2(&z, -15), Z_OK);
	z.next_out = out;
	z.avail_out = (uInt)page.len + 1;
	assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
	assert_int_equal(z.total_out, page.len);
	assert_int_equal(z.avail_in, 0);
	assert_memory_equal(out, page.data, page.len);
	inflateEnd(&z);
	free(out);
}

static size_t pack(struct slice page) {
	struct buffer out;
	buffer_init(&out);
	assert_int_equal(deflate_lines(page, &out), 0);
	assert_inflates(buffer_slice(&out), page);
	size_t len = out.len;
	buffer_deinit(&out);
	return len;
}

static void short_and_odd_pages_survive(void **state) {
	static const char *const pages[] = {
		"", "\n", "a", "ab\n", "\n\n\n", "abc\nabc\n", "abcd\nabXd\nabXd", "no line end", "ab\nabab\nababab\n",
	};
	(void)state;
	for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++)
		pack(slice_of(pages[i]));
	char bytes[256];
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (char)i;
	pack((struct slice){bytes, sizeof(bytes)});
}

/* Three lines of the same text. */
static void pack_lines(size_t width) {
	size_t len = 3 * (width + 1);
	char *page = malloc(len);
	assert_non_null(page);
	for (size_t i = 0; i < len; i++)
		page[i] = i % (width + 1) == width ? '\n' : (char)('a' + i % (width + 1) % 23);
	page[2 * (width + 1)] = '#';
	pack((struct slice){page, len});
	free(page);
}

/* The format has matches of 3 to 258 bytes, from 1 to 32768 bytes back. */
static void lines_of_every_length_survive(void **state) {
	(void)state;
	for (size_t width = 1; width < 600; width++)
		pack_lines(width);
	for (size_t width = 32760; width < 32780; width++)
		pack_lines(width);
	pack_lines(100000);
}

static void noise_survives(void **state) {
	unsigned seed = 7;
	char page[20000];
	(void)state;
	for (int round = 0; round < 50; round++) {
		size_t len = (size_t)rand_r(&seed) % sizeof(page);
		for (size_t i = 0; i < len; i++)
			page[i] = round % 2 ? "ab\n"[rand_r(&seed) % 3] : (char)rand_r(&seed);
		pack((struct slice){page, len});
	}
}

static void a_page_of_metrics_is_packed_well(void **state) {
	enum { ROWS = 2000 };
	char *page = malloc(ROWS * 64), *at = page;
	(void)state;
	assert_non_null(page);
	for (int i = 0; i < ROWS; i++)
		at += sprintf(at, "atomdb_tenant_keys{tenant=\"tenant-%04d\"} %d\n", i, i * 7);
	size_t len = (size_t)(at - page);
	assert_true(pack((struct slice){page, len}) < len / 4);
	free(page);
}

static void appends_behind_what_is_there(void **state) {
	struct buffer out;
	(void)state;
	buffer_init(&out);
	assert_int_equal(buffer_append(&out, "head", 4, SIZE_MAX), 0);
	assert_int_equal(deflate_lines(SLICE("a line\na line\n"), &out), 0);
	assert_memory_equal(out.data, "head", 4);
	assert_inflates((struct slice){out.data + 4, out.len - 4}, SLICE("a line\na line\n"));
	buffer_deinit(&out);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(short_and_odd_pages_survive),
		cmocka_unit_test(lines_of_every_length_survive),
		cmocka_unit_test(noise_survives),
		cmocka_unit_test(a_page_of_metrics_is_packed_well),
		cmocka_unit_test(appends_behind_what_is_there),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
