#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "atomdb/util/error.h"
#include "harness.h"
#include "store/arena/adopt.h"
#include "store/arena/pages.h"

enum { ROOT = 100, BLOCK = 64, BLOCKS = 3, RUN = 5 * ARENA_PAGE };

static struct arena *arena;
static ref root, blocks[BLOCKS], run;

static void fill(void) {
	assert_int_equal(arena_open(&arena, "test", NULL), 0);
	root = arena_root(arena, ROOT);
	for (unsigned i = 0; i < BLOCKS; i++)
		blocks[i] = arena_alloc(arena, BLOCK, ARENA_ENTRY);
	run = arena_alloc(arena, RUN, ARENA_OTHER);
	assert_int_not_equal(run, 0);
	memset(arena_at(arena, root), 7, ROOT);
}

/* Closes the arena and returns its memfd. */
static int leave(bool save) {
	int fd = arena_fd(arena);

	if (save)
		assert_int_equal(arena_save(arena), 0);
	arena_disown(arena);
	arena_close(arena);
	return fd;
}

static bool adopt(int fd) {
	bool clean = false;

	assert_int_equal(arena_adopt(&arena, fd, &clean), 0);
	return clean;
}

static uint64_t used(enum arena_kind kind) {
	return counter_get(&arena_counters(arena)->used_by_kind[kind]);
}

static void a_saved_arena_is_clean_and_keeps_its_counters(void **state) {
	(void)state;
	fill();
	uint64_t entries = used(ARENA_ENTRY), others = used(ARENA_OTHER);
	uint64_t resident = counter_get(&arena_counters(arena)->resident);

	assert_true(adopt(leave(true)));
	assert_int_equal(used(ARENA_ENTRY), entries);
	assert_int_equal(used(ARENA_OTHER), others);
	assert_int_equal(counter_get(&arena_counters(arena)->used), entries + others);
	assert_int_equal(counter_get(&arena_counters(arena)->resident), resident);
	arena_close(arena);
}

static void an_arena_that_was_not_saved_or_changed_since_is_not_clean(void **state) {
	(void)state;
	fill();
	assert_false(adopt(leave(false)));
	arena_close(arena);

	fill();
	int fd = leave(true);
	assert_int_equal(pwrite(fd, "x", 1, (off_t)run * ARENA_UNIT), 1);
	assert_false(adopt(fd));
	arena_close(arena);

	fill();
	assert_true(adopt(leave(true)));
	arena_unsave(arena);
	assert_false(adopt(leave(false)));
	arena_close(arena);
}

static void refuse(int fd, int error) {
	bool clean;

	assert_int_equal(arena_adopt(&arena, fd, &clean), error);
	assert_true(fcntl(fd, F_GETFD) >= 0);
	close(fd);
}

static int leave_with_byte_changed(size_t at) {
	fill();
	int fd = leave(true);
	char byte;

	assert_int_equal(pread(fd, &byte, 1, (off_t)at), 1);
	byte ^= 1;
	assert_int_equal(pwrite(fd, &byte, 1, (off_t)at), 1);
	return fd;
}

static void a_file_that_is_no_arena_is_refused_and_left_open(void **state) {
	(void)state;
	refuse(memfd_create("empty", MFD_CLOEXEC), ATOMDB_E_FORMAT);
	refuse(leave_with_byte_changed(offsetof(struct header, magic)), ATOMDB_E_FORMAT);
	refuse(leave_with_byte_changed(offsetof(struct header, version)), ATOMDB_E_VERSION);
	refuse(leave_with_byte_changed(offsetof(struct header, root)), ATOMDB_E_CHECKSUM);
	fill();
	int fd = leave(true);
	assert_int_equal(ftruncate(fd, (off_t)(FIRST_PAGE - 1) * ARENA_PAGE), 0);
	refuse(fd, ATOMDB_E_TRUNCATED);
}

static void a_budget_is_charged_what_is_resident(void **state) {
	(void)state;
	struct memory_budget budget = {0};
	fill();

	assert_true(adopt(leave(true)));
	arena_set_budget(arena, &budget);
	assert_int_equal(atomic_load(&budget.used), counter_get(&arena_counters(arena)->resident));
	arena_close(arena);
	assert_int_equal(atomic_load(&budget.used), 0);
}

