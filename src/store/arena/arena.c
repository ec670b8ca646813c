/* Blocks: a small block lies in a slab of 16 pages, a larger one is a run of pages (see pages.h).
 *
 * A slab is aligned to its size, so the ref of a block gives its slab. A slab hands out its freed blocks first, from a
 * list, and then the unused part above its mark, which moves up:
 *
 *   | used | free -> | used | free -| used | used |< mark       not touched yet       |
 *
 *   block, when free:  | 0 (4 bytes: an entry's owner) | next free, in units + 1 | ... | */
#include "store/arena/arena.h"

#include <assert.h>
#include <errno.h>
#include <linux/memfd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "atomdb/util/crc64.h"
#include "store/arena/crash_point.h"
#include "store/arena/pages.h"

#ifdef __has_feature
#define ARENA_ASAN __has_feature(address_sanitizer)
#elif defined(__SANITIZE_ADDRESS__)
#define ARENA_ASAN 1
#else
#define ARENA_ASAN 0
#endif
#if ARENA_ASAN
#include <sanitizer/asan_interface.h>
#define poison(at, size)   __asan_poison_memory_region(at, size)
#define unpoison(at, size) __asan_unpoison_memory_region(at, size)
#else
#define poison(at, size)   ((void)(at), (void)(size))
#define unpoison(at, size) ((void)(at), (void)(size))
#endif

#define SLACK_MIN   MIB
#define SLACK_SHARE 64

static void slab_release(struct arena *a, uint32_t *head, uint32_t page) {
	struct descriptor *d = descriptor(a, page);

	pages_list_unlink(a, head, page);
	d->state = PAGE_NONE;
	crash_point();
	memset(d, 0, sizeof *d);
	unpoison(page_at(a, page), (size_t)SLAB_PAGES * ARENA_PAGE);
	pages_free(a, page, SLAB_PAGES, PAGE_DIRTY);
}

static void release_idle(struct arena *a) {
	struct header *h = a->header;

	for (unsigned kind = 0; kind < ARENA_KINDS && h->idle != 0; kind++)
		for (unsigned class = 0; class < CLASSES && h->idle != 0; class ++) {
			uint32_t *head = &h->partial[kind][class];

			if (*head != 0 && descriptor(a, *head)->used == 0) {
				slab_release(a, head, *head);
				h->idle--;
			}
		}
}

bool arena_trim(struct arena *a, size_t max_bytes, bool all) {
	struct header *h = a->header;
	uint64_t slack = all ? 0 : counter_get(&a->counters.used) / SLACK_SHARE;

	if (!all && slack < SLACK_MIN)
		slack = SLACK_MIN;
	if ((h->dirty + (uint64_t)h->idle * SLAB_PAGES) * ARENA_PAGE <= slack)
		return false;
	if (max_bytes == 0)
		return true;
	if (max_bytes < ARENA_PAGE)
		max_bytes = ARENA_PAGE;
	release_idle(a);
	while ((uint64_t)h->dirty * ARENA_PAGE > slack && max_bytes >= ARENA_PAGE) {
		uint32_t before = h->dirty;
		size_t pages = max_bytes / ARENA_PAGE;

		if (!pages_punch(a, pages > PAGES_MAX ? PAGES_MAX : (uint32_t)pages))
			return false;
		max_bytes -= (size_t)(before - h->dirty) * ARENA_PAGE;
	}
	return (uint64_t)h->dirty * ARENA_PAGE > slack;
}

bool arena_trim_before(struct arena *a, size_t size, size_t max_bytes) {
	size_t pages = arena_block_size(size) / ARENA_PAGE;

	return pages >= PUNCH_PAGES && !pages_fit_dirty(a, (uint32_t)pages) && arena_trim(a, max_bytes, false);
}

bool arena_keep_reserve(struct arena *a, bool keep) {
	bool kept = a->keeps_reserve;
	a->keeps_reserve = keep;
	return kept;
}

struct memory_budget *arena_budget_of(const struct arena *a) {
	return a->budget;
}

