#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness.h"
#include "store/arena/hugepages.h"
#include "store/arena/pages.h"

#define BLOCK 64
#define COUNT (16 * MIB / BLOCK)

/* Returns the bytes of this process that the kernel has mapped by huge pages of shared memory. */
static uint64_t mapped_huge(void) {
	FILE *f = fopen("/proc/self/smaps", "re");
	char line[512];
	uint64_t sum = 0, kb;

	assert_non_null(f);
	while (fgets(line, sizeof(line), f) != NULL)
		if (sscanf(line, "ShmemPmdMapped: %lu kB", &kb) == 1)
			sum += kb * 1024;
	fclose(f);
	return sum;
}

/* Returns whether this kernel can collapse shared memory. */
static bool kernel_can(void) {
	int fd = memfd_create("probe", MFD_CLOEXEC);
	bool can = false;

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)HUGEPAGE_BYTES), 0);
	char *reserved = mmap(NULL, 2 * HUGEPAGE_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *at = reserved + (HUGEPAGE_BYTES - (uintptr_t)reserved % HUGEPAGE_BYTES) % HUGEPAGE_BYTES;
	assert_true(mmap(at, HUGEPAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) == at);
	memset(at, 1, HUGEPAGE_BYTES);
	can = madvise(at, HUGEPAGE_BYTES, 25) == 0;
	munmap(reserved, 2 * HUGEPAGE_BYTES);
	close(fd);
	return can;
}

static uint64_t huge(const struct arena *a) {
	return counter_get(&arena_counters(a)->hugepages);
}

static uint64_t backed(const struct arena *a) {
	struct stat st;

	assert_int_equal(fstat(arena_fd(a), &st), 0);
	return (uint64_t)st.st_blocks * 512;
}

static void collapse_all(struct arena *a) {
	for (int i = 0; i < 10; i++)
		arena_collapse(a);
}

static ref blocks[COUNT];

static void fill(struct arena *a) {
	for (size_t i = 0; i < COUNT; i++) {
		blocks[i] = arena_alloc(a, BLOCK, ARENA_OTHER);
		assert_int_not_equal(blocks[i], 0);
		memset(arena_at(a, blocks[i]), (int)(i % 251), BLOCK);
	}
}

static void check(const struct arena *a, size_t step) {
	for (size_t i = 0; i < COUNT; i += step) {
		const unsigned char *p = arena_at(a, blocks[i]);

		assert_int_equal(p[0], i % 251);
		assert_int_equal(p[BLOCK - 1], i % 251);
	}
}

/* Full ranges move to huge pages with their contents. Other ranges are unchanged. Freed pages go back to the kernel. */
static void full_memory_lies_on_huge_pages(void **state) {
	struct arena *a;
	(void)state;
	if (!kernel_can())
		skip();
	assert_int_equal(arena_open(&a, "test", NULL), 0);
	assert_int_equal((uintptr_t)arena_at(a, 0) % HUGEPAGE_BYTES, 0);
	arena_collapse(a);
	assert_int_equal(huge(a), 0);
	fill(a);
	uint64_t before = backed(a);
	collapse_all(a);
	assert_true(huge(a) >= 12 * MIB && huge(a) <= 17 * MIB);
	assert_int_equal(mapped_huge(), huge(a));
	assert_int_equal(backed(a), before);
	check(a, 1);

	/* If all blocks but one in each MiB are freed, almost all memory goes back. */
	const size_t step = MIB / BLOCK;
	for (size_t i = 0; i < COUNT; i++)
		if (i % step != 0)
			arena_free(a, blocks[i], BLOCK, ARENA_OTHER);
	while (arena_trim(a, MIB, true))
		;
	assert_true(backed(a) < 3 * MIB);
	check(a, step);
	collapse_all(a);
	assert_int_equal(huge(a), 0);
	assert_true(backed(a) < 3 * MIB);
	arena_close(a);
}

static void a_shard_that_grows_much_is_left_alone(void **state) {
	struct arena *a;
	(void)state;
	if (!kernel_can())
		skip();
	assert_int_equal(arena_open(&a, "test", NULL), 0);
	arena_collapse(a);
	fill(a);
	arena_collapse(a);
	assert_int_equal(huge(a), 0);
	arena_collapse(a);
	assert_true(huge(a) > 0);
	arena_close(a);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(full_memory_lies_on_huge_pages),
		cmocka_unit_test(a_shard_that_grows_much_is_left_alone),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
