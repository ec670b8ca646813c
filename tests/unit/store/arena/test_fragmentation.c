#include "harness.h"
#include "store/arena/fragmentation.h"

/* 1024 blocks fill a slab. */
enum { BLOCK = 64, PER_SLAB = 1024, SLABS = 40, BLOCKS = SLABS * PER_SLAB };

static struct arena *arena;
static ref blocks[BLOCKS];

static int set_up(void **state) {
	(void)state;
	if (arena_open(&arena, "test", NULL) != 0)
		return -1;
	for (uint32_t i = 0; i < BLOCKS; i++) {
		blocks[i] = arena_alloc(arena, BLOCK, ARENA_ENTRY);
		uint32_t *words = arena_at(arena, blocks[i]);
		words[0] = i + 1;
	}
	return 0;
}

static int tear_down(void **state) {
	(void)state;
	arena_close(arena);
	return 0;
}

static void free_block(uint32_t i) {
	arena_free(arena, blocks[i], BLOCK, ARENA_ENTRY);
	blocks[i] = 0;
}

/* Frees all blocks of the first `slabs` slabs but one in every `each` blocks. */
static void thin_out(uint32_t slabs, uint32_t each) {
	for (uint32_t i = 0; i < slabs * PER_SLAB; i++)
		if (i % each != 0)
			free_block(i);
}

static struct fragmentation survey(bool thorough) {
	struct fragmentation s;

	fragmentation_start(&s, thorough);
	while (s.phase == FRAGMENTATION_SURVEY) {
		unsigned steps = 10;
		fragmentation_survey(&s, arena, &steps);
	}
	return s;
}

static void full_slabs_leave_nothing_to_do(void **state) {
	(void)state;
	assert_int_equal(survey(true).phase, FRAGMENTATION_IDLE);
	assert_int_equal(fragmentation_waste(arena), 0);
}

static void little_to_spare_is_left_unless_thorough(void **state) {
	(void)state;
	thin_out(20, 2);
	assert_int_equal(fragmentation_waste(arena), 20 * ARENA_SLAB / 2);
	assert_int_equal(survey(false).phase, FRAGMENTATION_IDLE);
	assert_int_equal(survey(true).phase, FRAGMENTATION_PASS);
}

static void more_than_a_mebibyte_to_spare_begins_a_pass(void **state) {
	(void)state;
	thin_out(SLABS, 2);
	assert_int_equal(survey(false).phase, FRAGMENTATION_PASS);
}

static void blocks_are_taken_of_one_slab_and_only_those_in_use(void **state) {
	(void)state;
	thin_out(SLABS, 8);
	struct fragmentation s = survey(true);
	ref taken[PER_SLAB];
	unsigned steps = PER_SLAB, count = fragmentation_take(&s, arena, taken, PER_SLAB, &steps);

	assert_int_equal(count, PER_SLAB / 8);
	assert_int_equal(steps, 0);
	for (unsigned i = 0; i < count; i++) {
		assert_int_equal(taken[i] / SLAB_UNITS, taken[0] / SLAB_UNITS);
		assert_int_not_equal(*(const uint32_t *)arena_at(arena, taken[i]), 0);
	}
}

/* Moves blocks as compaction does. Returns their number. */
static unsigned move(struct fragmentation *s) {
	ref taken[32];
	unsigned steps = 100, moved = 0, count = fragmentation_take(s, arena, taken, 32, &steps);

	for (unsigned i = 0; i < count; i++) {
		uint32_t *from = arena_at(arena, taken[i]);
		if (!fragmentation_make_way(s, arena, taken[i]))
			break;
		ref block = arena_alloc(arena, BLOCK, ARENA_ENTRY);
		assert_int_not_equal(block / SLAB_UNITS, taken[i] / SLAB_UNITS);
		uint32_t *to = arena_at(arena, block);
		to[0] = from[0];
		blocks[from[0] - 1] = block;
		arena_free(arena, taken[i], BLOCK, ARENA_ENTRY);
		moved++;
	}
	return moved;
}

static void passes_leave_no_slab_to_spare(void **state) {
	(void)state;
	thin_out(SLABS, 8);
	struct fragmentation s = survey(true);
	unsigned moved = 0;

	while (s.phase != FRAGMENTATION_IDLE) {
		unsigned steps = 100;
		if (s.phase == FRAGMENTATION_SURVEY)
			fragmentation_survey(&s, arena, &steps);
		else
			moved += move(&s);
	}
	assert_true(moved < BLOCKS / 8);
	assert_int_equal(fragmentation_waste(arena), 0);
	for (uint32_t i = 0; i < BLOCKS; i += 8)
		assert_int_equal(*(const uint32_t *)arena_at(arena, blocks[i]), i + 1);
	while (arena_trim(arena, MIB, true))
		;
	assert_int_equal(counter_get(&arena_counters(arena)->resident), SLABS / 8 * ARENA_SLAB);
}

static void a_block_stays_without_another_slab_with_room(void **state) {
	(void)state;
	thin_out(1, 2);
	struct fragmentation s = survey(true);
	unsigned class = arena_class(BLOCK);

	s.classes[class].selected = true;
	assert_false(fragmentation_make_way(&s, arena, blocks[0]));
	assert_false(s.classes[class].selected);
	assert_true(fragmentation_make_way(&s, arena, blocks[PER_SLAB]));
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(full_slabs_leave_nothing_to_do, set_up, tear_down),
		cmocka_unit_test_setup_teardown(little_to_spare_is_left_unless_thorough, set_up, tear_down),
		cmocka_unit_test_setup_teardown(more_than_a_mebibyte_to_spare_begins_a_pass, set_up, tear_down),
		cmocka_unit_test_setup_teardown(blocks_are_taken_of_one_slab_and_only_those_in_use, set_up, tear_down),
		cmocka_unit_test_setup_teardown(passes_leave_no_slab_to_spare, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_block_stays_without_another_slab_with_room, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