bool arena_has_block(const struct arena *a, size_t size, enum arena_kind kind) {
	size_t block = arena_block_size(size);

	return block <= ARENA_SLAB_MAX && a->header->partial[kind][arena_class(block)] != 0;
}

uint32_t arena_slab(ref block) {
	return block / SLAB_UNITS;
}

uint32_t arena_slabs(const struct arena *a) {
	return (a->header->end + SLAB_PAGES - 1) / SLAB_PAGES;
}

unsigned arena_slab_used(const struct arena *a, uint32_t slab) {
	return descriptor(a, slab * SLAB_PAGES)->used;
}

/* ---- blocks ---- */

static inline bool slab_full(const struct descriptor *d, unsigned units) {
	return d->free == 0 && d->mark + units > SLAB_UNITS;
}

/* Takes pages like pages_take(), and gives free dirty pages back to the kernel if that makes room. */
static uint32_t take_pages(struct arena *a, uint32_t pages, bool clean, enum page_state *state) {
	size_t bytes = (size_t)pages * ARENA_PAGE;

	/* A freed large block leaves dirty pages, which do not merge with clean neighbours and so can be too small for
	 * the next block of its size. Give them back first, so that they do not accumulate. */
	if (pages >= PUNCH_PAGES && (clean || !pages_fit_dirty(a, pages)))
		(void)arena_trim(a, bytes, false);
	uint32_t page = pages_take(a, pages, clean, state);

	/* Dirty pages count against the budget, and do not merge with clean neighbours. */
	for (bool more = a->header->dirty != 0 || a->header->idle != 0; page == 0 && more;) {
		more = arena_trim(a, MIB, true);
		page = pages_take(a, pages, clean, state);
	}
	/* Free pages that were too small must not accumulate beside the taken ones. */
	if (page != 0 && *state == PAGE_CLEAN)
		(void)arena_trim(a, bytes, false);
	return page;
}

static uint32_t slab_new(struct arena *a, enum arena_kind kind, unsigned class) {
	enum page_state state;
	uint32_t page = take_pages(a, SLAB_PAGES, false, &state);

	if (page == 0)
		return 0;
	struct descriptor *d = descriptor(a, page);

	*d = (struct descriptor){.size = (uint8_t) class};
	crash_point();
	d->state = (uint8_t)(PAGE_SLAB + kind);
	crash_point();
	pages_list_push(a, &a->header->partial[kind][class], page);
	a->header->idle++;
	return page;
}

static ref slab_alloc(struct arena *a, size_t block, enum arena_kind kind) {
	unsigned class = arena_class(block), units = (unsigned)(block / ARENA_UNIT), unit;
	uint32_t *head = &a->header->partial[kind][class];
	uint32_t page = *head != 0 ? *head : slab_new(a, kind, class);

	if (page == 0)
		return 0;
	struct descriptor *d = descriptor(a, page);
	uint32_t *words;

	if (d->free != 0) {
		unit = d->free - 1u;
		words = arena_at(a, page * UNITS_PER_PAGE + unit);
		assert(words[0] == 0 && words[1] <= SLAB_UNITS);
		d->free = (uint16_t)words[1];
	} else {
		unit = d->mark;
		words = arena_at(a, page * UNITS_PER_PAGE + unit);
		words[0] = 0;
		crash_point();
		d->mark = (uint16_t)(d->mark + units);
	}
	unpoison(words, block);
	if (d->used++ == 0)
		a->header->idle--;
	if (slab_full(d, units))
		pages_list_unlink(a, head, page);
	return page * UNITS_PER_PAGE + unit;
}

