/* Scopes: groups of writes that a crash leaves either all done or all undone. */
#pragma once

#include <stdint.h>

struct shard;
struct tenant;

/* Opens a scope: after a crash, either all writes up to its commit are done, or none. Scopes nest, and only the
 * outermost commit is effective. A single call of a keyspace.h function needs no scope. */
void keyspace_begin(struct shard *s);
/* Opens the scope of a transaction: the values that its commands replace and remove stay charged until the commit.
 * Beyond 1/64 of the quota (at least 64 KiB, at most 1 MiB) they must fit into the quota, together with the `bytes`
 * bytes that are charged for the queued commands. */
void keyspace_begin_transaction(struct shard *s, uint64_t bytes);
/* Makes room in the open scope to remove `keys` keys of the tenant: these removals do not fail. Returns 0 or
 * ATOMDB_E_OOM. */
int keyspace_reserve(struct tenant *t, uint64_t keys);
/* Closes the scope that was opened last. Commits all writes if it is the outermost one. Has check points after the
 * commit of a long scope. */
void keyspace_commit(struct shard *s);
