#include "harness.h"
#include "store/arena/arena.h"
#include "store/arena/pages.h"

static struct memory_budget budget;
static struct arena *arena;

static int set_up(void **state) {
	(void)state;
	atomic_store(&budget.used, 0);
	atomic_store(&budget.limit, 0);
	return arena_open(&arena, "test", &budget);
}

static int tear_down(void **state) {
	(void)state;
	arena_close(arena);
	return 0;
}

static uint64_t resident(void) {
	return counter_get(&arena_counters(arena)->resident);
}

static uint32_t take(uint32_t pages, bool clean, enum page_state expected) {
	enum page_state found = PAGE_NONE;
	uint32_t page = pages_take(arena, pages, clean, &found);

	assert_true(page >= FIRST_PAGE);
	assert_int_equal(found, expected);
	return page;
}

static void a_run_gives_the_rest_of_its_block_back(void **state) {
	(void)state;
	uint32_t run = take(3, false, PAGE_CLEAN);

	assert_int_equal(resident(), 3 * ARENA_PAGE);
	assert_int_equal(take(1, false, PAGE_CLEAN), run + 3);
	assert_int_equal(resident(), 4 * ARENA_PAGE);
}

static void buddies_merge_within_their_state(void **state) {
	(void)state;
	uint32_t first = take(2, false, PAGE_CLEAN), second = take(2, false, PAGE_CLEAN);

	assert_int_equal(second, first ^ 2);
	pages_free(arena, first, 2, PAGE_DIRTY);
	assert_true(pages_fit_dirty(arena, 2));
	assert_false(pages_fit_dirty(arena, 3));
	pages_free(arena, second, 2, PAGE_DIRTY);
	assert_true(pages_fit_dirty(arena, 4));
	assert_int_equal(arena->header->dirty, 4);
	assert_int_equal(descriptor(arena, second)->state, PAGE_NONE);
}

static void buddies_of_two_states_stay_apart(void **state) {
	(void)state;
	uint32_t first = take(2, false, PAGE_CLEAN), second = take(2, false, PAGE_CLEAN);

	pages_free(arena, first, 2, PAGE_DIRTY);
	pages_free(arena, second, 2, PAGE_CLEAN);
	assert_int_equal(descriptor(arena, first)->state, PAGE_DIRTY);
	assert_int_equal(descriptor(arena, second)->state, PAGE_CLEAN);
	assert_false(pages_fit_dirty(arena, 4));
	assert_int_equal(arena->header->dirty, 2);
}

static void dirty_pages_are_taken_first_unless_clean_ones_are_asked_for(void **state) {
	(void)state;
	uint32_t run = take(4, false, PAGE_CLEAN);

	pages_free(arena, run, 4, PAGE_DIRTY);
	assert_int_not_equal(take(4, true, PAGE_CLEAN), run);
	assert_int_equal(resident(), 8 * ARENA_PAGE);
	assert_int_equal(take(4, false, PAGE_DIRTY), run);
	assert_int_equal(resident(), 8 * ARENA_PAGE);
}

static void pages_beyond_the_budget_stay_free(void **state) {
	(void)state;
	enum page_state found;
	atomic_store(&budget.limit, (uint64_t)4 * ARENA_PAGE);
	uint32_t run = take(3, false, PAGE_CLEAN);

	assert_int_equal(pages_take(arena, 2, false, &found), 0);
	assert_int_equal(atomic_load(&budget.used), 3 * ARENA_PAGE);
	assert_int_equal(resident(), 3 * ARENA_PAGE);
	assert_int_equal(take(1, false, PAGE_CLEAN), run + 3);
}

static void a_punched_run_is_clean_and_costs_nothing(void **state) {
	(void)state;
	uint32_t run = take(4, false, PAGE_CLEAN);

	page_at(arena, run)[0] = 1;
	pages_free(arena, run, 4, PAGE_DIRTY);
	assert_true(pages_punch(arena, 4));
	assert_int_equal(arena->header->dirty, 0);
	assert_int_equal(resident(), 0);
	assert_int_equal(atomic_load(&budget.used), 0);
	assert_int_equal(take(4, true, PAGE_CLEAN), run);
	assert_int_equal(page_at(arena, run)[0], 0);
}

static void a_punch_takes_no_more_pages_than_asked_for(void **state) {
	(void)state;
	uint32_t run = take(8, false, PAGE_CLEAN);

	pages_free(arena, run, 8, PAGE_DIRTY);
	assert_true(pages_punch(arena, 3));
	assert_int_equal(arena->header->dirty, 6);
	assert_int_equal(resident(), 6 * ARENA_PAGE);
}

static void the_heap_shares_the_budget_and_leaves_the_reserve(void **state) {
	(void)state;
	const uint64_t limit = MIB, reserve = limit / BUDGET_RESERVE_SHARE;
	atomic_store(&budget.limit, limit);

	assert_false(arena_take_heap(arena, limit + 1));
	assert_true(arena_take_heap(arena, limit - reserve));
	assert_false(arena_keep_reserve(arena, true));
	assert_false(arena_take_heap(arena, 1));
	assert_true(arena_keep_reserve(arena, false));
	assert_true(arena_take_heap(arena, reserve));
	assert_false(arena_take_heap(arena, 1));
	arena_take_heap_anyway(arena, 1);
	assert_int_equal(atomic_load(&budget.used), limit + 1);
	arena_give_heap(arena, limit + 1);
	assert_int_equal(atomic_load(&budget.used), 0);
	assert_int_equal(resident(), 0);
}

static void a_list_loses_its_head_its_middle_and_its_end(void **state) {
	(void)state;
	uint32_t run = take(4, false, PAGE_CLEAN), head = 0;

	for (uint32_t i = 0; i < 4; i++)
		pages_list_push(arena, &head, run + i);
	pages_list_unlink(arena, &head, run + 3);
	assert_int_equal(head, run + 2);
	pages_list_unlink(arena, &head, run + 1);
	assert_int_equal(descriptor(arena, run + 2)->next, run);
	assert_int_equal(descriptor(arena, run)->prev, run + 2);
	pages_list_unlink(arena, &head, run);
	assert_int_equal(descriptor(arena, run + 2)->next, 0);
	pages_list_unlink(arena, &head, run + 2);
	assert_int_equal(head, 0);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_run_gives_the_rest_of_its_block_back, set_up, tear_down),
		cmocka_unit_test_setup_teardown(buddies_merge_within_their_state, set_up, tear_down),
		cmocka_unit_test_setup_teardown(buddies_of_two_states_stay_apart, set_up, tear_down),
		cmocka_unit_test_setup_teardown(dirty_pages_are_taken_first_unless_clean_ones_are_asked_for, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(pages_beyond_the_budget_stay_free, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_punched_run_is_clean_and_costs_nothing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_punch_takes_no_more_pages_than_asked_for, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_heap_shares_the_budget_and_leaves_the_reserve, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_list_loses_its_head_its_middle_and_its_end, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
