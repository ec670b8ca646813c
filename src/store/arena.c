/* Two allocators, one on the other.
 *
 * Pages: a binary buddy system (Knowlton, 1965) whose free blocks are either clean (never touched since the kernel last
 * gave them: zeros, no memory behind them) or dirty (resident). Buddies merge only within their state. A run of n pages
 * is cut from a block of the next power of two and the rest goes back, so runs waste nothing.
 *
 * Blocks: slabs of 16 pages, aligned to their size, so that the slab of a block follows from its ref. A slab hands out
 * its never used part by a mark that moves up, and what was freed before that by a list:
 *
 *   | used | free -> | used | free -| used | used |< mark       not touched yet       |
 *
 *   block, when free:  | 0 (4 bytes: an entry's owner) | next free, in units + 1 | ... |
 *
 * Descriptors, one a page, say what a page is; only the first page of a block, run or slab has one that is not zero, so
 * a merge sees at once whether its buddy is a whole free block. They are ordered so that those of pages at multiples of
 * 16 lie together: a slab costs 16 bytes of descriptor memory, not a share of sixteen. */
#include "store/arena.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

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

#define MAGIC          0x414e4552414d4f54u
#define FORMAT_VERSION 1

#define MIB            ((size_t)1 << 20)
#define PAGES_MAX      ((uint32_t)(ARENA_SIZE_MAX / ARENA_PAGE))
#define HEADER_PAGES   16u
#define FIRST_PAGE     (HEADER_PAGES + (uint32_t)(PAGES_MAX * sizeof(struct descriptor) / ARENA_PAGE))
#define ORDERS         24
#define SLAB_ORDER     4
#define SLAB_PAGES     (1u << SLAB_ORDER)
#define UNITS_PER_PAGE (ARENA_PAGE / ARENA_UNIT)
#define SLAB_UNITS     (SLAB_PAGES * UNITS_PER_PAGE)
#define CLASSES        96
#define GROW_MIN       (uint32_t)(64 * MIB / ARENA_PAGE)
#define GROW_MAX       (uint32_t)(1024 * MIB / ARENA_PAGE)
#define PUNCH_PAGES    (uint32_t)(MIB / ARENA_PAGE)
#define SLACK_MIN      MIB
#define SLACK_SHARE    64

enum page_state {
	PAGE_NONE = 0, /* not the first of anything */
	PAGE_CLEAN,
	PAGE_DIRTY,
	PAGE_RUN,                          /* + kind */
	PAGE_SLAB = PAGE_RUN + ARENA_KINDS /* + kind */
};

struct descriptor {
	uint8_t state;
	uint8_t size;  /* order of a free block, class of a slab */
	uint16_t used; /* slab: blocks handed out */
	uint16_t free; /* slab: first free block, in units + 1; 0: none */
	uint16_t mark; /* slab: units from here on were never handed out */
	union {
		struct {
			uint32_t next, prev; /* pages, in a list of free blocks or of slabs with room */
		};
		uint32_t pages; /* of a run */
	};
};
_Static_assert(sizeof(struct descriptor) == 16, "a descriptor is 16 bytes");

struct header {
	uint64_t magic;
	uint32_t version;
	ref root;
	uint32_t end;         /* pages of the file */
	uint32_t dirty;       /* free pages that are resident */
	uint32_t idle;        /* slabs kept though empty: each the only one of its list */
	uint32_t nonempty[2]; /* clean, dirty: a bit an order */
	uint32_t free[2][ORDERS];
	uint32_t partial[ARENA_KINDS][CLASSES]; /* slabs with room */
};
_Static_assert(sizeof(struct header) <= HEADER_PAGES * ARENA_PAGE, "the header fits its pages");

struct arena {
	struct arena_base map;
	struct header *header;
	struct descriptor *descriptors;
	struct arena_budget *budget;
	struct arena_figures figures;
	int fd; /* owned */
};

static inline struct descriptor *descriptor(const struct arena *a, uint32_t page) {
	return &a->descriptors[(page & (SLAB_PAGES - 1)) * (PAGES_MAX / SLAB_PAGES) + page / SLAB_PAGES];
}

static inline char *page_at(const struct arena *a, uint32_t page) {
	return a->map.base + (size_t)page * ARENA_PAGE;
}

static inline unsigned class_of(size_t size) {
	if (size <= ARENA_FINE_MAX)
		return (unsigned)((size + ARENA_UNIT - 1) / ARENA_UNIT) - 1;
	unsigned log = 63 - (unsigned)__builtin_clzll((unsigned long long)size - 1);

	return ARENA_FINE_MAX / ARENA_UNIT + (log - 10) * 8 + (unsigned)((size - 1) >> (log - 3) & 7);
}

/* ---- budget ---- */

