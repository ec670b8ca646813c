#include "store/arena/pages.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#define GROW_MIN (uint32_t)(64 * MIB / ARENA_PAGE)
#define GROW_MAX (uint32_t)(1024 * MIB / ARENA_PAGE)

bool arena_take_heap(struct arena *a, uint64_t bytes) {
	if (a->budget == NULL)
		return true;
	uint64_t limit = atomic_load_explicit(&a->budget->limit, memory_order_relaxed);
	uint64_t used = atomic_load_explicit(&a->budget->used, memory_order_relaxed);
	uint64_t most = limit - (a->keeps_reserve ? limit / BUDGET_RESERVE_SHARE : 0);

	do {
		if (limit != 0 && (used > most || bytes > most - used))
			return false;
	} while (!atomic_compare_exchange_weak_explicit(&a->budget->used, &used, used + bytes, memory_order_relaxed,
							memory_order_relaxed));
	return true;
}

void arena_take_heap_anyway(struct arena *a, uint64_t bytes) {
	if (a->budget != NULL)
		atomic_fetch_add_explicit(&a->budget->used, bytes, memory_order_relaxed);
}

void arena_give_heap(struct arena *a, uint64_t bytes) {
	if (a->budget != NULL)
		atomic_fetch_sub_explicit(&a->budget->used, bytes, memory_order_relaxed);
}

static bool budget_take(struct arena *a, uint32_t pages) {
	uint64_t bytes = (uint64_t)pages * ARENA_PAGE;

	if (!arena_take_heap(a, bytes))
		return false;
	counter_add(&a->counters.resident, bytes);
	return true;
}

void pages_refund(struct arena *a, uint64_t bytes) {
	counter_sub(&a->counters.resident, bytes);
	arena_give_heap(a, bytes);
}

void pages_list_push(struct arena *a, uint32_t *head, uint32_t page) {
	struct descriptor *d = descriptor(a, page);

	d->prev = 0;
	d->next = *head;
	if (*head != 0)
		descriptor(a, *head)->prev = page;
	*head = page;
}

void pages_list_unlink(struct arena *a, uint32_t *head, uint32_t page) {
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
	pages_list_push(a, &h->free[state - PAGE_CLEAN][order], page);
	h->nonempty[state - PAGE_CLEAN] |= 1u << order;
	if (state == PAGE_DIRTY)
		h->dirty += 1u << order;
}

static void free_unlink(struct arena *a, uint32_t page) {
	struct descriptor *d = descriptor(a, page);
	struct header *h = a->header;
	unsigned list = d->state - PAGE_CLEAN, order = d->size;

	pages_list_unlink(a, &h->free[list][order], page);
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

void pages_free(struct arena *a, uint32_t page, uint32_t pages, enum page_state state) {
	arena_next_generation(a);
	while (pages != 0) {
		unsigned order = 31 - (unsigned)__builtin_clz(pages), aligned = (unsigned)__builtin_ctz(page);

		if (order > aligned)
			order = aligned;
		free_block(a, page, order, state);
		page += 1u << order;
		pages -= 1u << order;
	}
}

/* Takes a block of 2^order pages from the free blocks of one state. Returns its first page, or 0 if there is none. */
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

int pages_map(struct arena *a, uint32_t from, uint32_t to) {
	size_t bytes = (size_t)(to - from) * ARENA_PAGE;

	if (ftruncate(a->fd, (off_t)to * ARENA_PAGE) != 0)
		return -errno;
	if (mmap(page_at(a, from), bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED | MAP_NORESERVE, a->fd,
		 (off_t)from * ARENA_PAGE) == MAP_FAILED)
		return -errno;
	/* A core dump must not contain secrets of tenants. A kernel without MADV_DONTDUMP only refuses this call. */
	(void)madvise(page_at(a, from), bytes, MADV_DONTDUMP);
	return 0;
}

/* Extends the file, at least to the next multiple of 2^order pages. At most two calls make a free block of that order.
 * Returns false if there is no room. */
static bool grow(struct arena *a, unsigned order) {
	struct header *h = a->header;
	uint32_t end = h->end, step = end / 4, whole = (end >> order) + 1;

	step = step < GROW_MIN ? GROW_MIN : step > GROW_MAX ? GROW_MAX : step;
	step = step > a->reserved - end ? a->reserved - end : step;
	if (whole > a->reserved >> order || step == 0)
		return false;
	uint32_t to = end + step > whole << order ? end + step : whole << order;

	if (pages_map(a, end, to) < 0)
		return false;
	h->end = to;
	pages_free(a, end, to - end, PAGE_CLEAN);
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

/* Returns the order of the smallest block that has room for a run of `pages` pages. */
static unsigned order_of(uint32_t pages) {
	return pages == 1 ? 0 : 32 - (unsigned)__builtin_clz(pages - 1);
}

bool pages_fit_dirty(const struct arena *a, uint32_t pages) {
	return a->header->nonempty[PAGE_DIRTY - PAGE_CLEAN] >> order_of(pages) != 0;
}

uint32_t pages_take(struct arena *a, uint32_t pages, bool clean, enum page_state *state) {
	unsigned order = order_of(pages);
	uint32_t page = find_block(a, order, clean, state);

	if (page == 0)
		return 0;
	if (*state == PAGE_CLEAN && !budget_take(a, pages)) {
		free_block(a, page, order, PAGE_CLEAN);
		return 0;
	}
	pages_free(a, page + pages, (1u << order) - pages, *state);
	return page;
}

void pages_recover(struct arena *a, uint32_t page, uint32_t pages) {
	enum page_state state = PAGE_CLEAN;

	if (fallocate(a->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)page * ARENA_PAGE,
		      (off_t)pages * ARENA_PAGE) != 0) {
		state = PAGE_DIRTY;
		counter_add(&a->counters.resident, (uint64_t)pages * ARENA_PAGE);
	}
	pages_free(a, page, pages, state);
}

bool pages_punch(struct arena *a, uint32_t pages) {
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
	pages_refund(a, (uint64_t)ARENA_PAGE << order);
	free_block(a, page, order, PAGE_CLEAN);
	return true;
}
