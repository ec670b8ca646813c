#include <errno.h>
#include <string.h>

#include "alloc_fail.h"
#include "atomdb/util/buffer.h"
#include "atomdb/util/error.h"
#include "harness.h"

static void appends_and_consumes(void **state) {
	struct buffer b;
	(void)state;
	buffer_init(&b);
	assert_int_equal(buffer_append(&b, NULL, 0, SIZE_MAX), 0);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(buffer_append(&b, "0123456789", 10, SIZE_MAX), 0);
	assert_int_equal(b.len, 10000);
	assert_true(b.cap >= b.len && b.cap < 2 * b.len + 64);
	buffer_consume(&b, 9995);
	assert_true(slice_equal(buffer_slice(&b), SLICE("56789")));
	buffer_consume(&b, 0);
	buffer_consume(&b, 2);
	assert_true(slice_equal(buffer_slice(&b), SLICE("789")));
	buffer_consume(&b, 3);
	assert_int_equal(b.len, 0);
	buffer_deinit(&b);
	assert_null(b.data);
	assert_int_equal(b.cap, 0);
	assert_int_equal(buffer_append(&b, "x", 1, SIZE_MAX), 0);
	buffer_deinit(&b);
}

static void growth_is_geometric(void **state) {
	struct buffer b;
	(void)state;
	buffer_init(&b);
	alloc_fail_seen = 0;
	for (int i = 0; i < 1 << 20; i++)
		assert_int_equal(buffer_append(&b, "x", 1, SIZE_MAX), 0);
	assert_true(alloc_fail_seen <= 15);
	buffer_deinit(&b);
}

static void never_exceeds_its_limit(void **state) {
	struct buffer b;
	(void)state;
	buffer_init(&b);
	assert_int_equal(buffer_append(&b, "0123456789", 10, 10), 0);
	assert_int_equal(b.cap, 10);
	assert_int_equal(buffer_append(&b, "x", 1, 10), ATOMDB_E_RANGE);
	assert_int_equal(buffer_reserve(&b, SIZE_MAX, 10), ATOMDB_E_RANGE);
	assert_int_equal(buffer_reserve(&b, 0, 9), ATOMDB_E_RANGE);
	assert_int_equal(buffer_append(&b, "xyz", 3, 100), 0);
	assert_true(b.cap <= 100);
	/* The limit holds even if the allocated capacity is larger. */
	assert_int_equal(buffer_append(&b, "x", 1, 13), ATOMDB_E_RANGE);
	assert_int_equal(b.len, 13);
	buffer_deinit(&b);
}

static void absurd_sizes_are_refused(void **state) {
	struct buffer b;
	(void)state;
	buffer_init(&b);
	assert_int_equal(buffer_append(&b, "abc", 3, SIZE_MAX), 0);
	assert_int_equal(buffer_reserve(&b, SIZE_MAX, SIZE_MAX), -ENOMEM);
	assert_int_equal(buffer_reserve(&b, SIZE_MAX - 3, SIZE_MAX), -ENOMEM);
	assert_int_equal(buffer_reserve(&b, (size_t)PTRDIFF_MAX, SIZE_MAX), -ENOMEM);
	assert_true(slice_equal(buffer_slice(&b), SLICE("abc")));
	buffer_deinit(&b);
}

static void failure_leaves_the_buffer_unchanged(void **state) {
	struct buffer b;
	(void)state;
	buffer_init(&b);
	alloc_fail_at = 1;
	assert_int_equal(buffer_append(&b, "abc", 3, SIZE_MAX), -ENOMEM);
	assert_null(b.data);
	assert_int_equal(buffer_append(&b, "abc", 3, SIZE_MAX), 0);
	size_t cap = b.cap;
	alloc_fail_at = 1;
	assert_int_equal(buffer_reserve(&b, 1000, SIZE_MAX), -ENOMEM);
	assert_int_equal(b.cap, cap);
	assert_true(slice_equal(buffer_slice(&b), SLICE("abc")));
	buffer_deinit(&b);
}

static void drops_the_front_of_a_large_buffer(void **state) {
	struct buffer b;
	(void)state;
	buffer_init(&b);
	assert_int_equal(buffer_reserve(&b, 4 << 20, SIZE_MAX), 0);
	b.len = 3 << 20;
	b.data[b.len - 1] = 'z';
	size_t all = b.cap, dropped = buffer_drop_front(&b, (1 << 20) + 5);
	assert_int_equal(dropped, 1 << 20);
	assert_int_equal(b.len, 2 << 20);
	assert_int_equal(b.cap, all - dropped);
	assert_int_equal(b.data[b.len - 1], 'z');
	assert_int_equal(buffer_append(&b, "abc", 3, SIZE_MAX), 0);
	buffer_deinit(&b);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(appends_and_consumes),
		cmocka_unit_test(growth_is_geometric),
		cmocka_unit_test(never_exceeds_its_limit),
		cmocka_unit_test(absurd_sizes_are_refused),
		cmocka_unit_test(failure_leaves_the_buffer_unchanged),
		cmocka_unit_test(drops_the_front_of_a_large_buffer),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
