#include "harness.h"
#include "store/keyspace/entry.h"
#include "store/value/types.h"

static void test_every_type_has_the_hooks_that_are_not_optional(void **state) {
	size_t found = 0;
	(void)state;
	for (size_t tag = 0; tag < value_types.count; tag++) {
		const struct value_type *type = &value_types.rows[tag];
		if (type->name == NULL)
			continue;
		found++;
		assert_non_null(type->encoding);
		assert_non_null(type->is_sound);
		assert_non_null(type->dump);
		assert_non_null(type->restore);
		assert_non_null(type->digest);
		assert_int_not_equal(type->rdb_types, 0);
	}
	assert_true(found != 0);
}

static void test_no_two_types_have_the_same_name_number_or_rdb_type(void **state) {
	(void)state;
	for (size_t i = 0; i < value_types.count; i++) {
		for (size_t k = 0; k < i; k++) {
			const struct value_type *a = &value_types.rows[i], *b = &value_types.rows[k];
			if (a->name == NULL || b->name == NULL)
				continue;
			assert_string_not_equal(a->name, b->name);
			assert_int_not_equal(a->number, b->number);
			assert_int_equal(a->rdb_types & b->rdb_types, 0);
		}
	}
}

static void test_the_type_of_untagged_values_is_string(void **state) {
	(void)state;
	assert_string_equal(value_types.rows[ENTRY_TAG_DIGITS].name, "string");
	assert_int_equal(value_types.rows[ENTRY_TAG_DIGITS].number, 0);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_type_has_the_hooks_that_are_not_optional),
		cmocka_unit_test(test_no_two_types_have_the_same_name_number_or_rdb_type),
		cmocka_unit_test(test_the_type_of_untagged_values_is_string),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
