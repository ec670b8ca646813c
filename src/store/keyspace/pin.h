/* The store's side of pins (atomdb/store/pin.h). */
#pragma once

#include "atomdb/store/pin.h"
#include "store/keyspace/record.h"

/* For blocks of at least PIN_MIN bytes: whether the value in it is pinned. */
bool pin_has(const struct shard *s, ref block);
/* Bytes of the tenant's entries whose values are pinned. */
uint64_t pin_bytes(const struct tenant *t);
/* Makes a block that is no entry any more the pin's; false where it is not pinned. */
bool pin_keep(struct shard *s, ref block);

/* Notes the blocks that stay for the next process in the arena, as it is saved. */
void pins_save(struct shard *s);
/* Finds those that were noted: 0 or -ENOMEM. */
int pins_take_over(struct shard *s);
/* Whether there are any of the tenant in that slot. */
bool pins_wait(const struct shard *s, uint32_t slot);
/* Forgets the pins, but not their blocks, with the shard. */
void pins_free(struct shard *s);

/* Frees the block of an entry, now or when its value has been sent. */
static inline void pin_free_entry(struct shard *s, ref block, size_t size) {
	if (__builtin_expect(size < PIN_MIN, 1) || !pin_keep(s, block))
		arena_free(s->arena, block, size, ARENA_ENTRY);
}
