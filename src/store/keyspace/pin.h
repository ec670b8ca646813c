/* Pins, for the files of the store: see atomdb/store/pin.h. */
#pragma once

#include "atomdb/store/pin.h"
#include "store/keyspace/record.h"

/* Returns whether the value in a block of at least PIN_MIN bytes is pinned. */
bool pin_has(const struct shard *s, ref block);
/* Returns the bytes of the tenant's entries whose values are pinned. */
uint64_t pin_bytes(const struct tenant *t);
/* Gives a block that is no entry any more to its pin. Returns false if the block is not pinned. */
bool pin_keep(struct shard *s, ref block);

/* Lists the kept blocks in the arena for the next process. */
void pins_save(struct shard *s);
/* Makes pins of the blocks that pins_save() listed. Returns 0 or -ENOMEM. */
int pins_take_over(struct shard *s);
/* Returns whether there is a pin of the tenant in that slot. */
bool pins_has_tenant(const struct shard *s, uint32_t slot);
/* Frees the pins, but not their blocks. */
void pins_free(struct shard *s);

/* Frees the block of an entry, now or when its pin is released. */
static inline void pin_free_entry(struct shard *s, ref block, size_t size) {
	if (__builtin_expect(size < PIN_MIN, 1) || !pin_keep(s, block))
		arena_free(s->arena, block, size, ARENA_ENTRY);
}
