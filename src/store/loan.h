/* What the store asks of loans (atomdb/store/loan.h). */
#pragma once

#include "atomdb/store/loan.h"
#include "store/record.h"

/* For blocks of at least LOAN_MIN bytes: whether the value in it is lent. */
bool loan_has(const struct shard *s, ref block);
/* Makes a block that is no entry any more the loan's; false where it is not lent. */
bool loan_keep(struct shard *s, ref block);

/* Frees the block of an entry, now or when its value has been sent. */
static inline void loan_free_entry(struct shard *s, ref block, size_t size) {
	if (__builtin_expect(size < LOAN_MIN, 1) || !loan_keep(s, block))
		arena_free(s->arena, block, size, ARENA_ENTRY);
}
