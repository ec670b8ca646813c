/* The types of an arena that all its parts share: refs, sizes and kinds of blocks, and counters. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "atomdb/util/counter.h"

/* The name of a block: its offset from the start of the arena in units of 16 bytes. 0 is no block. */
typedef uint32_t ref;

#define ARENA_UNIT     16
#define ARENA_PAGE     4096
#define ARENA_SIZE_MAX ((uint64_t)1 << 36)

/* The kinds of blocks. A slab holds blocks of one kind, so a scan of the pages can tell entries from other blocks. */
enum arena_kind { ARENA_ENTRY, ARENA_OTHER, ARENA_KINDS };

/* The owner writes them. Any thread may read them. */
struct arena_counters {
	counter resident; /* bytes of pages in use or kept as slack */
	counter used;     /* bytes of blocks handed out, rounding included */
	counter used_by_kind[ARENA_KINDS];
	counter hugepages; /* bytes on huge pages; written by the thread that calls arena_collapse */
};

struct arena;

/* The sizes of blocks rise in steps of 16 bytes up to 1 KiB, and then in 8 steps to a doubling. Blocks up to
 * ARENA_SLAB_MAX lie in slabs; larger ones are whole pages. Growing steps reduce how often an appended value is copied.
 */
#define ARENA_FINE_MAX  1024u
#define ARENA_SLAB_MAX  16384u
#define ARENA_SLAB      65536u /* bytes of a slab */
#define ARENA_ALLOC_MAX ((size_t)16 << 30)

/* Returns the bytes that a block of `size` bytes takes. A tenant is charged for these. */
static inline size_t arena_block_size(size_t size) {
	size_t step = ARENA_UNIT;

	if (size > ARENA_FINE_MAX) {
		/* An eighth of the next lower power of two. */
		step = (size_t)1 << (60 - __builtin_clzll((unsigned long long)size - 1));
		if (size > ARENA_SLAB_MAX && step < ARENA_PAGE)
			step = ARENA_PAGE;
	}
	return (size + step - 1) & ~(step - 1);
}

/* The first fields of struct arena, for arena_at(). */
struct arena_base {
	char *base;
	uint32_t generation;
};

static inline void *arena_at(const struct arena *a, ref block) {
	return ((const struct arena_base *)(const void *)a)->base + (uint64_t)block * ARENA_UNIT;
}

/* Returns a number that changes when a page is freed, and with arena_next_generation(). As long as it is unchanged, the
 * memory of a freed block may be read and is still a block of the same kind. A read of a page that is not in use would
 * make the kernel allocate it, and no counter would include it. */
static inline uint32_t arena_generation(const struct arena *a) {
	return ((const struct arena_base *)(const void *)a)->generation;
}

/* Changes arena_generation(). The owner calls it before it frees a block from which others read refs. */
static inline void arena_next_generation(struct arena *a) {
	((struct arena_base *)(void *)a)->generation++;
}