static bool budget_take(struct arena *a, uint32_t pages) {
	uint64_t bytes = (uint64_t)pages * ARENA_PAGE;

	if (a->budget != NULL) {
		uint64_t limit = atomic_load_explicit(&a->budget->limit, memory_order_relaxed);
		uint64_t used = atomic_load_explicit(&a->budget->used, memory_order_relaxed);

		do {
			if (limit != 0 && (used > limit || bytes > limit - used))
				return false;
		} while (!atomic_compare_exchange_weak_explicit(&a->budget->used, &used, used + bytes,
								memory_order_relaxed, memory_order_relaxed));
	}
	counter_add(&a->figures.resident, bytes);
	return true;
}

static void budget_return(struct arena *a, uint64_t bytes) {
	counter_sub(&a->figures.resident, bytes);
	if (a->budget != NULL)
		atomic_fetch_sub_explicit(&a->budget->used, bytes, memory_order_relaxed);
}

/* ---- pages ---- */

static void list_push(struct arena *a, uint32_t *head, uint32_t page) {
	struct descriptor *d = descriptor(a, page);

	d->prev = 0;
	d->next = *head;
	if (*head != 0)
		descriptor(a, *head)->prev = page;
	*head = page;
}

static void list_unlink(struct arena *a, uint32_t *head, uint32_t page) {
	struct descriptor *d = descriptor(a, page);

	if (d->prev != 0)
		descriptor(a, d->prev)->next = d->next;
	else
		*head = d->next;
	if (d->next != 0)
		descriptor(a, d->next)->prev = d->prev;
	d->next = 0;
	d->prev = 0;
}

static void free_push(struct arena *a, uint32_t page, unsigned order, enum page_state state) {
	struct descriptor *d = descriptor(a, page);
	struct header *h = a->header;

	d->state = (uint8_t)state;
	d->size = (uint8_t)order;
	list_push(a, &h->free[state - PAGE_CLEAN][order], page);
	h->nonempty[state - PAGE_CLEAN] |= 1u << order;
	if (state == PAGE_DIRTY)
		h->dirty += 1u << order;
}

static void free_unlink(struct arena *a, uint32_t page) {
	struct descriptor *d = descriptor(a, page);
	struct header *h = a->header;
	unsigned list = d->state - PAGE_CLEAN, order = d->size;

	list_unlink(a, &h->free[list][order], page);
	if (h->free[list][order] == 0)
		h->nonempty[list] &= ~(1u << order);
	if (d->state == PAGE_DIRTY)
		h->dirty -= 1u << order;
	d->state = PAGE_NONE;
	d->size = 0;
}

static void free_block(struct arena *a, uint32_t page, unsigned order, enum page_state state) {
	for (; order < ORDERS - 1; order++) {
		uint32_t buddy = page ^ 1u << order;
		const struct descriptor *d = descriptor(a, buddy);

		if (d->state != state || d->size != order)
			break;
		free_unlink(a, buddy);
		page &= ~(1u << order);
	}
	free_push(a, page, order, state);
}

static void free_pages(struct arena *a, uint32_t page, uint32_t pages, enum page_state state) {
	while (pages != 0) {
		unsigned order = 31 - (unsigned)__builtin_clz(pages), aligned = (unsigned)__builtin_ctz(page);

		if (order > aligned)
			order = aligned;
		free_block(a, page, order, state);
		page += 1u << order;
		pages -= 1u << order;
	}
}

/* Takes a block of 2^order pages out of the free blocks of one state; 0 where there is none. */
static uint32_t take_block(struct arena *a, unsigned order, enum page_state state) {
	uint32_t orders = a->header->nonempty[state - PAGE_CLEAN] >> order;

	if (orders == 0)
		return 0;
	unsigned found = order + (unsigned)__builtin_ctz(orders);
	uint32_t page = a->header->free[state - PAGE_CLEAN][found];

	free_unlink(a, page);
	while (found > order) {
		found--;
		free_push(a, page + (1u << found), found, state);
	}
	return page;
}

/* Maps pages [from, to) of the file; 0 or -errno. */
static int map_pages(struct arena *a, uint32_t from, uint32_t to) {
	size_t bytes = (size_t)(to - from) * ARENA_PAGE;

	if (ftruncate(a->fd, (off_t)to * ARENA_PAGE) != 0)
		return -errno;
	if (mmap(page_at(a, from), bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED | MAP_NORESERVE, a->fd,
		 (off_t)from * ARENA_PAGE) == MAP_FAILED)
		return -errno;
	/* Secrets of tenants do not belong into a core dump. A kernel without it changes nothing else. */
	(void)madvise(page_at(a, from), bytes, MADV_DONTDUMP);
	return 0;
}

