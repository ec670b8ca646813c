/* Frees dropped databases in slices. */
#pragma once

#include "atomdb/store/drop.h"
#include "store/keyspace/record.h"

/* Charges a tenant for the databases that it had dropped before a clean restart and that are not freed yet. */
void drop_charge(struct tenant *t);
/* Frees about `units` dropped entries and databases. Returns whether there are more. */
bool drop_free(struct shard *s, unsigned units);
