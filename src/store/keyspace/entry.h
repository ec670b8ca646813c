/* An entry: one key with its value, its metadata and its links, in one block of the arena.
 *
 *            0        4        8        12       16             [+16 with TTL]      [+8 if wide]
 *            +--------+--------+--------+--------+----------------------------+----------------+-----+-------+
 *            | owner  | sizes  |lru prev|lru next| deadline | wheel prev|next | key len|val len| key | value |
 *            +--------+--------+--------+--------+----------------------------+----------------+-----+-------+
 *   owner:   tenant 20 bits | database 4 | flags 4 | check 3 | fresh 1     0: not an entry (a free block)
 *   sizes:   narrow: key length 7 bits | check 1 | value length 8 | check 4 | used 12
 *            wide: the 8-byte lengths count instead
 *   check:   of the entry's bytes, 8 bits in three places (check.h)
 *   used:    when the entry was last read or written: the lower bits of a count of ticks of 262 seconds
 *   fresh:   the open scope made the entry (undo.h)
 *
 * The owner is written last when an entry is published, and cleared first when it is removed. A block is an entry as
 * long as its owner is not 0. After a crash only that counts, not the tables and lists (recover.c).
 *
 * Two of the flags, ENTRY_FORM, tell what the value is. If both are set, the value is tagged: its first byte is an enum
 * entry_tag, which tells the type. Otherwise the value is a string; src/store/value/string.c gives the bits a meaning.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "atomdb/util/slice.h"
#include "store/arena/arena.h"
#include "store/index/block.h"

enum entry_flag {
	ENTRY_TTL = BLOCK_TTL,   /* has a deadline and is in the wheel */
	ENTRY_WIDE = BLOCK_WIDE, /* lengths beyond the narrow fields */
	ENTRY_FORM = 4 | 8,      /* both: the value is tagged */
};

/* The first byte of a tagged value. Numbers are part of the arena's format. */
enum entry_tag {
	ENTRY_TAG_DIGITS = 0, /* a string, the text of a number */
};

#define ENTRY_TENANT_MAX   ((1u << 20) - 1)
#define ENTRY_NARROW_KEY   BLOCK_NARROW_KEY
#define ENTRY_NARROW_VALUE BLOCK_NARROW_VALUE
#define ENTRY_VALUE_SHIFT  BLOCK_VALUE_SHIFT
#define ENTRY_VALUE_MAX    ((size_t)512 << 20)
#define ENTRY_FRESH        (1u << 31)
/* The tenant, the database and the flags: the owner without check and fresh. */
#define ENTRY_OWNER       ((1u << 28) - 1)
#define ENTRY_OWNER_CHECK (7u << 28)
#define ENTRY_SIZES_CHECK (1u << 7 | 15u << 16)

/* Returns the bits of `sizes` for a last use at a time in milliseconds since 1970. */
#define ENTRY_USED_SHIFT 20
#define ENTRY_USED_MAX   4095u
#define ENTRY_TICK_SHIFT 18 /* 2^18 ms */
static inline uint32_t entry_used_at(int64_t ms) {
	return (uint32_t)(ms >> ENTRY_TICK_SHIFT) << ENTRY_USED_SHIFT;
}

/* The first words are those of struct block, which the indexes read. */
struct entry {
	uint32_t owner;
	uint32_t sizes;
	ref lru_prev;
	ref lru_next;
};
_Static_assert(sizeof(struct entry) == sizeof(struct block) &&
		       offsetof(struct entry, owner) == offsetof(struct block, owner) &&
		       offsetof(struct entry, sizes) == offsetof(struct block, sizes) &&
		       offsetof(struct entry, lru_prev) == offsetof(struct block, lru_prev) &&
		       offsetof(struct entry, lru_next) == offsetof(struct block, lru_next),
	       "an entry begins as every block of the indexes");

static inline struct block *entry_block(const struct entry *e) {
	return (struct block *)(uintptr_t)e;
}

