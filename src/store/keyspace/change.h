/* Tells the tenant's watcher of a change of an entry. */
#pragma once

#include "store/keyspace/record.h"

static inline void change_tell(struct tenant *t, enum change what, unsigned db_slot, struct slice name) {
	if (__builtin_expect(t->watcher != NULL, 0))
		t->watcher(t, what, t->record->numbers[db_slot], name);
}
