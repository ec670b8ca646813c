/* The first words of a block that the indexes name: what the table, the LRU and the wheel know of an entry.
 *
 *            0        4        8        12       16             [+16 with TTL]      [+8 if wide]
 *            +--------+--------+--------+--------+----------------------------+----------------+-----+- - -
 *            | owner  | sizes  |lru prev|lru next| deadline | wheel prev|next | key len|     --| key |
 *            +--------+--------+--------+--------+----------------------------+----------------+-----+- - -
 *
 * The indexes read only the flags of the owner, and the length of the key in the sizes. src/store/keyspace/entry.h has
 * the rest. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "atomdb/util/slice.h"
#include "store/arena/arena.h"

enum block_flag {
	BLOCK_TTL = 1,  /* has a deadline and is in the wheel */
	BLOCK_WIDE = 2, /* lengths beyond the narrow fields */
};
#define BLOCK_FLAGS_SHIFT 24

#define BLOCK_NARROW_KEY   127u
#define BLOCK_NARROW_VALUE 255u
#define BLOCK_VALUE_SHIFT  8

struct block {
	uint32_t owner; /* 0: the block is free */
	uint32_t sizes;
	ref lru_prev; /* see lru.h */
	ref lru_next;
};

struct block_ttl {
	int64_t deadline;    /* milliseconds since 1970 */
	uint32_t wheel_prev; /* see wheel.h */
	ref wheel_next;
};

struct block_wide {
	uint32_t key_len;
	uint32_t value_len;
};

static inline unsigned block_flags(const struct block *b) {
	return (b->owner >> BLOCK_FLAGS_SHIFT) & 15;
}

/* Requires BLOCK_TTL. */
static inline struct block_ttl *block_ttl(struct block *b) {
	return (struct block_ttl *)(void *)(b + 1);
}

/* Returns the bytes before the key. */
static inline size_t block_header_size(unsigned flags) {
	return sizeof(struct block) + ((flags & BLOCK_TTL) ? sizeof(struct block_ttl) : 0) +
	       ((flags & BLOCK_WIDE) ? sizeof(struct block_wide) : 0);
}

/* Requires BLOCK_WIDE. */
static inline struct block_wide *block_wide(const struct block *b) {
	return (struct block_wide *)(uintptr_t)((const char *)b + block_header_size(block_flags(b)) -
						sizeof(struct block_wide));
}

static inline struct slice block_key(const struct block *b) {
	size_t len = b->sizes & BLOCK_NARROW_KEY;
	if (__builtin_expect((block_flags(b) & BLOCK_WIDE) != 0, 0))
		len = block_wide(b)->key_len;
	return (struct slice){(const char *)b + block_header_size(block_flags(b)), len};
}

/* Returns the bytes of a block without BLOCK_WIDE. Reads only its first words. */
static inline size_t block_narrow_size(const struct block *b) {
	return block_header_size(block_flags(b) & ~(unsigned)BLOCK_WIDE) + (b->sizes & BLOCK_NARROW_KEY) +
	       (b->sizes >> BLOCK_VALUE_SHIFT & BLOCK_NARROW_VALUE);
}
