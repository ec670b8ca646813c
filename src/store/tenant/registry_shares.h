/* The registry tells the shards the demands of all tenants, for the fair share of memory. */
#pragma once

#include "store/keyspace/fair_share.h"

/* The shards' share.measure; `context` is the registry. From any worker's thread. */
void registry_measure_shares(void *context, struct memory_budget *b, uint64_t wanted);
