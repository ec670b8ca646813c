#include <errno.h>
#include <limits.h>
#include <string.h>

#include "atomdb/util/error.h"
#include "harness.h"

static void every_error_has_its_own_text(void **state) {
	static const int errors[] = {
		ATOMDB_E_OOM,       ATOMDB_E_PROTOCOL, ATOMDB_E_RANGE,  ATOMDB_E_SYNTAX, ATOMDB_E_AGAIN,
		ATOMDB_E_WRONGPASS, ATOMDB_E_FULL,     ATOMDB_E_FORMAT, -ENOMEM,         -EINVAL};
	(void)state;
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		assert_string_not_equal(error_text(errors[i]), "Unknown error");
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(error_text(errors[i]), error_text(errors[j]));
	}
	assert_string_equal(error_text(-ENOENT), strerror(ENOENT));
}

static void other_numbers_have_a_text(void **state) {
	(void)state;
	assert_string_equal(error_text(1), "Unknown error");
	assert_string_equal(error_text(-4999), "Unknown error");
	assert_string_equal(error_text(INT_MIN), "Unknown error");
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_error_has_its_own_text),
		cmocka_unit_test(other_numbers_have_a_text),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
