#include "atomdb/util/work_meter.h"
#include "harness.h"

static void work(uint64_t units) {
	work_meter.done += units;
	work_meter_mark();
}

static void the_longest_piece_is_kept(void **state) {
	(void)state;
	work_meter_reset();
	work(10);
	work(30);
	work(20);
	assert_int_equal(work_meter.longest, 30);
	assert_non_null(work_meter.longest_from);
	assert_non_null(work_meter.longest_to);
}

static void a_reset_forgets_the_piece_that_has_begun(void **state) {
	(void)state;
	work_meter.done += 50;
	work_meter_reset();
	work(5);
	assert_int_equal(work_meter.longest, 5);
}

static void an_address_of_the_program_has_a_small_offset(void **state) {
	(void)state;
	const void *address = (const void *)(uintptr_t)work;
	assert_true(work_meter_offset(address) < (uint64_t)1 << 30);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_longest_piece_is_kept),
		cmocka_unit_test(a_reset_forgets_the_piece_that_has_begun),
		cmocka_unit_test(an_address_of_the_program_has_a_small_offset),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
