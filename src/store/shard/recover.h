/* Rebuilds a shard after a crash. */
#pragma once

#include "store/keyspace/record.h"

/* Rebuilds a shard from the blocks of an arena that was taken over and was not saved. 0 or ATOMDB_E_…. */
int shard_recover(struct shard *s);
