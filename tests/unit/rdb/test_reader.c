/* Strings of an RDB file, valid and invalid. */
#include "atomdb/util/error.h"
#include "harness.h"
#include "rdb/reader.h"

static int read_string(struct slice bytes, size_t most, const char *want, size_t left) {
	char text[NUMBER_TEXT_MAX];
	struct buffer room;
	struct slice value;
	struct rdb_reader reader = {(const unsigned char *)bytes.data, bytes.len};
	buffer_init(&room);
	int error = rdb_take_string(&reader, most, text, &room, &value);
	if (error == 0) {
		assert_true(slice_equal(value, slice_of(want)));
		assert_int_equal(reader.left, left);
	}
	buffer_deinit(&room);
	return error;
}

static void test_every_form_of_a_string_is_read(void **state) {
	(void)state;
	assert_int_equal(read_string(SLICE("\005helloXY"), 0, "hello", 2), 0);
	assert_int_equal(read_string(SLICE("\100\005hello"), 0, "hello", 0), 0);
	assert_int_equal(read_string(SLICE("\200\000\000\000\005hello"), 0, "hello", 0), 0);
	assert_int_equal(read_string(SLICE("\201\000\000\000\000\000\000\000\005hello"), 0, "hello", 0), 0);
	assert_int_equal(read_string(SLICE("\300\377"), 0, "-1", 0), 0);
	assert_int_equal(read_string(SLICE("\301\000\200"), 0, "-32768", 0), 0);
	assert_int_equal(read_string(SLICE("\302\000\000\000\200"), 0, "-2147483648", 0), 0);
	assert_int_equal(read_string(SLICE("\303\006\025\001aa\340\012\000"), 21, "aaaaaaaaaaaaaaaaaaaaa", 0), 0);
}

static void test_a_string_that_is_not_whole_is_refused(void **state) {
	static const struct slice whole[] = {SLICE("\005hello"), SLICE("\100\005hello"), SLICE("\302\000\000\000\200"),
					     SLICE("\303\006\025\001aa\340\012\000")};
	(void)state;
	for (size_t i = 0; i < sizeof whole / sizeof *whole; i++)
		for (size_t n = 0; n < whole[i].len; n++)
			assert_int_equal(read_string((struct slice){whole[i].data, n}, 100, "", 0), ATOMDB_E_SYNTAX);
}

static void test_lengths_and_kinds_that_do_not_exist_are_refused(void **state) {
	(void)state;
	assert_int_equal(read_string(SLICE("\202hello"), 100, "", 0), ATOMDB_E_SYNTAX);
	assert_int_equal(read_string(SLICE("\304hello"), 100, "", 0), ATOMDB_E_SYNTAX);
	assert_int_equal(read_string(SLICE("\201\377\377\377\377\377\377\377\377hello"), 100, "", 0), ATOMDB_E_SYNTAX);
	/* A compressed string with a claimed length of 0, or more than its bytes can hold. */
	assert_int_equal(read_string(SLICE("\303\002\000aa"), 100, "", 0), ATOMDB_E_SYNTAX);
	assert_int_equal(read_string(SLICE("\303\002\200\037\000\000\000aa"), SIZE_MAX, "", 0), ATOMDB_E_SYNTAX);
}

static void test_more_than_allowed_is_not_unpacked(void **state) {
	(void)state;
	assert_int_equal(read_string(SLICE("\303\006\025\001aa\340\012\000"), 20, "", 0), ATOMDB_E_OOM);
}

static void test_numbers_are_read_in_either_order(void **state) {
	struct rdb_reader reader = {(const unsigned char *)"\001\002\003\004\005", 5};
	uint64_t value;
	(void)state;
	assert_true(rdb_take(&reader, 2, true, &value));
	assert_int_equal(value, 0x0201);
	assert_true(rdb_take(&reader, 2, false, &value));
	assert_int_equal(value, 0x0304);
	assert_false(rdb_take(&reader, 2, false, &value));
	assert_int_equal(reader.left, 1);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_form_of_a_string_is_read),
		cmocka_unit_test(test_a_string_that_is_not_whole_is_refused),
		cmocka_unit_test(test_lengths_and_kinds_that_do_not_exist_are_refused),
		cmocka_unit_test(test_more_than_allowed_is_not_unpacked),
		cmocka_unit_test(test_numbers_are_read_in_either_order),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
