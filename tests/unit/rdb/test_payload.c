/* The footer of a payload. test_string.c has whole payloads of redis-server. */
#include "atomdb/rdb/payload.h"
#include "atomdb/util/error.h"
#include "harness.h"

static struct buffer sealed(struct slice body) {
	struct buffer out;
	buffer_init(&out);
	assert_int_equal(buffer_append(&out, "before", 6, SIZE_MAX), 0);
	assert_int_equal(buffer_append(&out, body.data, body.len, SIZE_MAX), 0);
	assert_int_equal(payload_seal(&out, 6), 0);
	buffer_consume(&out, 6);
	return out;
}

static void test_a_sealed_payload_gives_its_type_and_value(void **state) {
	struct buffer out = sealed(SLICE("\021value"));
	struct payload payload;
	(void)state;
	assert_int_equal(out.len, 6 + 10);
	assert_int_equal(payload_open(buffer_slice(&out), &payload), 0);
	assert_int_equal(payload.type, 17);
	assert_true(slice_equal(payload.value, SLICE("value")));
	buffer_deinit(&out);
}

static void test_a_changed_bit_or_a_missing_byte_is_a_wrong_checksum(void **state) {
	struct buffer out = sealed(SLICE("\001value"));
	struct payload payload;
	(void)state;
	for (size_t i = 0; i < out.len; i++) {
		out.data[i] ^= 4;
		assert_int_equal(payload_open(buffer_slice(&out), &payload), ATOMDB_E_FORMAT);
		out.data[i] ^= 4;
		assert_int_equal(payload_open((struct slice){out.data, i}, &payload), ATOMDB_E_FORMAT);
	}
	buffer_deinit(&out);
}

static void test_a_payload_needs_a_type(void **state) {
	struct buffer none = sealed(SLICE("")), empty = sealed(SLICE("\002"));
	struct payload payload;
	(void)state;
	assert_int_equal(payload_open(buffer_slice(&none), &payload), ATOMDB_E_SYNTAX);
	assert_int_equal(payload_open(buffer_slice(&empty), &payload), 0);
	assert_int_equal(payload.value.len, 0);
	buffer_deinit(&none);
	buffer_deinit(&empty);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_sealed_payload_gives_its_type_and_value),
		cmocka_unit_test(test_a_changed_bit_or_a_missing_byte_is_a_wrong_checksum),
		cmocka_unit_test(test_a_payload_needs_a_type),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
