/* Collapses full 2 MiB ranges of an arena into huge pages (MADV_COLLAPSE, Linux 6.1).
 *
 * Memory comes in pages of 4 KiB as it is needed. Once the shard has filled a range of 2 MiB without a gap, a huge page
 * makes an access to a random key cheaper: the walk through the page tables is shorter. arena_trim() frees a later gap
 * as usual, which splits the huge page.
 *
 * The code reads only the kernel's own data: which pages are resident, by mincore(2). Therefore another thread may run
 * it while the owner works. Collapsing takes about a millisecond for each huge page, and an access to one of its pages
 * waits for that. So nothing is collapsed while a command may be writing these pages, which is if the shard grows. Each
 * madvise(2) call also waits for all processors, so adjacent ranges are collapsed in one call. */
#include "store/arena/hugepages.h"

#include <linux/mman.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "store/arena/pages.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

/* The most ranges that one arena_collapse() call looks at, and collapses. */
#define LOOKED_AT 128
#define COLLAPSED 16
/* Bytes by which a shard grows, between two calls, that has a command which writes much. */
#define GROWTH (8 * MIB)

static bool is_done(const struct arena *a, uint32_t huge) {
	return (a->hugepages.done[huge / 64] >> huge % 64 & 1) != 0;
}

static void set_done(struct arena *a, uint32_t huge, bool done) {
	uint64_t bit = (uint64_t)1 << huge % 64;
	if (is_done(a, huge) == done)
		return;
	a->hugepages.done[huge / 64] ^= bit;
	if (done)
		counter_add(&a->counters.hugepages, HUGEPAGE_BYTES);
	else
		counter_sub(&a->counters.hugepages, HUGEPAGE_BYTES);
}

/* Returns whether all pages of the range are resident. */
static bool is_full(const struct arena *a, uint32_t huge) {
	unsigned char there[HUGEPAGE_PAGES];
	if (mincore(page_at(a, huge * HUGEPAGE_PAGES), HUGEPAGE_BYTES, there) < 0)
		return false;
	unsigned all = 1;
	for (unsigned i = 0; i < HUGEPAGE_PAGES; i++)
		all &= there[i];
	return all != 0;
}

/* Collapses up to `most` adjacent full ranges from `first` on. Returns the range after the last collapsed one. */
static uint32_t collapse_run(struct arena *a, uint32_t first, uint32_t end, unsigned most) {
	uint32_t next = first;
	while (next < end && next - first < most && !is_done(a, next) && is_full(a, next))
		next++;
	if (next == first)
		return first;
	/* A range that the kernel refuses is not tried again until a gap opens in it. */
	(void)madvise(page_at(a, first * HUGEPAGE_PAGES), (next - first) * (size_t)HUGEPAGE_BYTES, MADV_COLLAPSE);
	for (uint32_t i = first; i < next; i++)
		set_done(a, i, true);
	return next;
}

/* Returns whether the arena has grown much since the last call. */
static bool has_grown(struct arena *a) {
	uint64_t before = a->hugepages.resident;
	a->hugepages.resident = counter_get(&a->counters.resident);
	return a->hugepages.resident > before + GROWTH;
}

void arena_collapse(struct arena *a) {
	struct stat file;
	if (has_grown(a) || fstat(a->fd, &file) < 0)
		return;
	uint32_t begin = FIRST_PAGE / HUGEPAGE_PAGES + 1, end = (uint32_t)((uint64_t)file.st_size / HUGEPAGE_BYTES);
	uint32_t at = a->hugepages.next;
	unsigned collapsed = 0;
	for (unsigned looked = 0; looked < LOOKED_AT && collapsed < COLLAPSED && begin < end; looked++) {
		if (at < begin || at >= end)
			at = begin;
		uint32_t stopped = collapse_run(a, at, end, COLLAPSED - collapsed);
		collapsed += stopped - at;
		if (stopped == at && is_done(a, at) && !is_full(a, at))
			set_done(a, at, false);
		at = stopped > at ? stopped : at + 1;
	}
	a->hugepages.next = at;
}
