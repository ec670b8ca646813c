/* What the store asks of loans (atomdb/store/pin.h). */
#pragma once

#include "atomdb/store/pin.h"
#include "store/keyspace/record.h"

/* For blocks of at least LOAN_MIN bytes: whether the value in it is lent. */
bool loan_has(const struct shard *s, ref block);
/* Bytes of the tenant's entries whose values are lent. */
uint64_t loan_bytes(const struct tenant *t);
/* Makes a block that is no entry any more the loan's; false where it is not lent. */
bool loan_keep(struct shard *s, ref block);

/* Notes the blocks that stay for the next process in the arena, as it is saved. */
void loans_save(struct shard *s);
/* Finds those that were noted: 0 or -ENOMEM. */
int loans_take_over(struct shard *s);
/* Whether there are any of the tenant in that slot. */
bool loans_wait(const struct shard *s, uint32_t slot);
/* Forgets the loans, but not their blocks, with the shard. */
void loans_free(struct shard *s);

/* Frees the block of an entry, now or when its value has been sent. */
static inline void loan_free_entry(struct shard *s, ref block, size_t size) {
	if (__builtin_expect(size < LOAN_MIN, 1) || !loan_keep(s, block))
		arena_free(s->arena, block, size, ARENA_ENTRY);
}
