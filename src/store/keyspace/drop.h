/* Databases that were dropped: their entries are freed in slices. */
#pragma once

#include "atomdb/store/drop.h"
#include "store/keyspace/record.h"

/* Charges a tenant for the databases that it had dropped before a clean restart. */
void drop_charge(struct tenant *t);
/* Frees about `units` dropped entries or databases; whether there are more. */
bool drop_free(struct shard *s, unsigned units);