/* Makes the file longer, at least to the next multiple of 2^order pages: a second call leaves a whole such block. */
static bool grow(struct arena *a, unsigned order) {
	struct header *h = a->header;
	uint32_t end = h->end, step = end / 4, whole = (end >> order) + 1;

	step = step < GROW_MIN ? GROW_MIN : step > GROW_MAX ? GROW_MAX : step;
	step = step > PAGES_MAX - end ? PAGES_MAX - end : step;
	if (whole > PAGES_MAX >> order || step == 0)
		return false;
	uint32_t to = end + step > whole << order ? end + step : whole << order;

	if (map_pages(a, end, to) < 0)
		return false;
	h->end = to;
	free_pages(a, end, to - end, PAGE_CLEAN);
	return true;
}

static uint32_t find_block(struct arena *a, unsigned order, bool clean, enum page_state *state) {
	uint32_t page = 0;

	if (!clean && (page = take_block(a, order, PAGE_DIRTY)) != 0) {
		*state = PAGE_DIRTY;
		return page;
	}
	do
		page = take_block(a, order, PAGE_CLEAN);
	while (page == 0 && grow(a, order));
	*state = PAGE_CLEAN;
	if (page == 0 && clean) {
		page = take_block(a, order, PAGE_DIRTY);
		*state = PAGE_DIRTY;
	}
	return page;
}

/* Takes a run of pages, `clean` ones if possible; `*state` says which they were. 0 where there is no room. */
static uint32_t take_pages(struct arena *a, uint32_t pages, bool clean, enum page_state *state) {
	unsigned order = pages == 1 ? 0 : 32 - (unsigned)__builtin_clz(pages - 1);

	for (;;) {
		uint32_t page = find_block(a, order, clean, state);

		if (page != 0 && *state == PAGE_CLEAN && !budget_take(a, pages)) {
			free_block(a, page, order, PAGE_CLEAN);
			page = 0;
		}
		if (page != 0) {
			free_pages(a, page + pages, (1u << order) - pages, *state);
			return page;
		}
		/* Dirty pages count against the budget, and do not merge with clean neighbours. */
		if (a->header->dirty == 0 && a->header->idle == 0)
			return 0;
		(void)arena_trim(a, SIZE_MAX, true);
		if (a->header->dirty != 0)
			return 0;
	}
}

/* Gives a piece of the free dirty pages back to the kernel, at most about `pages` of them; false where it refuses. */
static bool punch(struct arena *a, uint32_t pages) {
	const struct header *h = a->header;
	unsigned order = 31 - (unsigned)__builtin_clz(pages > PUNCH_PAGES ? PUNCH_PAGES : pages);
	uint32_t page = take_block(a, order, PAGE_DIRTY);

	if (page == 0) {
		order = 31 - (unsigned)__builtin_clz(h->nonempty[PAGE_DIRTY - PAGE_CLEAN]);
		page = take_block(a, order, PAGE_DIRTY);
	}
	if (fallocate(a->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)page * ARENA_PAGE,
		      (off_t)ARENA_PAGE << order) != 0) {
		free_block(a, page, order, PAGE_DIRTY);
		return false;
	}
	budget_return(a, (uint64_t)ARENA_PAGE << order);
	free_block(a, page, order, PAGE_CLEAN);
	return true;
}

static void slab_release(struct arena *a, uint32_t *head, uint32_t page) {
	struct descriptor *d = descriptor(a, page);

	list_unlink(a, head, page);
	memset(d, 0, sizeof *d);
	unpoison(page_at(a, page), (size_t)SLAB_PAGES * ARENA_PAGE);
	free_pages(a, page, SLAB_PAGES, PAGE_DIRTY);
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
	uint64_t slack = all ? 0 : counter_get(&a->figures.used) / SLACK_SHARE;

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

		if (!punch(a, pages > PUNCH_PAGES ? PUNCH_PAGES : (uint32_t)pages))
			return false;
		max_bytes -= (size_t)(before - h->dirty) * ARENA_PAGE;
	}
	return (uint64_t)h->dirty * ARENA_PAGE > slack;
}

/* ---- blocks ---- */

static inline bool slab_full(const struct descriptor *d, unsigned units) {
	return d->free == 0 && d->mark + units > SLAB_UNITS;
}

static uint32_t slab_new(struct arena *a, enum arena_kind kind, unsigned class) {
	enum page_state state;
	uint32_t page = take_pages(a, SLAB_PAGES, false, &state);

	if (page == 0)
		return 0;
	struct descriptor *d = descriptor(a, page);

	*d = (struct descriptor){.state = (uint8_t)(PAGE_SLAB + kind), .size = (uint8_t) class};
	list_push(a, &a->header->partial[kind][class], page);
	a->header->idle++;
	return page;
}

