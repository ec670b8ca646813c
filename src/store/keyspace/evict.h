/* Evicts a tenant's entries in the order of their use. */
#pragma once

#include "store/keyspace/record.h"

/* Evicts the least recently used entry and tells the watcher. Returns false if there is no entry, or if it is `keep`.
 */
bool evict_oldest(struct tenant *t, ref keep);
