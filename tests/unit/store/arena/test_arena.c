#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "atomdb/util/error.h"
#include "harness.h"
#include "store/arena/arena.h"
#include "store/random.h"

#define MIB ((size_t)1 << 20)

static struct arena *open_arena(struct memory_budget *budget) {
	struct arena *a = NULL;

	assert_int_equal(arena_open(&a, "test", budget), 0);
	assert_non_null(a);
	return a;
}

static uint64_t used(const struct arena *a) {
	return counter_get(&arena_counters(a)->used);
}

static uint64_t resident(const struct arena *a) {
	return counter_get(&arena_counters(a)->resident);
}

/* Returns the bytes of memory that the kernel holds for the arena. */
static uint64_t backed(const struct arena *a) {
	struct stat st;

	assert_int_equal(fstat(arena_fd(a), &st), 0);
	return (uint64_t)st.st_blocks * 512;
}

static void trim_all(struct arena *a) {
	while (arena_trim(a, MIB, true))
		;
}

static void test_a_block_wastes_less_than_an_eighth_of_its_size(void **state) {
	(void)state;
	size_t last = 0;

	for (size_t size = 1; size < 70000; size++) {
		size_t block = arena_block_size(size);

		assert_true(block >= size && block >= last);
		assert_true(block - size < 16 || (size > 1024 && block - size < size / 8 + 1) ||
			    (size > ARENA_SLAB_MAX && block - size < ARENA_PAGE));
		assert_int_equal(block % ARENA_UNIT, 0);
		assert_int_equal(arena_block_size(block), block);
		last = block;
	}
	assert_int_equal(arena_block_size(64), 64);
	assert_int_equal(arena_block_size(65), 80);
	assert_int_equal(arena_block_size(1025), 1152);
	assert_int_equal(arena_block_size(16384), 16384);
	assert_int_equal(arena_block_size(16385), 20480);
}

static void test_sizes_out_of_range_are_refused(void **state) {
	(void)state;
	struct arena *a = open_arena(NULL);

	assert_int_equal(arena_alloc(a, 0, ARENA_OTHER), 0);
	assert_int_equal(arena_alloc(a, ARENA_ALLOC_MAX + 1, ARENA_OTHER), 0);
	assert_int_equal(arena_alloc(a, SIZE_MAX, ARENA_OTHER), 0);
	assert_int_equal(used(a), 0);
	arena_close(a);
	arena_close(NULL);
}

static void test_the_root_is_zeros(void **state) {
	(void)state;
	static const char zeros[10000];
	struct arena *a = open_arena(NULL);
	ref root = arena_root(a, sizeof zeros);

	assert_int_not_equal(root, 0);
	assert_memory_equal(arena_at(a, root), zeros, sizeof zeros);
	arena_close(a);
}

struct block {
	ref at;
	size_t size;
	enum arena_kind kind;
	unsigned char fill;
};

static void fill_block(struct arena *a, const struct block *b) {
	unsigned char *p = arena_at(a, b->at);

	memset(p, b->fill, b->size < 200 ? b->size : 100);
	memset(p + b->size - (b->size < 100 ? b->size : 100), b->fill, b->size < 100 ? b->size : 100);
}

static void check_block(struct arena *a, const struct block *b) {
	const unsigned char *p = arena_at(a, b->at);
	size_t head = b->size < 200 ? b->size : 100, tail = b->size < 100 ? b->size : 100;

	for (size_t i = 0; i < head; i++)
		if (p[i] != b->fill)
			fail_msg("block of %zu bytes overwritten at %zu", b->size, i);
	for (size_t i = b->size - tail; i < b->size; i++)
		if (p[i] != b->fill)
			fail_msg("block of %zu bytes overwritten at %zu", b->size, i);
}

static size_t random_size(uint64_t *seed) {
	switch (random_next(seed) % 16) {
	case 0:
		return 1 + random_next(seed) % (300 * 1024);
	case 1:
	case 2:
		return 1 + random_next(seed) % 20000;
	case 3:
	case 4:
	case 5:
		return 1 + random_next(seed) % 2000;
	default:
		return 1 + random_next(seed) % 200;
	}
}

static void new_block(struct arena *a, struct block *b, uint64_t *seed) {
	bool zero = random_next(seed) % 4 == 0;

	b->size = random_size(seed);
	b->kind = random_next(seed) % 2 ? ARENA_ENTRY : ARENA_OTHER;
	b->fill = (unsigned char)(1 + random_next(seed) % 255);
	b->at = (zero ? arena_alloc_zero : arena_alloc)(a, b->size, b->kind);
	assert_int_not_equal(b->at, 0);

	const unsigned char *p = arena_at(a, b->at);
	uint32_t first;

	memcpy(&first, p, sizeof first);
	assert_int_equal(first, 0);
	for (size_t i = 0; zero && i < b->size; i++)
		if (p[i] != 0)
			fail_msg("zeroed block of %zu bytes is dirty at %zu", b->size, i);
	fill_block(a, b);
}

