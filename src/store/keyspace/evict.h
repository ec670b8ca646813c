/* Evicts a tenant's entries in the order of their use. */
#pragma once

#include "store/keyspace/record.h"

/* Evicts the least recently used entry and returns true. Returns false if there is none, or if it is `keep`. */
bool evict_oldest(struct tenant *t, ref keep);