static ref slab_alloc(struct arena *a, size_t block, enum arena_kind kind) {
	unsigned class = class_of(block), units = (unsigned)(block / ARENA_UNIT), unit;
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
		d->mark = (uint16_t)(d->mark + units);
	}
	unpoison(words, block);
	if (d->used++ == 0)
		a->header->idle--;
	if (slab_full(d, units))
		list_unlink(a, head, page);
	return page * UNITS_PER_PAGE + unit;
}

static void slab_free(struct arena *a, ref block, size_t size, enum arena_kind kind) {
	unsigned class = class_of(size), unit = block % SLAB_UNITS;
	uint32_t page = block / SLAB_UNITS * SLAB_PAGES;
	uint32_t *head = &a->header->partial[kind][class];
	struct descriptor *d = descriptor(a, page);

	assert(d->state == PAGE_SLAB + kind && d->size == class && d->used != 0 && unit < d->mark);
	if (slab_full(d, (unsigned)(size / ARENA_UNIT))) {
		if (*head != 0 && descriptor(a, *head)->used == 0) {
			slab_release(a, head, *head);
			a->header->idle--;
		}
		list_push(a, head, page);
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
	/* The last of its class stays: one key that comes and goes should not cost a slab each time. */
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

	*d = (struct descriptor){.state = (uint8_t)(PAGE_RUN + kind), .pages = pages};
	return page * UNITS_PER_PAGE;
}

static void run_free(struct arena *a, ref block, size_t size, enum arena_kind kind) {
	uint32_t page = block / UNITS_PER_PAGE, pages = (uint32_t)(size / ARENA_PAGE);
	struct descriptor *d = descriptor(a, page);

	assert(d->state == PAGE_RUN + kind && d->pages == pages && block % UNITS_PER_PAGE == 0);
	memset(d, 0, sizeof *d);
	free_pages(a, page, pages, PAGE_DIRTY);
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
		counter_add(&a->figures.used, block);
		counter_add(&a->figures.used_by_kind[kind], block);
	}
	return at;
}

ref arena_alloc(struct arena *a, size_t size, enum arena_kind kind) {
	return alloc(a, size, kind, false);
}

ref arena_alloc_zero(struct arena *a, size_t size, enum arena_kind kind) {
	return alloc(a, size, kind, true);
}

void arena_free(struct arena *a, ref block, size_t size, enum arena_kind kind) {
	size_t bytes = arena_block_size(size);

	assert(block / UNITS_PER_PAGE >= FIRST_PAGE && size != 0 && size <= ARENA_ALLOC_MAX);
	if (bytes > ARENA_SLAB_MAX)
		run_free(a, block, bytes, kind);
	else
		slab_free(a, block, bytes, kind);
	counter_sub(&a->figures.used, bytes);
	counter_sub(&a->figures.used_by_kind[kind], bytes);
}

ref arena_root(struct arena *a, size_t size) {
	assert(a->header->root == 0);
	a->header->root = arena_alloc_zero(a, size, ARENA_OTHER);
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

static int arena_init(struct arena *a, const char *name) {
	int rc = create_memfd(name);

	if (rc < 0)
		return rc;
	a->fd = rc;
	void *base = mmap(NULL, ARENA_SIZE_MAX, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (base == MAP_FAILED)
		return -errno;
	a->map.base = base;
	rc = map_pages(a, 0, FIRST_PAGE);
	if (rc < 0)
		return rc;
	a->header = base;
	a->descriptors = (void *)page_at(a, HEADER_PAGES);
	a->header->magic = MAGIC;
	a->header->version = FORMAT_VERSION;
	a->header->end = FIRST_PAGE;
	return 0;
}

int arena_open(struct arena **out, const char *name, struct arena_budget *budget) {
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

/* What is mapped here next shall not meet the marks of free blocks. */
static void unpoison_slabs(struct arena *a) {
	for (uint32_t page = FIRST_PAGE; page < a->header->end; page += SLAB_PAGES)
		if (descriptor(a, page)->state >= PAGE_SLAB)
			unpoison(page_at(a, page), (size_t)SLAB_PAGES * ARENA_PAGE);
}

void arena_close(struct arena *a) {
	if (a == NULL)
		return;
	budget_return(a, counter_get(&a->figures.resident));
	if (ARENA_ASAN && a->header != NULL)
		unpoison_slabs(a);
	if (a->map.base != NULL)
		(void)munmap(a->map.base, ARENA_SIZE_MAX);
	if (a->fd >= 0)
		(void)close(a->fd);
	free(a);
}

int arena_fd(const struct arena *a) {
	return a->fd;
}

const struct arena_figures *arena_figures(const struct arena *a) {
	return &a->figures;
}
