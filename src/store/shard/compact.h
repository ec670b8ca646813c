/* Compaction of a shard: moves entries out of slabs that deletes have left sparse, so that pages go back to the kernel.
 * A compaction starts when the bytes lost in slabs have grown by more than 1 MiB, and by more than an eighth of the
 * bytes in use, since the last one. Therefore nothing happens in a steady state. shard_purge() also starts one. It runs
 * in slices between commands. */
#pragma once

#include "atomdb/store/compact.h"
#include "store/keyspace/record.h"

/* Returns whether a compaction is under way. */
static inline bool compact_under_way(const struct shard *s) {
	return s->compaction.fragmentation.phase != FRAGMENTATION_IDLE;
}

/* Starts a compaction if one is due. The shard calls it once a turn. */
static inline void compact_watch(struct shard *s) {
	struct compaction *c = &s->compaction;
	uint64_t waste = fragmentation_waste(s->arena);

	if (waste <= c->least) {
		c->least = waste;
		return;
	}
	uint64_t more = waste - c->least;

	if (__builtin_expect(more > MIB && more > counter_get(&arena_counters(s->arena)->used) / 8, 0) &&
	    c->fragmentation.phase == FRAGMENTATION_IDLE)
		fragmentation_start(&c->fragmentation, false);
}

/* Does a slice of the compaction that is under way: about as much work as looking at `units` blocks. */
void compact_work(struct shard *s, unsigned units);

/* Moves an entry to another block of its size, and frees its former block. The entry keeps its place in the LRU and its
 * deadline. No scope may be open, and no dropped database may be left to free. Returns false, and changes nothing, if
 * there is no memory or no open tenant that has the entry. */
bool compact_move(struct shard *s, ref from);
