/* The pages of an arena: a binary buddy allocator (Knowlton, 1965) with two kinds of free blocks.
 *
 * A free block is clean (never touched since the kernel last gave its pages: it reads as zeros and takes no memory) or
 * dirty (resident). Buddies merge only if they are of the same kind. pages_take() cuts a run of n pages from a block of
 * the next power of two and frees the rest, so runs waste nothing.
 *
 * Each page has a descriptor. Only the first page of a block, run or slab has one that is not zero, so a merge sees at
 * once whether its buddy is a whole free block. The descriptors of pages at multiples of 16 lie together, so a slab
 * takes 16 bytes of descriptor memory instead of 256.
 *
 * arena.c carves blocks from the pages, and decides when free dirty pages go back to the kernel. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "atomdb/store/memory_budget.h"
#include "store/arena/layout.h"

#define MIB          ((size_t)1 << 20)
#define PAGES_MAX    ((uint32_t)(ARENA_SIZE_MAX / ARENA_PAGE))
#define HEADER_PAGES 16u
#define FIRST_PAGE   (HEADER_PAGES + (uint32_t)(PAGES_MAX * sizeof(struct descriptor) / ARENA_PAGE))
#define ORDERS       24
#define SLAB_ORDER   4
#define SLAB_PAGES   (1u << SLAB_ORDER)
#define CLASSES      96

#define ARENA_MAGIC 0x414e4552414d4f54u
/* The version of all data in the arena. Tests build another one. */
#ifndef ATOMDB_FORMAT_VERSION
#define ATOMDB_FORMAT_VERSION 2
#endif
/* A bit of the version in the header: see arena_mark(). */
#define ARENA_MARK     0x80000000u
#define UNITS_PER_PAGE (ARENA_PAGE / ARENA_UNIT)
/* The kernel's huge pages: see hugepages.c. */
#define HUGEPAGE_BYTES (2 * MIB)
#define HUGEPAGE_PAGES ((uint32_t)(HUGEPAGE_BYTES / ARENA_PAGE))
#define SLAB_UNITS     (SLAB_PAGES * UNITS_PER_PAGE)
/* The most pages that one pages_punch() call gives back. */
#define PUNCH_PAGES ((uint32_t)(MIB / ARENA_PAGE))

enum page_state {
	PAGE_NONE = 0, /* not the first page of a block, run or slab */
	PAGE_CLEAN,
	PAGE_DIRTY,
	PAGE_RUN,                          /* + kind */
	PAGE_SLAB = PAGE_RUN + ARENA_KINDS /* + kind */
};

struct descriptor {
	uint8_t state;
	uint8_t size;  /* order of a free block, class of a slab */
	uint16_t used; /* slab: blocks handed out */
	uint16_t free; /* slab: first free block, in units + 1; 0: none */
	uint16_t mark; /* slab: units from this one on were never handed out */
	union {
		struct {
			uint32_t next, prev; /* pages, in a list of free blocks or of slabs with room */
		};
		uint32_t pages; /* of a run */
	};
};
_Static_assert(sizeof(struct descriptor) == 16, "a descriptor is 16 bytes");

struct header {
	uint64_t magic;
	uint32_t version;
	ref root;
	uint64_t identity; /* checksum of the fields above */
	uint64_t saved;    /* checksum of the header without this field, and of the root block; 0: not saved */
	uint64_t seal;     /* the memfd's modification time when saved: it changes with the next write */
	uint64_t root_size;
	uint64_t resident; /* the counters when saved */
	uint64_t used_by_kind[ARENA_KINDS];
	uint32_t end;         /* pages of the file */
	uint32_t dirty;       /* free pages that are resident */
	uint32_t idle;        /* empty slabs that are kept: each is the only one of its list */
	uint32_t nonempty[2]; /* clean, dirty: one bit for each order that has free blocks */
	uint32_t free[2][ORDERS];
	uint32_t partial[ARENA_KINDS][CLASSES]; /* slabs with room */
};
_Static_assert(sizeof(struct header) <= HEADER_PAGES * ARENA_PAGE, "the header fits its pages");

