/* Measures the fair share of memory over the tenants of all shards. */
#pragma once

#include "store/keyspace/fair_share.h"

/* The `measure` hook of struct fair_share; `context` is the registry. Any worker may call it. */
void registry_measure_shares(void *context, struct memory_budget *b, uint64_t wanted);
