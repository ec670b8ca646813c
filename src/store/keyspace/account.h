/* The counts and the charge of a tenant's entries and tables. Nothing here evicts: see quota.h. */
#pragma once

#include "store/keyspace/record.h"

/* Counts one entry more, or one less, and `bytes` of its block. `ttl`: it has a deadline. */
void account_entry(struct tenant *t, struct database *d, unsigned db_slot, bool ttl, size_t bytes, bool more);
/* Counts one more entry with a deadline, or one less. */
void account_expiring(struct tenant *t, struct database *d, unsigned db_slot, bool more);
/* Charges the bytes that the table has grown by since the last call, or discharges those that it has shrunk by. A table
 * whose resize has begun joins the shard's list of resizes. */
void account_table(struct tenant *t, struct database *d);
/* Moves a few buckets of a resize that is under way, and charges the table. Called after each change of a table. */
void account_table_step(struct tenant *t, struct database *d);
