/* Compaction on demand: MEMORY PURGE. */
#pragma once

struct shard;

/* Requests a thorough compaction and the release of all free pages. shard_work() does it in slices. */
void shard_purge(struct shard *s);
