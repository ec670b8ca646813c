/* The seal of a saved arena, and the rebuilding of an arena that is not clean.
 *
 * arena_save() writes a checksum of the header, and sets the memfd's modification time to a random value. Any write to
 * the file, and the first write to a page of a new mapping, changes that time. One comparison therefore proves that
 * nothing was written since, for an arena of any size.
 *
 * For an arena that is not clean, arena_rescan() uses only the descriptors of slabs and runs. One store publishes such
 * a descriptor after its slab or run is complete, and one store clears it before the pages are freed, so the
 * descriptors tell where blocks are. The owner of the blocks tells which blocks are in use. All other bookkeeping is
 * rebuilt. */
#include "store/arena/adopt.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "atomdb/util/crc64.h"
#include "atomdb/util/error.h"
#include "store/arena/crash_point.h"
#include "store/arena/pages.h"

static uint64_t sum(uint64_t crc, const void *bytes, size_t len) {
	return crc64(crc, (struct slice){bytes, len});
}

/* Returns the checksum of a saved arena, which is never 0. */
static uint64_t saved_sum(const struct arena *a) {
	struct header h = *a->header;

	h.saved = 0;
	return sum(sum(0, &h, sizeof h), arena_at(a, h.root), h.root_size) | 1;
}

/* ---- saving ---- */

int arena_save(struct arena *a) {
	struct header *h = a->header;
	uint64_t random;

	if (getrandom(&random, sizeof random, 0) != sizeof random)
		return -errno;
	struct timespec seal[2] = {{.tv_nsec = UTIME_OMIT},
				   {.tv_sec = (time_t)(random >> 34), .tv_nsec = (long)(random % 1000000000)}};

	h->seal = (uint64_t)seal[1].tv_sec << 30 | (uint64_t)seal[1].tv_nsec;
	h->resident = counter_get(&a->counters.resident);
	for (unsigned kind = 0; kind < ARENA_KINDS; kind++)
		h->used_by_kind[kind] = counter_get(&a->counters.used_by_kind[kind]);
	crash_point();
	h->saved = saved_sum(a);
	crash_point();
	return futimens(a->fd, seal) == 0 ? 0 : -errno;
}

void arena_unsave(struct arena *a) {
	a->header->saved = 0;
	crash_point();
}

void arena_mark(struct arena *a, bool on) {
	crash_point();
	a->header->version = ATOMDB_FORMAT_VERSION | (on ? ARENA_MARK : 0); /* one store */
	crash_point();
}

void arena_disown(struct arena *a) {
	a->fd = -1;
}

/* ---- adoption ---- */

static int check_header(const struct header *h, uint64_t pages) {
	if (h->magic != ARENA_MAGIC)
		return ATOMDB_E_FORMAT;
	if ((h->version & ~ARENA_MARK) != ATOMDB_FORMAT_VERSION)
		return ATOMDB_E_VERSION;
	if (h->identity != arena_identity(h))
		return ATOMDB_E_CHECKSUM;
	if (pages < FIRST_PAGE)
		return ATOMDB_E_TRUNCATED;
	return h->end < FIRST_PAGE || h->end > PAGES_MAX ? ATOMDB_E_CHECKSUM : 0;
}

static bool is_clean(const struct arena *a, const struct stat *st) {
	const struct header *h = a->header;
	uint64_t seal = (uint64_t)st->st_mtim.tv_sec << 30 | (uint64_t)st->st_mtim.tv_nsec;
	size_t block;

	return h->saved != 0 && seal == h->seal && (uint64_t)st->st_size == (uint64_t)h->end * ARENA_PAGE &&
	       arena_find_block(a, h->root, ARENA_OTHER, &block) && h->root_size <= block && h->saved == saved_sum(a);
}

static void take_counters(struct arena *a) {
	const struct header *h = a->header;

	counter_set(&a->counters.resident, h->resident);
	for (unsigned kind = 0; kind < ARENA_KINDS; kind++) {
		counter_set(&a->counters.used_by_kind[kind], h->used_by_kind[kind]);
		counter_add(&a->counters.used, h->used_by_kind[kind]);
	}
}

void arena_set_budget(struct arena *a, struct memory_budget *budget) {
	a->budget = budget;
	if (budget != NULL)
		atomic_fetch_add_explicit(&budget->used, counter_get(&a->counters.resident), memory_order_relaxed);
}

