/* The types of an arena that all its parts share: refs, sizes and kinds of blocks, and counters. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "atomdb/util/counter.h"

/* A block: its offset from the start of the arena in units of 16 bytes. 0 is no block. */
typedef uint32_t ref;

#define ARENA_UNIT     16
#define ARENA_PAGE     4096
#define ARENA_SIZE_MAX ((uint64_t)1 << 36)

/* The kinds of blocks. A slab holds blocks of one kind, so that a scan of the pages can tell entries from the rest. */
enum arena_kind { ARENA_ENTRY, ARENA_OTHER, ARENA_KINDS };

/* Written by the owner, read by anybody. */
struct arena_counters {
	counter resident; /* bytes of pages in use or kept as slack */
	counter used;     /* bytes of blocks handed out, rounding included */
	counter used_by_kind[ARENA_KINDS];
	counter hugepages; /* bytes on huge pages; written by the thread that calls arena_collapse */
};

struct arena;

/* Sizes of blocks: steps of 16 bytes up to 1 KiB, then 8 to a doubling, from slabs up to ARENA_SLAB_MAX and above it in
 * whole pages. A step that grows with the size keeps a value that is appended to from being copied each time. */
#define ARENA_FINE_MAX  1024u
#define ARENA_SLAB_MAX  16384u
#define ARENA_SLAB      65536u /* bytes of a slab */
#define ARENA_ALLOC_MAX ((size_t)16 << 30)

/* The bytes that a block of `size` takes, and that a tenant is charged. */
static inline size_t arena_block_size(size_t size) {
	size_t step = ARENA_UNIT;

	if (size > ARENA_FINE_MAX) {
		/* An eighth of the power of two below. */
		step = (size_t)1 << (60 - __builtin_clzll((unsigned long long)size - 1));
		if (size > ARENA_SLAB_MAX && step < ARENA_PAGE)
			step = ARENA_PAGE;
	}
	return (size + step - 1) & ~(step - 1);
}

/* The start of struct arena, for arena_at. */
struct arena_base {
	char *base;
	uint32_t generation;
};

static inline void *arena_at(const struct arena *a, ref block) {
	return ((const struct arena_base *)(const void *)a)->base + (uint64_t)block * ARENA_UNIT;
}

/* Changes when a page is freed, and with arena_next_generation. Until it changes, the place of a freed block can be
 * read, and still is of the block's kind. Reading a page that is not in use would make the kernel fill it, and no
 * counter would count it. */
static inline uint32_t arena_generation(const struct arena *a) {
	return ((const struct arena_base *)(const void *)a)->generation;
}

/* For the owner of a block that refs are read from, before it is freed. */
static inline void arena_next_generation(struct arena *a) {
	((struct arena_base *)(void *)a)->generation++;
}
