/* Pins: a pinned value stays in place until it has been sent to the last client that reads it.
 *
 * Only the kernel copies a large value, piece by piece. While the key has the value, its tenant pays nothing for the
 * pin. When the key loses the value (overwritten, deleted, evicted, expired, dropped), the pin owns the block and the
 * tenant is charged for it. The last release frees the block. A command that would change a pinned value in place makes
 * a new block instead. After a crash no client reads the value, and recovery frees the block.
 *
 * The next process continues a value that is half sent. This process hands over the block and the place of the bytes
 * (pin_place()), keeps the blocks without a key (pins_keep()), and saves the shard. The next process pins the values
 * (pin_claim()), then frees the blocks that no client claimed (pins_drop_unclaimed()).
 *
 * Only the tenant's worker may use pins. It releases every pin before the tenant or the shard ends. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "atomdb/util/slice.h"

/* The bytes of the smallest value that is pinned. */
#define PIN_MIN ((size_t)1 << 20)

struct entry;
struct pin;
struct shard;
struct tenant;

/* Pins the value of `e`, whose bytes string_value() returns, at least PIN_MIN of them. The caller releases the pin
 * with pin_release(). Returns NULL if there is no memory. */
struct pin *pin_take(struct tenant *t, const struct entry *e);
/* Releases a pin of pin_take() or pin_claim(). `p` may be NULL. */
void pin_release(struct pin *p);

/* The place of bytes of a pinned value, for the next process. */
struct pin_place {
	uint32_t block;
	uint64_t offset, length; /* bytes, in the block */
};
/* Returns the place of `bytes`, which are part of the pinned value. */
struct pin_place pin_place(const struct pin *p, struct slice bytes);
/* Pins the value that the process before named by `place`, and sets `*bytes` to its bytes. `place` may have any
 * content. Returns NULL if the tenant has no such value, or if there is no memory. */
struct pin *pin_claim(struct tenant *t, const struct pin_place *place, struct slice *bytes);

/* From now on, blocks without a key stay when their pins are released. The worker calls it before it hands its clients
 * over and calls shard_save(). */
void pins_keep(struct shard *s);
/* Frees the blocks that the process before kept and that no client has claimed. */
void pins_drop_unclaimed(struct shard *s);