struct arena {
	struct arena_base map;
	struct header *header;
	struct descriptor *descriptors;
	struct memory_budget *budget;
	struct arena_counters counters;
	uint32_t reserved; /* pages of address space: PAGES_MAX, or less if the system refuses that */
	int fd;            /* owned */
	bool keeps_reserve;
	struct {
		uint32_t next;                                  /* the range to look at next */
		uint64_t resident;                              /* as of the last call */
		uint64_t done[PAGES_MAX / HUGEPAGE_PAGES / 64]; /* collapsed ranges, one bit each */
	} hugepages; /* used only by the thread that calls arena_collapse() */
};

static inline struct descriptor *descriptor(const struct arena *a, uint32_t page) {
	return &a->descriptors[(page & (SLAB_PAGES - 1)) * (PAGES_MAX / SLAB_PAGES) + page / SLAB_PAGES];
}

static inline char *page_at(const struct arena *a, uint32_t page) {
	return a->map.base + (size_t)page * ARENA_PAGE;
}

/* Returns the size class of a block of `size` bytes, 1 to ARENA_SLAB_MAX. */
static inline unsigned arena_class(size_t size) {
	if (size <= ARENA_FINE_MAX)
		return (unsigned)((size + ARENA_UNIT - 1) / ARENA_UNIT) - 1;
	unsigned log = 63 - (unsigned)__builtin_clzll((unsigned long long)size - 1);

	return ARENA_FINE_MAX / ARENA_UNIT + (log - 10) * 8 + (unsigned)((size - 1) >> (log - 3) & 7);
}

/* Returns the size of the blocks of a class in bytes. */
static inline size_t arena_class_size(unsigned class) {
	if (class < ARENA_FINE_MAX / ARENA_UNIT)
		return ((size_t) class + 1) * ARENA_UNIT;
	unsigned above = class - ARENA_FINE_MAX / ARENA_UNIT;

	return (size_t)(9 + above % 8) << (above / 8 + 7);
}

/* Extends the file to `to` pages and maps its pages [from, to). Returns 0 or -errno. */
int pages_map(struct arena *a, uint32_t from, uint32_t to);

/* Takes a run of `pages` pages. `clean` asks for clean pages, if there are any. Sets `*state` to the state that the
 * pages had. Charges the budget for clean pages, and extends the file if no free block is large enough. Returns the
 * first page, or 0 if there is no room. */
uint32_t pages_take(struct arena *a, uint32_t pages, bool clean, enum page_state *state);
/* Returns whether a free dirty block has room for a run of `pages` pages. */
bool pages_fit_dirty(const struct arena *a, uint32_t pages);
/* Frees pages, whose descriptors are all zero. */
void pages_free(struct arena *a, uint32_t page, uint32_t pages, enum page_state state);
/* Gives a block of free dirty pages back to the kernel, of at most `pages` and PUNCH_PAGES pages. The arena must have a
 * free dirty page. Returns false if the kernel refuses. */
bool pages_punch(struct arena *a, uint32_t pages);
/* Subtracts `bytes` from the resident bytes and from the budget. */
void pages_refund(struct arena *a, uint64_t bytes);

/* Charges `bytes` bytes of heap memory to the arena's budget. Returns false if the budget has no room. */
bool arena_take_heap(struct arena *a, uint64_t bytes);
/* Charges `bytes` bytes of heap memory even if the budget has no room. */
void arena_take_heap_anyway(struct arena *a, uint64_t bytes);
/* Discharges `bytes` bytes of heap memory. */
void arena_give_heap(struct arena *a, uint64_t bytes);

/* Frees unused pages of an adopted arena, and gives their memory back to the kernel. */
void pages_recover(struct arena *a, uint32_t page, uint32_t pages);

/* Add a page to a list through the descriptors, or remove it. `*head` is the first page, or 0. */
void pages_list_push(struct arena *a, uint32_t *head, uint32_t page);
void pages_list_unlink(struct arena *a, uint32_t *head, uint32_t page);
