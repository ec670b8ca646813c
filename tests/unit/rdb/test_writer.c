/* Strings in the format of an RDB file, in their shortest form. */
#include "harness.h"
#include "rdb/writer.h"

static struct buffer write_string(struct slice value) {
	struct buffer out;
	buffer_init(&out);
	assert_int_equal(buffer_reserve(&out, value.len + RDB_STRING_OVERHEAD, SIZE_MAX), 0);
	rdb_put_string(&out, value);
	assert_true(out.len <= value.len + RDB_STRING_OVERHEAD);
	return out;
}

static void expect_written(struct slice value, struct slice bytes) {
	struct buffer out = write_string(value);
	assert_int_equal(out.len, bytes.len);
	assert_memory_equal(out.data, bytes.data, bytes.len);
	buffer_deinit(&out);
}

static void test_integers_take_their_bytes(void **state) {
	(void)state;
	expect_written(SLICE("-128"), SLICE("\300\200"));
	expect_written(SLICE("128"), SLICE("\301\200\000"));
	expect_written(SLICE("32768"), SLICE("\302\000\200\000\000"));
	/* Not in the canonical form, or too large. */
	expect_written(SLICE("+1"), SLICE("\002+1"));
	expect_written(SLICE("2147483648"), SLICE("\0122147483648"));
}

static void test_lengths_grow_with_the_string(void **state) {
	static char bytes[16384];
	static const struct {
		size_t length, head;
		unsigned first;
	} table[] = {{0, 1, 0}, {63, 1, 63}, {64, 2, 0x40}, {16383, 2, 0x7f}, {16384, 5, 0x80}};
	(void)state;
	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (char)(i * i * 2654435761u >> 11); /* does not compress */
	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		struct buffer out = write_string((struct slice){bytes, table[i].length});
		assert_int_equal(out.len, table[i].head + table[i].length);
		assert_int_equal((unsigned char)out.data[0], table[i].first);
		buffer_deinit(&out);
	}
}

static void test_a_string_is_compressed_if_that_saves_four_bytes(void **state) {
	(void)state;
	expect_written(SLICE("aaaaaaaaaaaaaaaaaaaa"), SLICE("\024aaaaaaaaaaaaaaaaaaaa"));
	expect_written(SLICE("aaaaaaaaaaaaaaaaaaaaa"), SLICE("\303\006\025\001aa\340\012\000"));
}

static void test_numbers_are_written_low_byte_first(void **state) {
	struct buffer out;
	(void)state;
	buffer_init(&out);
	assert_int_equal(buffer_reserve(&out, 4, SIZE_MAX), 0);
	rdb_put_byte(&out, 0xfe);
	rdb_put_low_first(&out, 0x010203, 3);
	assert_memory_equal(out.data, "\376\003\002\001", 4);
	buffer_deinit(&out);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_integers_take_their_bytes),
		cmocka_unit_test(test_lengths_grow_with_the_string),
		cmocka_unit_test(test_a_string_is_compressed_if_that_saves_four_bytes),
		cmocka_unit_test(test_numbers_are_written_low_byte_first),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
