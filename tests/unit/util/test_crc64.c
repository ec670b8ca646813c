/* Compares the CRC with its published check value, and the sliced computation with the bytewise one. */
#include <stdlib.h>

#include "atomdb/util/crc64.h"
#include "harness.h"

static void gives_the_published_check_value(void **state) {
	(void)state;
	assert_true(crc64(0, SLICE("")) == 0);
	assert_true(crc64(0, SLICE("123456789")) == 0xe9c6d914c4b8d9ca);
	assert_true(crc64(crc64(0, SLICE("1234")), SLICE("56789")) == 0xe9c6d914c4b8d9ca);
}

static void slicing_equals_the_bytewise_sum(void **state) {
	enum { SIZE = 50001 };
	(void)state;
	char *bytes = malloc(SIZE);
	assert_non_null(bytes);
	for (size_t i = 0; i < SIZE; i++)
		bytes[i] = (char)(i * i >> 3);
	uint64_t whole = crc64(0, (struct slice){bytes, SIZE}), parts = 0;
	for (size_t i = 0; i < SIZE; i += 1000)
		parts = crc64(parts, (struct slice){bytes + i, SIZE - i < 1000 ? SIZE - i : 1000});
	assert_true(whole == parts);
	free(bytes);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(gives_the_published_check_value),
		cmocka_unit_test(slicing_equals_the_bytewise_sum),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
