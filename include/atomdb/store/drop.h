/* Empties databases: FLUSHDB, FLUSHALL. */
#pragma once

struct tenant;

/* Empties the database with that number, or all databases if it is TENANT_DATABASES. The keys disappear at once;
 * shard_work() frees them in slices. */
void keyspace_flush(struct tenant *t, unsigned database);
