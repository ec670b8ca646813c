/* Several keys at once: MSET. */
#pragma once

#include <stddef.h>

#include "atomdb/store/key.h"

struct tenant;

/* Called for each key, in order, once all are sure to be set. */
typedef void (*string_written)(void *context, const struct key *key);
/* Sets `count` keys of one database, all or none. `pairs`: names and values in turn. If a name comes twice, its last
 * value stays. Returns 0, or ATOMDB_E_OOM and nothing has changed. */
int string_set_all(struct tenant *t, unsigned db_slot, const struct slice *pairs, size_t count, string_written written,
		   void *context);
