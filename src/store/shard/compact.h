/* Compaction of a shard: where deletes have left slabs sparse, entries move together, and pages go back to the kernel.
 *
 * It begins by itself when more is lost in slabs than was lost when it last looked, by a MiB and an eighth of what is
 * in use, so nothing happens in a steady state; or when asked (shard_purge). It works in slices, between commands. */
#pragma once

#include "atomdb/store/compact.h"
#include "store/keyspace/record.h"

static inline bool compact_under_way(const struct shard *s) {
	return s->compaction.fragmentation.phase != FRAGMENTATION_IDLE;
}

/* Looks whether it is time to begin: once a turn. */
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

/* Does a slice of it, about `units` blocks' worth, if it is under way. */
void compact_work(struct shard *s, unsigned units);

/* Moves an entry into another block of its size, and frees the one it was in. It keeps its place in the list of use and
 * its deadline. No scope is open, and no database is waiting to be freed. false, and nothing has changed: there is no
 * room, or no tenant to have it. */
bool compact_move(struct shard *s, ref from);
