/* Rebuilds a shard after a crash. */
#pragma once

#include "store/keyspace/record.h"

/* Rebuilds a shard from the blocks of an adopted arena that is not clean. Returns 0 or ATOMDB_E_…. */
int shard_recover(struct shard *s);
