/* The allocator of a shard's memory: one memfd, in which a ref names each block.
 *
 *   0            descriptors (16 bytes a 4 KiB page, sparse)                          pages
 *   +---------+---------------------------------------------+--------------------------------------- - - -
 *   | header  | [page 0][page 1][page 2] ...                | slab 64 KiB | run | table | run ...
 *   +---------+---------------------------------------------+--------------------------------------- - - -
 *
 * A binary buddy allocator hands out pages. Small blocks are carved from slabs of 64 KiB, one size class a slab. Larger
 * blocks are runs of pages. Free pages stay resident up to a slack. arena_trim() gives the others back to the kernel in
 * bounded steps, so neither a flush nor one large value stalls the caller. The arena contains no pointers: any process
 * may map it at any address.
 *
 * One thread owns an arena; other threads may read only the counters. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "atomdb/store/memory_budget.h"
#include "store/arena/layout.h"

/* Creates an arena in a new memfd called `name`. `budget` may be NULL; the arena does not own it, and it must outlive
 * the arena. The caller closes `*out` with arena_close(). Returns 0, -ENOMEM, or the -errno of memfd_create(2) or
 * mmap(2). */
int arena_open(struct arena **out, const char *name, struct memory_budget *budget);
/* Unmaps the arena and closes its memfd. `a` may be NULL. */
void arena_close(struct arena *a);

/* Returns the memfd, which the arena owns. */
int arena_fd(const struct arena *a);
const struct arena_counters *arena_counters(const struct arena *a);

/* Allocates the first block: `size` bytes of zeros that never move. The owner keeps the roots of all other data in it.
 * Must be called once, before any arena_alloc(). Returns 0 if there is no room. */
ref arena_root(struct arena *a, size_t size);

/* Allocates a block of at least `size` bytes (1 to ARENA_ALLOC_MAX), aligned to 16 bytes. The first 4 bytes are 0, the
 * others undefined. The caller keeps the size. Returns 0 if the budget, the arena or the system has no room. */
ref arena_alloc(struct arena *a, size_t size, enum arena_kind kind);
/* Allocates a block of zeros. A large block comes from untouched pages, which take no memory until they are used. */
ref arena_alloc_zero(struct arena *a, size_t size, enum arena_kind kind);
/* Allocates a block like arena_alloc(), also from the budget's reserve. */
ref arena_alloc_reserve(struct arena *a, size_t size, enum arena_kind kind);
/* Frees a block. `size` and `kind` are those of its allocation. */
void arena_free(struct arena *a, ref block, size_t size, enum arena_kind kind);

/* Gives free pages beyond the slack back to the kernel, at most about `max_bytes` bytes of them. `all` includes the
 * slack. Returns whether there are more. If `max_bytes` is 0, the call changes nothing. */
bool arena_trim(struct arena *a, size_t max_bytes, bool all);

/* Gives at most about `max_bytes` of the bytes back that arena_alloc() of a block of `size` bytes would give back.
 * Returns whether there are more. */
bool arena_trim_before(struct arena *a, size_t size, size_t max_bytes);

/* Sets whether new pages must leave the budget's reserve free. The default is false. Returns the former setting. */
bool arena_keep_reserve(struct arena *a, bool keep);
/* Returns the budget of the arena, or NULL. */
struct memory_budget *arena_budget_of(const struct arena *a);

/* Returns whether a block of that size class is free, so that an allocation needs no pages. */
bool arena_has_block(const struct arena *a, size_t size, enum arena_kind kind);
/* Returns the number of the slab that holds a block of at most ARENA_SLAB_MAX bytes: less than arena_slabs(). */
uint32_t arena_slab(ref block);
uint32_t arena_slabs(const struct arena *a);
/* Returns how many blocks of the slab are allocated. The pages of a slab without any go back with arena_trim(). */
unsigned arena_slab_used(const struct arena *a, uint32_t slab);

/* For adopt.c only. */
struct header;
/* Reserves the address space and maps the first `end` pages of the memfd. Returns 0 or -errno. */
int arena_map(struct arena *a, uint32_t end);
/* Returns the checksum of the part of the header that never changes. */
uint64_t arena_identity(const struct header *h);
