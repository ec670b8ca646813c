#include <string.h>

#include "atomdb/util/buffer.h"
#include "atomdb/util/heap.h"
#include "harness.h"

enum { MIB = 1 << 20 };

static void *block(size_t size) {
	void *at = heap_resize(NULL, 0, size);
	assert_non_null(at);
	memset(at, 1, size);
	return at;
}

static void gives_a_large_block_back_in_pieces(void **state) {
	unsigned calls = 0;
	(void)state;
	heap_keep(true);
	heap_free(block(64 * MIB), 64 * MIB);
	for (size_t left = heap_kept(); left > 0; left -= MIB, calls++) {
		assert_int_equal(heap_kept(), left);
		assert_int_equal(heap_reclaim(MIB), left > MIB);
	}
	assert_int_equal(calls, 64);
	heap_keep(false);
}

static void gives_all_kept_blocks_back(void **state) {
	struct buffer b;
	(void)state;
	heap_keep(true);
	heap_free(block(HEAP_LARGE), HEAP_LARGE);
	buffer_init(&b);
	assert_int_equal(buffer_reserve(&b, HEAP_LARGE + 1, SIZE_MAX), 0);
	buffer_deinit(&b);
	assert_in_range(heap_kept(), 2 * HEAP_LARGE + 1, 2 * HEAP_LARGE + MIB);
	while (heap_reclaim(1))
		continue;
	assert_int_equal(heap_kept(), 0);
	heap_keep(false);
}

static void frees_a_small_block_at_once(void **state) {
	(void)state;
	heap_keep(true);
	heap_free(NULL, 0);
	heap_free(NULL, HEAP_LARGE);
	heap_free(block(HEAP_LARGE - 1), HEAP_LARGE - 1);
	assert_int_equal(heap_kept(), 0);
	assert_false(heap_reclaim(MIB));
	heap_keep(false);
}

static void frees_at_once_on_a_thread_that_keeps_nothing(void **state) {
	(void)state;
	heap_free(block(8 * MIB), 8 * MIB);
	assert_int_equal(heap_kept(), 0);
	heap_keep(true);
	heap_free(block(8 * MIB), 8 * MIB);
	heap_keep(false);
	assert_int_equal(heap_kept(), 0);
}

static void keeps_the_bytes_of_a_block_that_grows(void **state) {
	size_t size = 1000;
	char *at = block(size);
	(void)state;
	for (size_t more = 3 * size; more < 64 * MIB; more *= 3) {
		at = heap_resize(at, size, more);
		assert_non_null(at);
		assert_int_equal(at[0], 1);
		assert_int_equal(at[size - 1], 1);
		memset(at, 1, more);
		size = more;
	}
	at = heap_resize(at, size, 10);
	assert_int_equal(at[9], 1);
	heap_free(at, 10);
}

static void drops_whole_pages_from_the_beginning_of_a_large_block(void **state) {
	const size_t size = 8 * MIB + 1000, page = 64 << 10;
	char *at = block(size);
	(void)state;
	at[3 * page] = 3;
	at[3 * page + 1] = 4;
	assert_int_equal(heap_drop_front(at, size, page - 1), 0);
	assert_int_equal(heap_drop_front(at, size, size), 0);
	assert_int_equal(heap_drop_front(at, size, 3 * page + 1), 3 * page);
	at += 3 * page;
	assert_int_equal(at[0], 3);
	at = heap_resize(at, size - 3 * page, 16 * MIB);
	assert_int_equal(at[1], 4);
	heap_free(at, 16 * MIB);
	char *small = block(1000);
	assert_int_equal(heap_drop_front(small, 1000, 1000), 0);
	heap_free(small, 1000);
}

static void makes_zeros(void **state) {
	(void)state;
	for (size_t size = 1; size < 8 * MIB; size *= 8) {
		char *at = heap_zeros(size);
		assert_non_null(at);
		assert_int_equal(at[0] | at[size - 1], 0);
		heap_free(at, size);
	}
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(gives_a_large_block_back_in_pieces),
		cmocka_unit_test(gives_all_kept_blocks_back),
		cmocka_unit_test(frees_a_small_block_at_once),
		cmocka_unit_test(frees_at_once_on_a_thread_that_keeps_nothing),
		cmocka_unit_test(keeps_the_bytes_of_a_block_that_grows),
		cmocka_unit_test(drops_whole_pages_from_the_beginning_of_a_large_block),
		cmocka_unit_test(makes_zeros),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
