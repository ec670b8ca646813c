/* Removes entries: for a command, and when they expire. */
#pragma once

#include "store/keyspace/record.h"

/* Removes an entry of the database, and tells the watcher `why`. `hash` is the hash of its key. An open scope can bring
 * back an entry that a command removed (CHANGE_REMOVED). */
void remove_entry(struct tenant *t, struct database *d, uint64_t hash, ref block, enum change why);
/* Removes an entry that wheel_next() returned. `hash` is the hash of its key. Does nothing if its database was dropped.
 */
void remove_due(struct shard *s, ref due, uint64_t hash);
/* Removes an entry that is in no table any more from the LRU, the wheel and the counts, and frees its block. If `keep`
 * is true, an open scope keeps the block until its commit. */
void remove_unlinked(struct tenant *t, struct database *d, ref block, bool keep);