static void slab_free(struct arena *a, ref block, size_t size, enum arena_kind kind) {
	unsigned class = arena_class(size), unit = block % SLAB_UNITS;
	uint32_t page = block / SLAB_UNITS * SLAB_PAGES;
	uint32_t *head = &a->header->partial[kind][class];
	struct descriptor *d = descriptor(a, page);

	assert(d->state == PAGE_SLAB + kind && d->size == class && d->used != 0 && unit < d->mark);
	if (slab_full(d, (unsigned)(size / ARENA_UNIT))) {
		if (*head != 0 && descriptor(a, *head)->used == 0) {
			slab_release(a, head, *head);
			a->header->idle--;
		}
		pages_list_push(a, head, page);
	}
	uint32_t *words = arena_at(a, block);

	words[0] = 0;
	words[1] = d->free;
	poison(words + 2, size - 2 * sizeof *words);
	d->free = (uint16_t)(unit + 1);
	if (--d->used != 0)
		return;
	if (d->next != 0 || d->prev != 0) {
		slab_release(a, head, page);
		return;
	}
	/* The only slab of its list stays, so that a key that is set and deleted repeatedly does not take a new slab
	 * each time. */
	d->free = 0;
	d->mark = 0;
	unpoison(page_at(a, page), (size_t)SLAB_PAGES * ARENA_PAGE);
	a->header->idle++;
}

static ref run_alloc(struct arena *a, size_t block, enum arena_kind kind, bool zero) {
	enum page_state state;
	uint32_t pages = (uint32_t)(block / ARENA_PAGE), page = take_pages(a, pages, zero, &state);

	if (page == 0)
		return 0;
	if (zero && state == PAGE_DIRTY)
		memset(page_at(a, page), 0, block);
	else if (state == PAGE_DIRTY)
		memset(page_at(a, page), 0, ARENA_UNIT);
	struct descriptor *d = descriptor(a, page);

	*d = (struct descriptor){.pages = pages};
	crash_point();
	d->state = (uint8_t)(PAGE_RUN + kind);
	crash_point();
	return page * UNITS_PER_PAGE;
}

static void run_free(struct arena *a, ref block, size_t size, enum arena_kind kind) {
	uint32_t page = block / UNITS_PER_PAGE, pages = (uint32_t)(size / ARENA_PAGE);
	struct descriptor *d = descriptor(a, page);

	assert(d->state == PAGE_RUN + kind && d->pages == pages && block % UNITS_PER_PAGE == 0);
	d->state = PAGE_NONE;
	crash_point();
	memset(d, 0, sizeof *d);
	pages_free(a, page, pages, PAGE_DIRTY);
}

static ref alloc(struct arena *a, size_t size, enum arena_kind kind, bool zero) {
	if (size == 0 || size > ARENA_ALLOC_MAX)
		return 0;
	size_t block = arena_block_size(size);
	ref at;

	if (block > ARENA_SLAB_MAX) {
		at = run_alloc(a, block, kind, zero);
	} else {
		at = slab_alloc(a, block, kind);
		if (at != 0 && zero)
			memset(arena_at(a, at), 0, block);
	}
	if (at != 0) {
		counter_add(&a->counters.used, block);
		counter_add(&a->counters.used_by_kind[kind], block);
	}
	return at;
}

ref arena_alloc(struct arena *a, size_t size, enum arena_kind kind) {
	return alloc(a, size, kind, false);
}

ref arena_alloc_zero(struct arena *a, size_t size, enum arena_kind kind) {
	return alloc(a, size, kind, true);
}

ref arena_alloc_reserve(struct arena *a, size_t size, enum arena_kind kind) {
	bool kept = arena_keep_reserve(a, false);
	ref block = arena_alloc(a, size, kind);
	(void)arena_keep_reserve(a, kept);
	return block;
}

void arena_free(struct arena *a, ref block, size_t size, enum arena_kind kind) {
	size_t bytes = arena_block_size(size);

	assert(block / UNITS_PER_PAGE >= FIRST_PAGE && size != 0 && size <= ARENA_ALLOC_MAX);
	if (bytes > ARENA_SLAB_MAX)
		run_free(a, block, bytes, kind);
	else
		slab_free(a, block, bytes, kind);
	counter_sub(&a->counters.used, bytes);
	counter_sub(&a->counters.used_by_kind[kind], bytes);
}

