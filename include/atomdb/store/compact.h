/* Compaction on demand: MEMORY PURGE. */
#pragma once

struct shard;

/* Asks for compaction to the last page. shard_work() does it, in slices. */
void shard_purge(struct shard *s);
