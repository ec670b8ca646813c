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
 * The arena contains no pointers: any process may map it at any address.
 *
 * One thread owns an arena; other threads may read only the counters. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "atomdb/store/memory_budget.h"
#include "store/arena/layout.h"

/* Creates an arena in a new memfd. `budget` may be NULL and is not owned; it must outlive the arena.
 * Returns 0, -ENOMEM, or the -errno of memfd_create or mmap. */
int arena_open(struct arena **out, const char *name, struct memory_budget *budget);
/* Unmaps the arena and closes its memfd; NULL is allowed. */
void arena_close(struct arena *a);

/* The memfd, owned by the arena. */
int arena_fd(const struct arena *a);
const struct arena_counters *arena_counters(const struct arena *a);

/* Allocates the first block, `size` bytes of zeros, which never moves: the owner keeps the roots of all other data in
 * it. Called once, before any arena_alloc. */
ref arena_root(struct arena *a, size_t size);

/* A block of at least `size` bytes (1 to ARENA_ALLOC_MAX), 16-byte aligned, with undefined contents except for the
 * first 4 bytes, which are 0. The caller keeps its size. Returns 0 if the budget, the arena or the system has no room.
 */
ref arena_alloc(struct arena *a, size_t size, enum arena_kind kind);
/* The same, filled with zeros; large blocks come from untouched pages and cost nothing until used. */
ref arena_alloc_zero(struct arena *a, size_t size, enum arena_kind kind);
/* arena_alloc() from the budget's reserve too. */
ref arena_alloc_reserve(struct arena *a, size_t size, enum arena_kind kind);
/* Gives back a block; `size` and `kind` as it was allocated. */
void arena_free(struct arena *a, ref block, size_t size, enum arena_kind kind);

/* Gives free pages beyond the slack back to the system, at most about `max_bytes` of them; returns whether there is
 * more to do. With `all`, the slack too; with 0 bytes it changes nothing. */
bool arena_trim(struct arena *a, size_t max_bytes, bool all);

/* Whether new pages leave the budget's reserve free from here on. At first they do not. Returns what held before. */
bool arena_keep_reserve(struct arena *a, bool keep);
/* The budget of the arena, or NULL. */
struct memory_budget *arena_budget_of(const struct arena *a);

/* For adopt.c. */
struct header;
/* Reserves the address space and maps the first `end` pages of the memfd. 0 or -errno. */
int arena_map(struct arena *a, uint32_t end);
/* The checksum of the part of the header that never changes. */
uint64_t arena_identity(const struct header *h);
