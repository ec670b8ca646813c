/* Removes entries: by a command, as they expire, and what is left once the table names an entry no longer. */
#pragma once

#include "store/keyspace/record.h"

/* Removes an entry of the database, whose key has this hash, and tells the watcher. If a scope is open, it may bring
 * back what a command removed (CHANGE_REMOVED). */
void remove_entry(struct tenant *t, struct database *d, uint64_t hash, ref block, enum change why);
/* Removes an entry that the wheel found due. Does nothing if its database was dropped. `hash`: of its key. */
void remove_due(struct shard *s, ref due, uint64_t hash);
/* Takes an entry that is in no table any more out of the LRU, the wheel and the counts, and frees its block. `keep`: an
 * open scope keeps the block until its commit. */
void remove_unlinked(struct tenant *t, struct database *d, ref block, bool keep);
