/* Values that are being sent: their bytes stay where they are until the last client that reads them is done, whatever
 * happens to the key meanwhile. So a large value is copied by nobody but the kernel, piece by piece.
 *
 * While the key has the value, a pin costs its tenant nothing; once it has it no more (overwritten, deleted, evicted,
 * expired, dropped), the block is the pin's, is charged to the tenant, and goes with the last return. What would
 * change a pinned value in place makes another block instead. After a crash there is nobody to send to: such a block is
 * free.
 *
 * A value that is half sent goes on in the next process: this one tells it the block and the place (pin_place), keeps
 * the blocks that have no key (pins_keep) and saves the shard; the next one pins them again (pin_claim), and
 * then frees what nobody claimed (pins_drop_unclaimed).
 *
 * For the tenant's own worker; every pin is returned before the tenant or the shard ends. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "atomdb/util/slice.h"

/* Values of at least this are pinned. */
#define PIN_MIN ((size_t)1 << 20)

struct entry;
struct pin;
struct shard;
struct tenant;

/* Pins the value of `e`, whose bytes keyspace_value tells, of at least PIN_MIN bytes. NULL: no memory. */
struct pin *pin_take(struct tenant *t, const struct entry *e);
/* Takes one pin_take back; NULL is fine. */
void pin_release(struct pin *l);

/* The place of bytes of a pinned value, for the next process. */
struct pin_place {
	uint32_t block;
	uint64_t offset, length; /* bytes, within it */
};
struct pin_place pin_place(const struct pin *l, struct slice bytes);
/* Pins what the process before named so, and tells where it is now. NULL: no such value is the tenant's (the place may
 * be anything), or no memory. */
struct pin *pin_claim(struct tenant *t, const struct pin_place *place, struct slice *bytes);

/* Called before shard_save(), once the clients that are sent values go on in the next process: blocks of values that
 * have no key any more stay when their pins are released. */
void pins_keep(struct shard *s);
/* Frees the blocks that the process before kept and that no client has claimed. */
void pins_drop_unclaimed(struct shard *s);