static void test_blocks_keep_their_bytes_under_random_allocation(void **state) {
	(void)state;
	enum { BLOCKS = 4000, STEPS = 400000 };
	uint64_t seed = random_seed();
	struct memory_budget budget = {0};
	struct arena *a = open_arena(&budget);
	struct block *blocks = calloc(BLOCKS, sizeof *blocks);
	uint64_t expected[ARENA_KINDS] = {0};

	assert_non_null(blocks);
	for (unsigned step = 0; step < STEPS; step++) {
		/* Phases that mostly allocate alternate with phases that mostly free. */
		bool filling = step / 20000 % 2 == 0;
		struct block *b = &blocks[random_next(&seed) % BLOCKS];

		if (b->at != 0) {
			check_block(a, b);
			if (filling && random_next(&seed) % 4 != 0)
				continue;
			arena_free(a, b->at, b->size, b->kind);
			expected[b->kind] -= arena_block_size(b->size);
			b->at = 0;
		} else if (filling || random_next(&seed) % 4 == 0) {
			new_block(a, b, &seed);
			expected[b->kind] += arena_block_size(b->size);
		}
		if (step % 64 == 0)
			(void)arena_trim(a, 64 * 1024, random_next(&seed) % 8 == 0);
		if (step % 1000 == 0) {
			assert_int_equal(used(a), expected[0] + expected[1]);
			assert_true(resident(a) >= used(a));
			assert_true(atomic_load(&budget.used) == resident(a));
		}
	}
	for (unsigned kind = 0; kind < ARENA_KINDS; kind++)
		assert_int_equal(counter_get(&arena_counters(a)->used_by_kind[kind]), expected[kind]);
	for (unsigned i = 0; i < BLOCKS; i++)
		if (blocks[i].at != 0) {
			check_block(a, &blocks[i]);
			arena_free(a, blocks[i].at, blocks[i].size, blocks[i].kind);
		}
	trim_all(a);
	assert_int_equal(used(a), 0);
	assert_int_equal(resident(a), 0);
	assert_true(backed(a) < 4 * MIB);

	/* All free blocks have merged again: the largest block fits into the file. */
	struct stat before, after;
	assert_int_equal(fstat(arena_fd(a), &before), 0);
	ref large = arena_alloc(a, 16 * MIB, ARENA_OTHER);
	assert_int_not_equal(large, 0);
	assert_int_equal(fstat(arena_fd(a), &after), 0);
	assert_int_equal(before.st_size, after.st_size);
	arena_close(a);
	assert_int_equal(atomic_load(&budget.used), 0);
	free(blocks);
}

static void test_memory_of_freed_keys_goes_back_to_the_kernel(void **state) {
	(void)state;
	enum { KEYS = 300000, SIZE = 64 };
	struct arena *a = open_arena(NULL);
	ref *blocks = calloc(KEYS, sizeof *blocks);
	uint64_t empty = backed(a);

	assert_non_null(blocks);
	for (unsigned i = 0; i < KEYS; i++) {
		blocks[i] = arena_alloc(a, SIZE, ARENA_ENTRY);
		assert_int_not_equal(blocks[i], 0);
		memset(arena_at(a, blocks[i]), 1, SIZE);
	}
	/* A key takes its block and almost no more memory. */
	assert_true(backed(a) - empty < (uint64_t)KEYS * SIZE * 101 / 100 + 128 * 1024);
	for (unsigned i = 0; i < KEYS; i++)
		arena_free(a, blocks[i], SIZE, ARENA_ENTRY);
	uint64_t full = backed(a);

	assert_true(full > (uint64_t)KEYS * SIZE);
	assert_true(arena_trim(a, 0, false));
	assert_int_equal(backed(a), full);
	assert_true(arena_trim(a, 256 * 1024, false));
	/* A trim gives back no more than asked for. */
	assert_true(full - backed(a) <= 256 * 1024);
	while (arena_trim(a, MIB, false))
		;
	assert_true(backed(a) - empty <= 2 * MIB);
	assert_true(resident(a) <= MIB);
	assert_false(arena_trim(a, 0, false));
	assert_true(arena_trim(a, 0, true));
	trim_all(a);
	assert_false(arena_trim(a, 0, true));
	assert_int_equal(resident(a), 0);
	assert_true(backed(a) - empty < 128 * 1024);
	arena_close(a);
	free(blocks);
}