int arena_adopt(struct arena **out, int fd, bool *clean) {
	struct header h;
	struct stat st;

	if (fstat(fd, &st) != 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_size == 0)
		return ATOMDB_E_FORMAT;
	if (pread(fd, &h, sizeof h, 0) != sizeof h)
		return ATOMDB_E_TRUNCATED;
	int rc = check_header(&h, (uint64_t)st.st_size / ARENA_PAGE);

	if (rc != 0)
		return rc;
	struct arena *a = calloc(1, sizeof *a);

	if (a == NULL)
		return -ENOMEM;
	a->fd = fd;
	rc = arena_map(a, h.end);
	if (rc < 0) {
		a->fd = -1;
		arena_close(a);
		return rc;
	}
	*clean = is_clean(a, &st);
	if (*clean)
		take_counters(a);
	*out = a;
	return 0;
}

ref arena_find_root(const struct arena *a, size_t least, size_t size) {
	const struct header *h = a->header;
	size_t block;

	return h->root_size >= least && arena_find_block(a, h->root, ARENA_OTHER, &block) && h->root_size <= block &&
			       size <= block
		       ? h->root
		       : 0;
}

void arena_fit_root(struct arena *a, size_t size) {
	struct header *h = a->header;
	size_t known = h->root_size < size ? h->root_size : size;
	size_t block = 0;

	if (h->root_size == size || !arena_find_block(a, h->root, ARENA_OTHER, &block))
		return;
	memset((char *)arena_at(a, h->root) + known, 0, block - known);
	crash_point();
	h->root_size = size;
	crash_point();
}

/* ---- blocks ---- */

static bool is_slab(const struct arena *a, uint32_t page, enum arena_kind *kind) {
	const struct descriptor *d = descriptor(a, page);

	*kind = (enum arena_kind)(d->state - PAGE_SLAB);
	return d->state >= PAGE_SLAB && d->state < PAGE_SLAB + ARENA_KINDS && page % SLAB_PAGES == 0 &&
	       a->header->end - page >= SLAB_PAGES && d->size < CLASSES && d->mark <= SLAB_UNITS;
}

static bool is_run(const struct arena *a, uint32_t page, enum arena_kind *kind) {
	const struct descriptor *d = descriptor(a, page);

	*kind = (enum arena_kind)(d->state - PAGE_RUN);
	return d->state >= PAGE_RUN && d->state < PAGE_RUN + ARENA_KINDS && d->pages != 0 &&
	       d->pages <= a->header->end - page && (size_t)d->pages * ARENA_PAGE <= ARENA_ALLOC_MAX;
}

bool arena_find_block(const struct arena *a, ref block, enum arena_kind kind, size_t *size) {
	uint32_t page = block / UNITS_PER_PAGE, slab = page & ~(SLAB_PAGES - 1);
	enum arena_kind found;

	if (page < FIRST_PAGE || page >= a->header->end)
		return false;
	if (is_slab(a, slab, &found)) {
		const struct descriptor *d = descriptor(a, slab);
		unsigned unit = block % SLAB_UNITS;

		*size = arena_class_size(d->size);
		return found == kind && unit % (*size / ARENA_UNIT) == 0 && unit + *size / ARENA_UNIT <= d->mark;
	}
	if (block % UNITS_PER_PAGE != 0 || !is_run(a, page, &found) || found != kind)
		return false;
	*size = (size_t)descriptor(a, page)->pages * ARENA_PAGE;
	return true;
}

void arena_each(const struct arena *a, enum arena_kind kind, void (*visit)(void *context, ref block), void *context) {
	for (uint32_t page = FIRST_PAGE; page < a->header->end;) {
		const struct descriptor *d = descriptor(a, page);
		enum arena_kind found;

		if (is_slab(a, page, &found)) {
			unsigned units = (unsigned)(arena_class_size(d->size) / ARENA_UNIT);

			for (unsigned unit = 0; found == kind && unit + units <= d->mark; unit += units)
				visit(context, page * UNITS_PER_PAGE + unit);
			page += SLAB_PAGES;
		} else if (is_run(a, page, &found)) {
			uint32_t pages = d->pages;

			if (found == kind)
				visit(context, page * UNITS_PER_PAGE);
			page += pages;
		} else {
			page += d->state == PAGE_CLEAN || d->state == PAGE_DIRTY ? 1u << d->size : 1;
		}
	}
}

/* ---- rebuilding ---- */

struct rebuild {
	struct arena *arena;
	bool (*keep)(void *context, ref block, size_t size, enum arena_kind kind);
	void *context;
	uint64_t damaged;
};

static void count_kept(struct arena *a, size_t bytes, size_t resident, enum arena_kind kind) {
	counter_add(&a->counters.used, bytes);
	counter_add(&a->counters.used_by_kind[kind], bytes);
	counter_add(&a->counters.resident, resident);
}

/* Pages in a slab or a run have no descriptors of their own. */
static void clear_descriptors(struct arena *a, uint32_t page, uint32_t pages) {
	for (uint32_t i = 0; i < pages; i++) {
		struct descriptor *d = descriptor(a, page + i);

		if (d->state != 0 || d->next != 0 || d->prev != 0)
			*d = (struct descriptor){0};
	}
}

