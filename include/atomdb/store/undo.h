/* Scopes: several writes that a crash leaves done together or not at all. */
#pragma once

#include <stdint.h>

struct shard;

/* Opens a scope: after a crash, all writes up to its commit are there, or none. Scopes nest; only the outermost commit
 * counts. A single call of keyspace.h needs no scope. */
void keyspace_begin(struct shard *s);
/* Opens the scope of several commands: what they replace and remove stays charged until the commit. Beyond a 64th of
 * the quota, 64 KiB to 1 MiB, it has to fit into the quota, together with the `bytes` charged for the list of commands.
 */
void keyspace_begin_transaction(struct shard *s, uint64_t bytes);
void keyspace_commit(struct shard *s);
