/* Several keys at once: MSET. */
#pragma once

#include <stddef.h>

#include "atomdb/store/key.h"

struct tenant;

/* Called for each key, in order, once all keys are sure to be set. */
typedef void (*string_written)(void *context, const struct key *key);
/* Sets `count` keys of one database, all or none. `pairs` are names and values in turn. If a name comes twice, its last
 * value stays. Returns 0, or ATOMDB_E_OOM and no key is set.
 *
 * A call that is refused evicts nothing, except in two cases: another worker or command takes the memory that the
 * evictions made free, or the undo log or the table, which are allocated last, get none. Then the evictions that the
 * quota and the fair share required for this call have been made. */
int string_set_all(struct tenant *t, unsigned db_slot, const struct slice *pairs, size_t count, string_written written,
		   void *context);
