/* Counts and charges a tenant's entries and tables. These functions never evict: see quota.h. */
#pragma once

#include "store/keyspace/record.h"

/* Counts one more entry, or one less if `more` is false, and charges or discharges the `bytes` bytes of its block.
 * `ttl` says whether the entry has a deadline. */
void account_entry(struct tenant *t, struct database *d, unsigned db_slot, bool ttl, size_t bytes, bool more);
/* Counts one more entry with a deadline, or one less if `more` is false. */
void account_expiring(struct tenant *t, struct database *d, unsigned db_slot, bool more);
/* An entry that the LRU list and the counts leave out for a moment, as if it were deleted. */
struct uncounted {
	struct tenant *tenant;
	struct database *database;
	ref block;
};

/* Takes a live entry out of the LRU and of the counts. */
void account_uncount(const struct uncounted *u);
/* Counts it again, as the most recently used entry. */
void account_count_again(const struct uncounted *u);
/* Charges the bytes by which the table has grown since the last call, or discharges those by which it has shrunk. Adds
 * a table whose resize has begun to the shard's list of resizes. */
void account_table(struct tenant *t, struct database *d);
/* Moves a few buckets of a resize that is under way, and charges the table. The caller calls it after each change of a
 * table. */
void account_table_step(struct tenant *t, struct database *d);
