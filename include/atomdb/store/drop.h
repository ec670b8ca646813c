/* Empties databases: FLUSHDB, FLUSHALL. */
#pragma once

struct tenant;

/* Empties the database with that number, or all databases if it is TENANT_DATABASES. The keys disappear at once;
 * shard_work() frees them in slices. Returns 0; or ATOMDB_E_OOM in an open scope whose log has no room, and nothing has
 * changed. */
int keyspace_flush(struct tenant *t, unsigned database);