/* Rebuilds a slab. Returns false if no block in it is in use. */
static bool rescan_slab(struct rebuild *r, uint32_t page, enum arena_kind kind) {
	struct arena *a = r->arena;
	struct descriptor *d = descriptor(a, page);
	size_t size = arena_class_size(d->size);
	unsigned units = (unsigned)(size / ARENA_UNIT), mark = d->mark / units * units, used = 0;
	uint32_t free = 0;

	for (unsigned unit = 0; unit < mark; unit += units) {
		ref block = page * UNITS_PER_PAGE + unit;
		uint32_t *words = arena_at(a, block);

		if ((kind != ARENA_ENTRY || words[0] != 0) && r->keep(r->context, block, size, kind)) {
			used++;
			continue;
		}
		words[0] = 0;
		words[1] = free;
		free = unit + 1;
	}
	if (used == 0)
		return false;
	d->used = (uint16_t)used;
	d->mark = (uint16_t)mark;
	d->free = (uint16_t)free;
	d->next = d->prev = 0;
	if (free != 0 || mark + units <= SLAB_UNITS)
		pages_list_push(a, &a->header->partial[kind][d->size], page);
	count_kept(a, used * size, (size_t)SLAB_PAGES * ARENA_PAGE, kind);
	return true;
}

static bool rescan_run(struct rebuild *r, uint32_t page, enum arena_kind kind) {
	size_t size = (size_t)descriptor(r->arena, page)->pages * ARENA_PAGE;
	ref block = page * UNITS_PER_PAGE;

	if ((kind == ARENA_ENTRY && *(const uint32_t *)arena_at(r->arena, block) == 0) ||
	    !r->keep(r->context, block, size, kind))
		return false;
	count_kept(r->arena, size, size, kind);
	return true;
}

/* Rebuilds the slab or run at `page`. Returns its number of pages. Sets `*stays` to whether it is in use. */
static uint32_t rescan_at(struct rebuild *r, uint32_t page, bool *stays) {
	struct arena *a = r->arena;
	struct descriptor *d = descriptor(a, page);
	enum arena_kind kind;
	uint32_t pages = 1;

	*stays = false;
	if (is_slab(a, page, &kind)) {
		pages = SLAB_PAGES;
		*stays = rescan_slab(r, page, kind);
	} else if (is_run(a, page, &kind)) {
		pages = d->pages;
		*stays = rescan_run(r, page, kind);
	} else if (d->state > PAGE_DIRTY) {
		r->damaged++;
	}
	if (*stays)
		clear_descriptors(a, page + 1, pages - 1);
	return pages;
}

/* Clears the descriptors of pages before the first page and after the last one. */
static void clear_outside(struct arena *a) {
	uint32_t end = a->header->end, column = PAGES_MAX / SLAB_PAGES;
	uint32_t behind = (end + SLAB_PAGES - 1) / SLAB_PAGES, each = ARENA_PAGE / sizeof(struct descriptor);
	uint32_t whole = (behind + each - 1) / each * each;

	clear_descriptors(a, FIRST_PAGE & ~(FIRST_PAGE - 1 - HEADER_PAGES), HEADER_PAGES);
	clear_descriptors(a, end, (whole > column ? column : whole) * SLAB_PAGES - end);
	for (uint32_t i = 0; i < SLAB_PAGES && whole < column; i++)
		(void)fallocate(a->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				(off_t)HEADER_PAGES * ARENA_PAGE +
					(off_t)((i * column + whole) * sizeof(struct descriptor)),
				(off_t)((column - whole) * sizeof(struct descriptor)));
}

static void free_gap(struct arena *a, uint32_t from, uint32_t to) {
	if (from == to)
		return;
	clear_descriptors(a, from, to - from);
	pages_recover(a, from, to - from);
}

uint64_t arena_rescan(struct arena *a, bool (*keep)(void *context, ref block, size_t size, enum arena_kind kind),
		      void *context) {
	struct rebuild r = {a, keep, context, 0};
	struct header *h = a->header;
	uint32_t gap = FIRST_PAGE, pages;

	h->saved = 0;
	h->dirty = h->idle = 0;
	memset(h->nonempty, 0, sizeof h->nonempty);
	memset(h->free, 0, sizeof h->free);
	memset(h->partial, 0, sizeof h->partial);
	a->counters = (struct arena_counters){0};
	clear_outside(a);
	for (uint32_t page = FIRST_PAGE; page < h->end; page += pages) {
		bool stays;

		pages = rescan_at(&r, page, &stays);
		if (!stays)
			continue;
		free_gap(a, gap, page);
		gap = page + pages;
	}
	free_gap(a, gap, h->end);
	return r.damaged;
}
