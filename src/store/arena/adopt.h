/* Hands an arena from one process to the next: saves it, adopts it, and rebuilds it after a crash. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/arena/arena.h"

/* Makes an arena of the memfd `fd`. The arena owns `fd` if the call succeeds. Sets `*clean` if nothing was written
 * since arena_save(); otherwise the caller must call arena_rescan(). The arena has no budget yet. Returns 0, -ENOMEM,
 * -errno, ATOMDB_E_FORMAT, _VERSION, _CHECKSUM or _TRUNCATED. A failed call changes nothing. */
int arena_adopt(struct arena **out, int fd, bool *clean);
/* Charges the resident pages and all later pages to `budget`, which must outlive the arena. NULL is no budget. */
void arena_set_budget(struct arena *a, struct memory_budget *budget);
/* Marks the arena as clean for arena_adopt(). The caller must not write to it afterwards. Returns 0 or -errno. */
int arena_save(struct arena *a);
/* Marks the arena as not clean for arena_adopt(). */
void arena_unsave(struct arena *a);
/* Marks the arena as one that needs a release which knows suspended undo scopes, or takes the mark off. An earlier
 * release refuses a marked arena as one of another version, and changes nothing. */
void arena_mark(struct arena *a, bool on);
/* Gives the memfd back to the caller: arena_close leaves it open. */
void arena_disown(struct arena *a);

/* Returns the first block of an adopted arena. Another release may have given it another size, of at least `least`
 * bytes. Returns 0 if there is no such block, or if it has no room for `size` bytes. */
ref arena_find_root(const struct arena *a, size_t least, size_t size);
/* Sets the size of the first block to `size` bytes, for which the block has room. Bytes outside the smaller of the old
 * and the new size become 0. */
void arena_fit_root(struct arena *a, size_t size);

/* Returns whether a block of that kind begins at `block`, in use or free. Sets `*size` to the size of the block in
 * bytes. */
bool arena_find_block(const struct arena *a, ref block, enum arena_kind kind, size_t *size);
/* Rebuilds all bookkeeping from the descriptors of slabs and runs. `keep` returns whether a block is in use. It may
 * change the block, but must not allocate. Returns the number of damaged descriptors. */
uint64_t arena_rescan(struct arena *a, bool (*keep)(void *context, ref block, size_t size, enum arena_kind kind),
		      void *context);
/* Visits each block of that kind that a slab or run has ever handed out, free blocks included. */
void arena_each(const struct arena *a, enum arena_kind kind, void (*visit)(void *context, ref block), void *context);