static void test_untouched_pages_take_no_memory(void **state) {
	(void)state;
	struct arena *a = open_arena(NULL);
	ref small = arena_alloc(a, 64, ARENA_ENTRY);
	uint64_t before = backed(a);
	size_t size = (size_t)600 << 20;
	ref huge = arena_alloc_zero(a, size, ARENA_OTHER);

	assert_true(before < 64 * 1024);
	assert_int_not_equal(huge, 0);
	assert_true(backed(a) - before < 64 * 1024);
	char *p = arena_at(a, huge);
	assert_int_equal(p[0] | p[size / 2] | p[size - 1], 0);
	p[size - 1] = 1;
	arena_free(a, huge, size, ARENA_OTHER);
	trim_all(a);
	huge = arena_alloc_zero(a, size, ARENA_OTHER);
	p = arena_at(a, huge);
	assert_int_equal(p[size - 1], 0);
	arena_free(a, huge, size, ARENA_OTHER);
	arena_free(a, small, 64, ARENA_ENTRY);
	arena_close(a);
}

static void test_runs_waste_nothing(void **state) {
	(void)state;
	struct arena *a = open_arena(NULL);
	size_t size = 36 * ARENA_PAGE;
	ref runs[50];

	for (unsigned i = 0; i < 50; i++)
		runs[i] = arena_alloc(a, size, ARENA_ENTRY);
	assert_int_equal(resident(a), 50 * size);
	assert_int_equal(used(a), 50 * size);
	for (unsigned i = 0; i < 50; i++)
		arena_free(a, runs[i], size, ARENA_ENTRY);
	trim_all(a);
	assert_int_equal(resident(a), 0);
	arena_close(a);
}

/* 25 MiB do not fill a block of 2^n pages: the dirty pages of a freed block are too small for the next one. */
static void test_freed_large_blocks_do_not_accumulate(void **state) {
	(void)state;
	struct arena *a = open_arena(NULL);
	const size_t size = 25 * MIB;
	ref last = arena_alloc(a, size, ARENA_ENTRY);

	for (unsigned i = 0; i < 20; i++) {
		ref next = arena_alloc(a, size, ARENA_ENTRY);

		assert_int_not_equal(next, 0);
		arena_free(a, last, size, ARENA_ENTRY);
		last = next;
		assert_true(resident(a) <= 3 * size + 2 * MIB);
	}
	arena_free(a, last, size, ARENA_ENTRY);
	arena_close(a);
}

static void test_dirty_memory_is_zeroed(void **state) {
	(void)state;
	struct arena *a = open_arena(NULL);
	size_t sizes[] = {48, 1500, 100000};

	for (unsigned i = 0; i < 3; i++) {
		ref block = arena_alloc(a, sizes[i], ARENA_OTHER);
		memset(arena_at(a, block), 0xff, sizes[i]);
		arena_free(a, block, sizes[i], ARENA_OTHER);
		block = arena_alloc_zero(a, sizes[i], ARENA_OTHER);
		const char *p = arena_at(a, block);
		for (size_t k = 0; k < sizes[i]; k++)
			assert_int_equal(p[k], 0);
		arena_free(a, block, sizes[i], ARENA_OTHER);
	}
	arena_close(a);
}

static void test_arenas_share_a_budget(void **state) {
	(void)state;
	struct memory_budget budget = {.limit = 4 * MIB};
	struct arena *a = open_arena(&budget), *b = open_arena(&budget);
	ref runs[8];

	for (unsigned i = 0; i < 3; i++)
		assert_int_not_equal(runs[i] = arena_alloc(a, MIB, ARENA_OTHER), 0);
	assert_int_not_equal(runs[3] = arena_alloc(b, MIB, ARENA_OTHER), 0);
	assert_int_equal(arena_alloc(a, 16, ARENA_OTHER), 0);
	assert_int_equal(arena_alloc(b, MIB, ARENA_OTHER), 0);
	assert_int_equal(used(a), 3 * MIB);
	assert_int_equal(atomic_load(&budget.used), 4 * MIB);

	/* Free resident pages still count. The arena gives them back if that makes room. */
	arena_free(a, runs[0], MIB, ARENA_OTHER);
	arena_free(a, runs[2], MIB, ARENA_OTHER);
	assert_int_equal(atomic_load(&budget.used), 4 * MIB);
	assert_int_equal(arena_alloc(b, MIB, ARENA_OTHER), 0);
	assert_int_not_equal(runs[0] = arena_alloc_zero(a, 2 * MIB, ARENA_OTHER), 0);
	assert_int_equal(atomic_load(&budget.used), 4 * MIB);

	arena_free(a, runs[0], 2 * MIB, ARENA_OTHER);
	trim_all(a);
	assert_int_equal(atomic_load(&budget.used), 2 * MIB);
	assert_int_not_equal(arena_alloc(b, MIB, ARENA_OTHER), 0);
	atomic_store(&budget.limit, MIB);
	assert_int_equal(arena_alloc(b, 4096, ARENA_OTHER), 0);
	atomic_store(&budget.limit, 0);
	assert_int_not_equal(arena_alloc(b, 9 * MIB, ARENA_OTHER), 0);
	arena_close(a);
	arena_close(b);
	assert_int_equal(atomic_load(&budget.used), 0);
}