static void a_block_is_found_by_its_start_and_kind(void **state) {
	(void)state;
	size_t size = 0;
	fill();

	assert_true(arena_find_block(arena, blocks[1], ARENA_ENTRY, &size));
	assert_int_equal(size, BLOCK);
	assert_false(arena_find_block(arena, blocks[1], ARENA_OTHER, &size));
	assert_false(arena_find_block(arena, blocks[1] + 1, ARENA_ENTRY, &size));
	assert_false(arena_find_block(arena, blocks[BLOCKS - 1] + BLOCK / ARENA_UNIT, ARENA_ENTRY, &size));
	assert_true(arena_find_block(arena, run, ARENA_OTHER, &size));
	assert_int_equal(size, RUN);
	assert_false(arena_find_block(arena, run + UNITS_PER_PAGE, ARENA_OTHER, &size));
	assert_false(arena_find_block(arena, 0, ARENA_OTHER, &size));
	assert_false(arena_find_block(arena, UINT32_MAX, ARENA_OTHER, &size));
	arena_close(arena);
}

static void a_root_that_grows_gets_zeros(void **state) {
	(void)state;
	size_t block = arena_block_size(ROOT);
	fill();
	char *bytes = arena_at(arena, root);

	memset(bytes, 7, block);
	assert_int_equal(arena_find_root(arena, ROOT + 1, ROOT + 1), 0);
	assert_int_equal(arena_find_root(arena, ROOT, block + 1), 0);
	assert_int_equal(arena_find_root(arena, ROOT, block), root);
	arena_fit_root(arena, block);
	assert_int_equal(bytes[ROOT - 1], 7);
	for (size_t i = ROOT; i < block; i++)
		assert_int_equal(bytes[i], 0);
	arena_close(arena);
}

static bool keep_all_but_one(void *context, ref block, size_t size, enum arena_kind kind) {
	(void)context, (void)size, (void)kind;
	return block != blocks[1];
}

static void count(void *context, ref block) {
	(void)block;
	++*(unsigned *)context;
}

static void a_rescan_frees_the_blocks_that_are_not_kept(void **state) {
	(void)state;
	unsigned visited = 0;
	fill();
	for (unsigned i = 0; i < BLOCKS; i++)
		*(uint32_t *)arena_at(arena, blocks[i]) = 1;

	assert_false(adopt(leave(false)));
	assert_int_equal(arena_rescan(arena, keep_all_but_one, NULL), 0);
	assert_int_equal(used(ARENA_ENTRY), (BLOCKS - 1) * BLOCK);
	assert_int_equal(used(ARENA_OTHER), arena_block_size(ROOT) + RUN);
	arena_each(arena, ARENA_ENTRY, count, &visited);
	assert_int_equal(visited, BLOCKS);
	assert_int_equal(arena_alloc(arena, BLOCK, ARENA_ENTRY), blocks[1]);
	arena_close(arena);
}

static void a_rescan_counts_damaged_descriptors(void **state) {
	(void)state;
	fill();
	descriptor(arena, run / UNITS_PER_PAGE)->pages = 0;

	assert_false(adopt(leave(false)));
	assert_int_equal(arena_rescan(arena, keep_all_but_one, NULL), 1);
	assert_int_equal(used(ARENA_OTHER), arena_block_size(ROOT));
	arena_close(arena);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_saved_arena_is_clean_and_keeps_its_counters),
		cmocka_unit_test(an_arena_that_was_not_saved_or_changed_since_is_not_clean),
		cmocka_unit_test(a_file_that_is_no_arena_is_refused_and_left_open),
		cmocka_unit_test(a_budget_is_charged_what_is_resident),
		cmocka_unit_test(a_block_is_found_by_its_start_and_kind),
		cmocka_unit_test(a_root_that_grows_gets_zeros),
		cmocka_unit_test(a_rescan_frees_the_blocks_that_are_not_kept),
		cmocka_unit_test(a_rescan_counts_damaged_descriptors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
