/* A shard's memory: one memfd, in which every block is named by a ref.
 *
 *   0            descriptors (16 bytes a 4 KiB page, sparse)                          pages
 *   +---------+---------------------------------------------+--------------------------------------- - - -
 *   | header  | [page 0][page 1][page 2] ...                | slab 64 KiB | run | table | run ...
 *   +---------+---------------------------------------------+--------------------------------------- - - -
 *
 * Pages are handed out by a binary buddy allocator whose lists run through the descriptors. Small blocks are carved
 * from slabs of 64 KiB, one size class a slab; larger ones are runs of pages. Free pages stay resident up to a slack
 * and go back to the kernel in bounded steps (arena_trim), so neither a flush nor one large value stalls the caller.
 * Nothing in the arena is a pointer: it may be mapped at any address, by any process.
 *
 * One thread owns an arena; only the counters may be read by others. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "atomdb/store/memory_budget.h"
#include "atomdb/util/counter.h"

/* A block: its offset from the start of the arena in units of 16 bytes. 0 names nothing. */
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
	counter hugepages; /* bytes that were laid on huge pages; written by the thread that calls arena_collapse */
};

struct arena;

/* Creates an arena in a new memfd. `budget` may be NULL and is not owned; it must outlive the arena.
 * Returns 0, -ENOMEM, or the -errno of memfd_create or mmap. */
int arena_open(struct arena **out, const char *name, struct memory_budget *budget);
/* Takes over the memfd of an arena: `fd` is the arena's then. `*clean` says that arena_save was the last to change it;
 * else it must go through arena_rescan. No budget limits it yet. 0; -ENOMEM or -errno; ATOMDB_E_FORMAT, _VERSION,
 * _CHECKSUM or _TRUNCATED, and nothing has changed. */
int arena_adopt(struct arena **out, int fd, bool *clean);
/* From here on its pages are charged, all that it has at once. */
void arena_set_budget(struct arena *a, struct memory_budget *budget);
/* Makes the arena what arena_adopt finds clean; nothing may write to it after that. 0 or -errno. */
int arena_save(struct arena *a);
/* From here on it has to be rebuilt. */
void arena_unsave(struct arena *a);
/* Lets arena_close leave the memfd open: it is the caller's again. */
void arena_disown(struct arena *a);
/* Unmaps and closes; NULL is fine. */
void arena_close(struct arena *a);

/* Lays some more of what is full on huge pages; see hugepages.c. For one thread, any, while the owner works. */
void arena_collapse(struct arena *a);

/* The memfd, owned by the arena. */
int arena_fd(const struct arena *a);
const struct arena_counters *arena_counters(const struct arena *a);

/* The first block, `size` bytes of zeros, at a place that never moves: where the owner keeps the roots of everything
 * else. Called once, before any arena_alloc. */
ref arena_root(struct arena *a, size_t size);

/* Sizes of blocks: steps of 16 bytes up to 1 KiB, then 8 to a doubling, from slabs up to ARENA_SLAB_MAX and above it in
 * whole pages. A step that grows with the size keeps a value that is appended to from being copied each time. */
#define ARENA_FINE_MAX  1024u
#define ARENA_SLAB_MAX  16384u
#define ARENA_SLAB      65536u /* bytes of a slab */
#define ARENA_ALLOC_MAX ((size_t)16 << 30)

/* The first block of an arena that was taken over. Another release may have given it another size, of at least `least`
 * bytes. 0: there is none, or no room in it for `size` bytes. */
ref arena_find_root(const struct arena *a, size_t least, size_t size);
/* Makes `size` the size of the first block, which has room for that many bytes. Bytes that the release before did not
 * have are 0, and so are bytes that only that release had, when it comes back. */
void arena_fit_root(struct arena *a, size_t size);

/* Whether a block of that kind begins there, in use or free; `*size` is what it takes. */
bool arena_find_block(const struct arena *a, ref block, enum arena_kind kind, size_t *size);
/* Makes all bookkeeping new from what the descriptors say of slabs and runs. `keep` says of each block whether it is in
 * use; it may change it, but not allocate. Returns how many descriptors were damaged. */
uint64_t arena_rescan(struct arena *a, bool (*keep)(void *context, ref block, size_t size, enum arena_kind kind),
		      void *context);
/* Visits the blocks of that kind that a slab or run has handed out once: also those that are free now. */
void arena_each(const struct arena *a, enum arena_kind kind, void (*visit)(void *context, ref block), void *context);

/* How many bytes a block of `size` takes: what a tenant is charged. */
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

/* A block of at least `size` bytes (1 to ARENA_ALLOC_MAX), 16-byte aligned, contents undefined but for the first 4
 * bytes, which are 0; its size is not stored, the caller knows it. 0 where the budget, the arena or the system has no
 * room. */
ref arena_alloc(struct arena *a, size_t size, enum arena_kind kind);
/* The same, filled with zeros; large blocks come from untouched pages and cost nothing until used. */
ref arena_alloc_zero(struct arena *a, size_t size, enum arena_kind kind);
/* arena_alloc() from the budget's reserve too. */
ref arena_alloc_reserve(struct arena *a, size_t size, enum arena_kind kind);
/* Gives back a block; `size` and `kind` as it was allocated. */
void arena_free(struct arena *a, ref block, size_t size, enum arena_kind kind);

/* Gives free pages beyond the slack back to the system, at most about `max_bytes` of them; returns whether there is
 * more to do. With `all`, the slack too; with 0 bytes it only tells. */
bool arena_trim(struct arena *a, size_t max_bytes, bool all);

/* Whether new pages leave the budget's reserve free from here on. At first they do not. Returns what held before. */
bool arena_keep_reserve(struct arena *a, bool keep);
/* Takes `bytes` of the heap from the budget, which the arena's pages share; false: it has no room. */
bool arena_take_heap(struct arena *a, uint64_t bytes);
/* The same also where there is none. */
void arena_take_heap_anyway(struct arena *a, uint64_t bytes);
void arena_give_heap(struct arena *a, uint64_t bytes);
/* Or NULL. */
struct memory_budget *arena_budget_of(const struct arena *a);

/* Where the arena is mapped: the base of arena_at. */
struct arena_base {
	char *base;
	uint32_t generation;
};

static inline void *arena_at(const struct arena *a, ref block) {
	return ((const struct arena_base *)(const void *)a)->base + (uint64_t)block * ARENA_UNIT;
}

/* Changes when a page is freed, and with arena_next_generation. Until then, where a block was there is memory, and of
 * its kind: also to read a page that is not in use makes the kernel fill it, uncounted. */
static inline uint32_t arena_generation(const struct arena *a) {
	return ((const struct arena_base *)(const void *)a)->generation;
}

/* For the owner of a block that refs are read from, before it is freed. */
static inline void arena_next_generation(struct arena *a) {
	((struct arena_base *)(void *)a)->generation++;
}
