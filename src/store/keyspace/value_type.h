/* The types of values, for the store. */
#pragma once

#include "atomdb/store/value_type.h"
#include "store/keyspace/pin.h"

/* Returns the type of an entry of the shard: value_type_of(). */
const struct value_type *value_type_in(const struct shard *s, const struct entry *e);
/* Calls the hook `free` for a tagged value that is gone. `owner`: that of its entry, before it was cleared. */
void value_type_free(struct shard *s, ref block, uint32_t owner);

/* Frees an entry whose owner was cleared from `owner` to 0: its block, and what its value holds outside. */
static inline void value_type_free_entry(struct shard *s, ref block, uint32_t owner, size_t size) {
	if (__builtin_expect(entry_owner_is_tagged(owner), 0))
		value_type_free(s, block, owner);
	pin_free_entry(s, block, size);
}