static void test_an_empty_slab_stays_until_a_trim(void **state) {
	(void)state;
	struct arena *a = open_arena(NULL);

	/* The slab of a key that is set and deleted repeatedly stays until a trim. */
	ref first = arena_alloc(a, 64, ARENA_ENTRY);
	arena_free(a, first, 64, ARENA_ENTRY);
	for (unsigned i = 0; i < 10; i++) {
		ref block = arena_alloc(a, 64, ARENA_ENTRY);
		assert_int_equal(block, first);
		arena_free(a, block, 64, ARENA_ENTRY);
	}
	assert_int_equal(resident(a), 64 * 1024);
	assert_false(arena_trim(a, MIB, false));
	assert_int_equal(resident(a), 64 * 1024);
	trim_all(a);
	assert_int_equal(resident(a), 0);
	arena_close(a);
}

static void test_an_allocation_beyond_the_end_of_the_arena_fails(void **state) {
	(void)state;
	struct arena *a = open_arena(NULL);
	size_t size = ARENA_ALLOC_MAX / 2;
	ref blocks[16];
	unsigned count = 0;

	while ((blocks[count] = arena_alloc_zero(a, size, ARENA_OTHER)) != 0)
		assert_true(++count < 16);
	assert_true(count >= 6);
	assert_true(used(a) <= ARENA_SIZE_MAX);
	((char *)arena_at(a, blocks[count - 1]))[size - 1] = 1;
	/* Smaller blocks still fit. */
	ref small = arena_alloc(a, 64, ARENA_ENTRY);
	assert_int_not_equal(small, 0);
	arena_free(a, small, 64, ARENA_ENTRY);
	while (count > 0)
		arena_free(a, blocks[--count], size, ARENA_OTHER);
	assert_int_equal(used(a), 0);
	trim_all(a);
	assert_int_equal(resident(a), 0);
	arena_close(a);
}

static void test_a_file_size_limit_fails_an_allocation(void **state) {
	(void)state;
	struct arena *a = open_arena(NULL);
	struct rlimit was, now;
	struct stat st;

	/* While the file cannot grow, an allocation fails. It succeeds once the file can grow again. */
	assert_int_equal(fstat(arena_fd(a), &st), 0);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
	now = was;
	now.rlim_cur = (rlim_t)st.st_size;
	void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &now), 0);
	ref block = arena_alloc(a, 64, ARENA_ENTRY);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
	(void)signal(SIGXFSZ, handler);
	assert_int_equal(block, 0);
	assert_int_equal(used(a) + resident(a), 0);
	assert_int_not_equal(arena_alloc(a, 64, ARENA_ENTRY), 0);
	arena_close(a);
}

static void test_open_returns_the_error_of_the_system(void **state) {
	(void)state;
	struct arena *a = NULL;
	char name[300];

	memset(name, 'x', sizeof name);
	name[sizeof name - 1] = 0;
	assert_int_equal(arena_open(&a, name, NULL), -EINVAL);
	assert_null(a);
	a = open_arena(NULL);
	assert_int_equal(fcntl(arena_fd(a), F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	arena_close(a);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_block_wastes_less_than_an_eighth_of_its_size),
		cmocka_unit_test(test_sizes_out_of_range_are_refused),
		cmocka_unit_test(test_the_root_is_zeros),
		cmocka_unit_test(test_blocks_keep_their_bytes_under_random_allocation),
		cmocka_unit_test(test_memory_of_freed_keys_goes_back_to_the_kernel),
		cmocka_unit_test(test_untouched_pages_take_no_memory),
		cmocka_unit_test(test_runs_waste_nothing),
		cmocka_unit_test(test_freed_large_blocks_do_not_accumulate),
		cmocka_unit_test(test_dirty_memory_is_zeroed),
		cmocka_unit_test(test_arenas_share_a_budget),
		cmocka_unit_test(test_an_empty_slab_stays_until_a_trim),
		cmocka_unit_test(test_an_allocation_beyond_the_end_of_the_arena_fails),
		cmocka_unit_test(test_a_file_size_limit_fails_an_allocation),
		cmocka_unit_test(test_open_returns_the_error_of_the_system),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