/* Sets the time of the last use: a result of entry_used_at(). */
static inline void entry_set_used(struct entry *e, uint32_t used) {
	e->sizes = (e->sizes & ((1u << ENTRY_USED_SHIFT) - 1)) | used;
}

static inline uint32_t entry_tenant(const struct entry *e) {
	return e->owner & ENTRY_TENANT_MAX;
}
static inline unsigned entry_database(const struct entry *e) {
	return (e->owner >> 20) & 15;
}
static inline unsigned entry_flags(const struct entry *e) {
	return (e->owner >> 24) & 15;
}
static inline bool entry_has(const struct entry *e, enum entry_flag flag) {
	return (entry_flags(e) & (unsigned)flag) != 0;
}
static inline bool entry_owner_is_tagged(uint32_t owner) {
	return (~owner & (uint32_t)ENTRY_FORM << 24) == 0;
}
static inline bool entry_is_tagged(const struct entry *e) {
	return (entry_flags(e) & ENTRY_FORM) == ENTRY_FORM;
}
static inline bool entry_fresh(const struct entry *e) {
	return (e->owner & ENTRY_FRESH) != 0;
}
static inline uint32_t entry_owner(uint32_t tenant, unsigned database, unsigned flags) {
	return tenant | database << 20 | flags << 24;
}

/* The check, and its parts in owner and sizes. */
static inline uint8_t entry_check(const struct entry *e) {
	return (uint8_t)((e->owner >> 28 & 7) << 5 | (e->sizes >> 16 & 15) << 1 | (e->sizes >> 7 & 1));
}
static inline uint32_t entry_owner_check(uint8_t check) {
	return (uint32_t)(check >> 5) << 28;
}
static inline uint32_t entry_sizes_check(uint8_t check) {
	return (uint32_t)(check >> 1 & 15) << 16 | (uint32_t)(check & 1) << 7;
}

static inline struct block_ttl *entry_ttl(struct entry *e) {
	return block_ttl(entry_block(e));
}

/* Returns the bytes before the key. */
static inline size_t entry_header_size(unsigned flags) {
	return block_header_size(flags);
}

static inline struct block_wide *entry_wide(struct entry *e) {
	return block_wide(entry_block(e));
}

static inline struct slice entry_key(const struct entry *e) {
	return block_key(entry_block(e));
}

/* Returns the value as its type stores it. */
static inline struct slice entry_stored(const struct entry *e) {
	struct slice key = entry_key(e);
	size_t len = e->sizes >> ENTRY_VALUE_SHIFT & ENTRY_NARROW_VALUE;
	if (__builtin_expect(entry_has(e, ENTRY_WIDE), 0))
		len = entry_wide((struct entry *)(uintptr_t)e)->value_len;
	return (struct slice){key.data + key.len, len};
}

/* Returns the stored value of a block whose owner was `owner` before it was cleared. */
static inline struct slice entry_stored_before(const struct entry *e, uint32_t owner) {
	unsigned flags = owner >> 24 & 15;
	const char *key = (const char *)e + entry_header_size(flags);
	if (flags & ENTRY_WIDE) {
		const struct block_wide *wide = (const struct block_wide *)(const void *)key - 1;
		return (struct slice){key + wide->key_len, wide->value_len};
	}
	return (struct slice){key + (e->sizes & ENTRY_NARROW_KEY), e->sizes >> ENTRY_VALUE_SHIFT & ENTRY_NARROW_VALUE};
}

/* Returns the bytes that the entry was allocated with. */
static inline size_t entry_size(const struct entry *e) {
	struct slice stored = entry_stored(e);
	return (size_t)(stored.data + stored.len - (const char *)e);
}

/* Returns the bytes of its block, which the tenant is charged. */
static inline size_t entry_block_size(const struct entry *e) {
	return arena_block_size(entry_size(e));
}

/* Returns the deadline in milliseconds since 1970, or 0 for none. */
static inline int64_t entry_deadline(const struct entry *e) {
	return entry_has(e, ENTRY_TTL) ? entry_ttl((struct entry *)(uintptr_t)e)->deadline : 0;
}
