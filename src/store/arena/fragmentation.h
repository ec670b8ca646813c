/* Selects the entries that compaction moves, so that sparse slabs get empty.
 *
 * A survey counts the slabs of entries of each size class, and the blocks in them. A class needs only as many slabs as
 * its blocks fill; it can spare the others. Then a pass visits all slabs once, in the order of the pages, and empties
 * those slabs of a selected class that are no fuller than the average of the class. Their blocks move into fuller slabs
 * of the class, which fill up completely, so a block rarely moves twice. Each spared slab raises the average. Passes
 * repeat until a pass spares no slab or little is left to spare.
 *
 * The state names pages and units only, so the arena may change in any way between two calls. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "store/arena/arena.h"
#include "store/arena/pages.h"

enum fragmentation_phase {
	FRAGMENTATION_IDLE,
	FRAGMENTATION_SURVEY, /* fragmentation_survey() is the next call */
	FRAGMENTATION_PASS,   /* fragmentation_take() is the next call */
};

struct fragmentation_class {
	uint32_t slabs;
	bool selected;   /* some of its slabs are to be emptied */
	uint64_t blocks; /* in use */
};

/* All zeros is idle. */
struct fragmentation {
	enum fragmentation_phase phase;
	bool thorough;   /* spares every slab that can be spared */
	bool repeated;   /* an earlier pass has spared slabs */
	uint8_t class;   /* of the slab at `page` */
	uint32_t page;   /* the next page of the survey or the pass */
	uint32_t unit;   /* in the slab: blocks before it have been taken */
	uint32_t spared; /* slabs, by this pass */
	struct fragmentation_class classes[CLASSES];
};

/* Returns the bytes of pages in use that are in no block, and so are lost in slabs. */
static inline uint64_t fragmentation_waste(const struct arena *a) {
	uint64_t free = ((uint64_t)a->header->dirty + (uint64_t)a->header->idle * SLAB_PAGES) * ARENA_PAGE;
	uint64_t resident = counter_get(&a->counters.resident), used = counter_get(&a->counters.used) + free;

	return resident > used ? resident - used : 0;
}

/* Starts a survey. If `thorough` is false, passes follow only if 1 MiB, and a fifth of the slabs of a class, can be
 * spared. */
void fragmentation_start(struct fragmentation *s, bool thorough);
/* Continues the survey for at most `*steps` steps of a few slabs each. Decrements `*steps`. */
void fragmentation_survey(struct fragmentation *s, const struct arena *a, unsigned *steps);
/* Returns up to `max` blocks in use in `blocks`, all in one slab that is to be emptied. Decrements `*steps` by one for
 * each block that it looks at. Returns the number of blocks; 0 at the end of the pass, or if `*steps` is used up. */
unsigned fragmentation_take(struct fragmentation *s, const struct arena *a, ref *blocks, unsigned max, unsigned *steps);
/* Ensures that the next arena_alloc() of the size of `block`, which fragmentation_take() returned, uses an existing
 * slab other than the block's own. If there is none, unselects the size class and returns false. */
bool fragmentation_make_way(struct fragmentation *s, struct arena *a, ref block);
