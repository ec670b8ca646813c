/* Blocks of the heap that may be large.
 *
 * A large block is a mapping of its own: it grows without a copy. The kernel takes tens of milliseconds to free some
 * hundred MiB, so a worker gives a freed block back in pieces, between clients. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* A block of so many bytes is large. */
#define HEAP_LARGE ((size_t)1 << 20)

/* Has malloc() do its own upkeep in small steps. For the start of the process. */
void heap_init(void);

/* Resizes a block from heap_resize() or heap_zeros(), whose size is `from`, to `to` bytes. NULL and 0: makes one.
 * Returns NULL without memory: the block is unchanged. */
void *heap_resize(void *block, size_t from, size_t to);
/* Makes a block of zeros. Returns NULL without memory. */
void *heap_zeros(size_t size);
/* Drops bytes from the beginning of a block of `size` bytes: at most `n`, in whole pages, and none if the rest would
 * not be large. Returns their number. The block then begins behind them, and is shorter by this number. */
size_t heap_drop_front(void *block, size_t size, size_t n);
/* Frees a block of `size` bytes. NULL: does nothing. */
void heap_free(void *block, size_t size);

/* The calling thread begins, or ends, to keep the large blocks that it frees until its calls of heap_reclaim(). At the
 * end it gives them all back. Other threads give large blocks back at once. */
void heap_keep(bool keep);
/* Gives about `most` bytes of the kept blocks back to the kernel. Returns whether bytes are left. */
bool heap_reclaim(size_t most);
/* Returns the bytes of the kept blocks. */
size_t heap_kept(void);
