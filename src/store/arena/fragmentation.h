/* Which entries are to move so that slabs get empty: the arena's part of compaction.
 *
 * A survey counts, for each size class, its slabs of entries and the blocks in them: all but as many slabs as these
 * blocks would fill could be spared. Then a pass goes through the slabs once more, in the order of the pages. Those of
 * a class worth it that are no fuller than its average are emptied into the others, which fill up to the last block
 * and so are above the average when the pass comes to them: a block hardly moves twice. Each slab that is spared
 * raises the average. Passes follow one another until none spares anything or little is left to spare.
 *
 * It remembers where it is by page and unit alone, so anything may happen to the arena between two calls. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "store/arena/arena.h"
#include "store/arena/pages.h"

enum fragmentation_phase {
	FRAGMENTATION_IDLE,
	FRAGMENTATION_SURVEY, /* fragmentation_survey is next */
	FRAGMENTATION_PASS,   /* fragmentation_take is next */
};

struct fragmentation_class {
	uint32_t slabs;
	bool worth;      /* of emptying some of its slabs */
	uint64_t blocks; /* in use */
};

/* All zeros is idle. */
struct fragmentation {
	enum fragmentation_phase phase;
	bool thorough; /* to the last slab that can be spared */
	bool again;    /* a pass has spared slabs: there is no point in stopping half way */
	uint8_t class; /* of the slab at `page` */
	uint32_t page; /* where the survey or the pass is */
	uint32_t unit; /* of the slab: what lies before has been taken */
	uint32_t spared;
	struct fragmentation_class classes[CLASSES];
};

/* Bytes of pages in use that are in no block: what is lost in slabs. */
static inline uint64_t fragmentation_waste(const struct arena *a) {
	uint64_t free = ((uint64_t)a->header->dirty + (uint64_t)a->header->idle * SLAB_PAGES) * ARENA_PAGE;
	uint64_t resident = counter_get(&a->counters.resident), used = counter_get(&a->counters.used) + free;

	return resident > used ? resident - used : 0;
}

/* Begins with a survey. Not `thorough`, it ends there unless a MiB, and a fifth of the slabs of some class, can be
 * spared. */
void fragmentation_start(struct fragmentation *s, bool thorough);
/* Goes on with the survey for about `*steps` (decremented), a step for some slabs. */
void fragmentation_survey(struct fragmentation *s, const struct arena *a, unsigned *steps);
/* Takes up to `max` blocks in use, all of one slab that is to be emptied; 0 at the end of the pass, or when `*steps`
 * (one for each block that is looked at; decremented) is used up. */
unsigned fragmentation_take(struct fragmentation *s, const struct arena *a, ref *blocks, unsigned max, unsigned *steps);
/* Sees to it that the next arena_alloc of the size of `block`, which was taken, finds room in a slab that there is, but
 * not in the block's own; false where there is none: then its class is left alone. */
bool fragmentation_make_way(struct fragmentation *s, struct arena *a, ref block);