uint64_t arena_identity(const struct header *h) {
	struct header unmarked = {.magic = h->magic, .version = h->version & ~ARENA_MARK, .root = h->root};

	return crc64(0, (struct slice){(const char *)&unmarked, offsetof(struct header, identity)});
}

ref arena_root(struct arena *a, size_t size) {
	assert(a->header->root == 0);
	a->header->root = arena_alloc_zero(a, size, ARENA_OTHER);
	a->header->root_size = size;
	a->header->identity = arena_identity(a->header);
	return a->header->root;
}

/* ---- the whole ---- */

static int create_memfd(const char *name) {
	int fd = -1;

#ifdef MFD_NOEXEC_SEAL
	fd = memfd_create(name, MFD_CLOEXEC | MFD_NOEXEC_SEAL);
	if (fd < 0 && errno != EINVAL)
		return -errno;
#endif
	if (fd < 0)
		fd = memfd_create(name, MFD_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* Reserves the address space for the life of the arena, aligned for huge pages. If the system refuses the whole range,
 * for example because of a limit, the arena gets a smaller one. */
static void *reserve(struct arena *a) {
	for (a->reserved = PAGES_MAX; a->reserved >= 2 * FIRST_PAGE; a->reserved /= 2) {
		size_t size = (size_t)a->reserved * ARENA_PAGE;
		char *base = mmap(NULL, size + HUGEPAGE_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
				  -1, 0);

		if (base == MAP_FAILED)
			continue;
		size_t before = (HUGEPAGE_BYTES - (uintptr_t)base % HUGEPAGE_BYTES) % HUGEPAGE_BYTES;

		if (before > 0)
			(void)munmap(base, before);
		(void)munmap(base + before + size, HUGEPAGE_BYTES - before);
		return base + before;
	}
	return MAP_FAILED;
}

int arena_map(struct arena *a, uint32_t end) {
	void *base = reserve(a);

	if (base == MAP_FAILED)
		return -errno;
	a->map.base = base;
	if (end > a->reserved)
		return -ENOMEM;
	int rc = pages_map(a, 0, end);

	if (rc < 0)
		return rc;
	a->header = base;
	a->descriptors = (void *)page_at(a, HEADER_PAGES);
	return 0;
}

static int arena_init(struct arena *a, const char *name) {
	int rc = create_memfd(name);

	if (rc < 0)
		return rc;
	a->fd = rc;
	rc = arena_map(a, FIRST_PAGE);
	if (rc < 0)
		return rc;
	a->header->magic = ARENA_MAGIC;
	a->header->version = ATOMDB_FORMAT_VERSION;
	a->header->end = FIRST_PAGE;
	return 0;
}

int arena_open(struct arena **out, const char *name, struct memory_budget *budget) {
	struct arena *a = calloc(1, sizeof *a);

	if (a == NULL)
		return -ENOMEM;
	a->fd = -1;
	a->budget = budget;
	int rc = arena_init(a, name);

	if (rc < 0) {
		arena_close(a);
		return rc;
	}
	*out = a;
	return 0;
}

/* Free blocks are poisoned, and the next mapping at this address must not be. */
static void unpoison_slabs(struct arena *a) {
	for (uint32_t page = FIRST_PAGE; page < a->header->end; page += SLAB_PAGES)
		if (descriptor(a, page)->state >= PAGE_SLAB)
			unpoison(page_at(a, page), (size_t)SLAB_PAGES * ARENA_PAGE);
}

void arena_close(struct arena *a) {
	if (a == NULL)
		return;
	pages_refund(a, counter_get(&a->counters.resident));
	if (ARENA_ASAN && a->header != NULL)
		unpoison_slabs(a);
	if (a->map.base != NULL)
		(void)munmap(a->map.base, (size_t)a->reserved * ARENA_PAGE);
	if (a->fd >= 0)
		(void)close(a->fd);
	free(a);
}

int arena_fd(const struct arena *a) {
	return a->fd;
}

const struct arena_counters *arena_counters(const struct arena *a) {
	return &a->counters;
}
