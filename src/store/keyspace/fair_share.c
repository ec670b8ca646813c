#include "store/keyspace/fair_share.h"

#include <limits.h>
#include <stdlib.h>

#include "atomdb/util/error.h"
#include "atomdb/util/fiber.h"
#include "store/keyspace/evict.h"
#include "store/keyspace/eviction_plan.h"
#include "store/keyspace/quota.h"
#include "store/keyspace/room.h"
#include "store/keyspace/work.h"

/* Bytes of free pages given back in a slice of work. */
#define TRIM_SLICE ((size_t)256 << 10)
/* A 32nd of the arena's pages may be lost in partly free pages. */
#define FRAGMENTED_SHARE 32
/* If memory is short, entries are moved together once so many more bytes are lost in partly free pages. */
#define WORTH_MOVING ((uint64_t)256 << 10)
/* A level is valid for so many nanoseconds, and until a 256th of the limit has been allocated. */
#define LEVEL_NS    INT64_C(5000000)
#define LEVEL_SHARE 256
/* The longest pause in milliseconds before a shard that no level concerns looks at the level again. */
#define PAUSE_MAX_MS 1024
/* After so many evictions a tenant above its share may take pages of the reserve. */
#define EVICTIONS_FOR_RESERVE 64
/* The most attempts at an allocation. Each makes a new plan, or frees dropped entries. */
#define TRIES_MAX 16
/* The most plans of a write that was suspended while it made them. */
#define PLANS_MAX 8
/* A suspended write may bring other tenants below the level by this part of it. */
#define BELOW_LEVEL 8
/* Entries that are evicted before the budget is asked again. */
#define EVICTED_AT_ONCE 64
/* Bytes of dropped entries that an attempt frees in addition to the size of the allocation. */
#define DROPPED_AT_ONCE ((uint64_t)256 << 10)

/* ---- the level ---- */

static uint64_t bytes_above(const struct fair_share_demand *demands, size_t count, uint64_t level) {
	uint64_t sum = 0;
	for (size_t i = 0; i < count; i++)
		sum += demands[i].bytes > level ? demands[i].bytes - level : 0;
	return sum;
}

uint64_t fair_share_level(const struct fair_share_demand *demands, size_t count, uint64_t excess) {
	uint64_t low = 1, high = 1;
	for (size_t i = 0; i < count; i++)
		high = demands[i].bytes > high ? demands[i].bytes : high;
	/* Finds the highest level above which there are `excess` bytes. */
	while (low < high) {
		uint64_t middle = low + (high - low + 1) / 2;
		if (bytes_above(demands, count, middle) >= excess)
			low = middle;
		else
			high = middle - 1;
	}
	return low;
}

/* Returns the level if only the tenants that evict give way. All bytes beyond the limit must go. */
static uint64_t level_of_evictable(const struct fair_share_demand *demands, size_t count, uint64_t excess) {
	struct fair_share_demand *some = malloc(count * sizeof *some);
	size_t found = 0;
	if (some == NULL)
		return UINT64_MAX;
	for (size_t i = 0; i < count; i++)
		if (demands[i].evicts)
			some[found++] = demands[i];
	uint64_t level = fair_share_level(some, found, excess);
	free(some);
	return level;
}

uint64_t fair_share_publish(struct memory_budget *b, const struct fair_share_demand *demands, size_t count,
			    uint64_t wanted) {
	uint64_t limit = atomic_load_explicit(&b->limit, memory_order_relaxed);
	uint64_t used = atomic_load_explicit(&b->used, memory_order_relaxed);
	uint64_t level = 0, most = memory_budget_most(limit);
	if (limit != 0 && used + wanted > most)
		level = fair_share_level(demands, count, used + wanted - most);
	if (limit != 0 && used > limit) {
		uint64_t lower = level_of_evictable(demands, count, used - limit);
		level = lower < level ? lower : level;
	}
	atomic_store_explicit(&b->level, level, memory_order_relaxed);
	atomic_fetch_add_explicit(&b->levels, 1, memory_order_relaxed);
	return level;
}

/* Publishes the level of the shard's own tenants, if there is no registry. */
static void measure_own(struct shard *s, struct memory_budget *b, uint64_t wanted) {
	struct fair_share_demand *demands = malloc((s->slots + 1) * sizeof *demands);
	size_t count = 0;
	if (demands == NULL)
		return;
	for (uint32_t i = 1; i < s->slots; i++)
		if (s->tenants[i] != NULL)
			demands[count++] = (struct fair_share_demand){counter_get(&s->tenants[i]->counters.bytes),
								      s->tenants[i]->limits.eviction != EVICTION_NONE};
	(void)fair_share_publish(b, demands, count, wanted);
	free(demands);
}

static void take_over(struct shard *s, uint64_t level) {
	s->fair_share.level = level == 0 ? UINT64_MAX : level;
}

void fair_share_read_level(struct shard *s) {
	s->fair_share.made_up = 0;
	struct memory_budget *b = arena_budget_of(s->arena);
	uint64_t level = b == NULL ? 0 : atomic_load_explicit(&b->level, memory_order_relaxed);
	/* A level ends with the shortage that it was published for. */
	if (level != 0 && memory_budget_excess(arena_budget_of(s->arena)) == 0) {
		atomic_store_explicit(&b->level, 0, memory_order_relaxed);
		level = 0;
	}
	take_over(s, level);
}

static void measure(struct shard *s, uint64_t wanted) {
	struct memory_budget *b = arena_budget_of(s->arena);
	atomic_store_explicit(&b->level_ns, s->now_ns, memory_order_relaxed);
	s->fair_share.taken = 0;
	if (s->fair_share.measure != NULL)
		s->fair_share.measure(s->fair_share.context, b, wanted);
	else
		measure_own(s, b, wanted);
	take_over(s, atomic_load_explicit(&b->level, memory_order_relaxed));
}

static bool is_old(const struct shard *s) {
	const struct memory_budget *b = arena_budget_of(s->arena);
	/* Another worker's clock may be ahead of this turn's. */
	int64_t age = (int64_t)(s->now_ns - atomic_load_explicit(&b->level_ns, memory_order_relaxed));
	return atomic_load_explicit(&b->levels, memory_order_relaxed) == 0 || age >= LEVEL_NS;
}

/* ---- in the background ---- */

/* Returns the tenant that is furthest above the level, among those whose entries may be evicted, or NULL. Searches once
 * for each level, and when the tenant found before has come down to the level. */
static struct tenant *furthest_above(struct shard *s) {
	struct fair_share *h = &s->fair_share;
	uint64_t levels = atomic_load_explicit(&arena_budget_of(s->arena)->levels, memory_order_relaxed);
	if (h->furthest != NULL && h->furthest->record->lru.oldest != 0 && fair_share_is_above(h->furthest, 0))
		return h->furthest;
	if (h->none_at == levels)
		return NULL;
	h->furthest = NULL;
	for (uint32_t i = 1; i < s->slots; i++) {
		struct tenant *t = s->tenants[i];
		if (t == NULL || tenant_suspended(t) || t->limits.eviction == EVICTION_NONE ||
		    t->record->lru.oldest == 0 || !fair_share_is_above(t, 0))
			continue;
		if (h->furthest == NULL || counter_get(&t->counters.bytes) > counter_get(&h->furthest->counters.bytes))
			h->furthest = t;
	}
	if (h->furthest == NULL)
		h->none_at = levels;
	return h->furthest;
}

static bool evict_furthest(struct shard *s) {
	struct tenant *t = furthest_above(s);
	if (t == NULL)
		return false;
	work_for(s, t);
	if (evict_oldest(t, 0))
		counter_add(&s->counters.shed, 1);
	else
		s->fair_share.furthest = NULL;
	return true;
}

/* Returns whether the free pages are less than `excess` bytes. A share of them counts as lost in partly free pages. */
static bool blocks_exceed(const struct shard *s, uint64_t excess) {
	const struct arena_counters *a = arena_counters(s->arena);
	uint64_t resident = counter_get(&a->resident);
	return counter_get(&a->used) + excess + resident / FRAGMENTED_SHARE > resident;
}

/* Moves entries together, so that partly free pages become free pages. */
static void start_moving(struct shard *s) {
	struct compaction *c = &s->compaction;
	if (c->fragmentation.phase == FRAGMENTATION_IDLE && fragmentation_waste(s->arena) > c->least + WORTH_MOVING)
		fragmentation_start(&c->fragmentation, true);
}

/* Doubles the pause until the next look at the level, because no level concerned a tenant of this shard. */
static void look_again_later(struct shard *s) {
	struct fair_share *h = &s->fair_share;
	h->pause_ms = h->pause_ms == 0 ? LEVEL_NS / 1000000 : h->pause_ms * 2;
	if (h->pause_ms > PAUSE_MAX_MS)
		h->pause_ms = PAUSE_MAX_MS;
	h->look_ns = s->now_ns + (uint64_t)h->pause_ms * 1000000;
}

void fair_share_look_again(struct shard *s) {
	s->fair_share.none_at = UINT64_MAX; /* the number of no level */
	s->fair_share.pause_ms = 0;
	s->fair_share.look_ns = 0;
}

void fair_share_give_way(struct shard *s, unsigned units) {
	struct fair_share *h = &s->fair_share;
	uint64_t excess = memory_budget_excess(arena_budget_of(s->arena));
	if (excess == 0) {
		h->furthest = NULL;
		h->pause_ms = 0;
		h->look_ns = 0;
		return;
	}
	arena_trim(s->arena, TRIM_SLICE, true);
	if (is_old(s) && s->now_ns >= h->look_ns)
		measure(s, 0);
	unsigned left = units;
	while (left > 0 && blocks_exceed(s, excess) && evict_furthest(s) && (left--, work_has_time(s)))
		;
	if (!blocks_exceed(s, excess))
		start_moving(s);
	if (left < units)
		h->pause_ms = 0;
	if (s->now_ns >= h->look_ns)
		look_again_later(s);
}

int64_t fair_share_deadline(const struct shard *s) {
	const struct fair_share *h = &s->fair_share;
	uint64_t excess = memory_budget_excess(arena_budget_of(s->arena));
	if (excess == 0)
		return INT64_MAX;
	uint64_t levels = atomic_load_explicit(&arena_budget_of(s->arena)->levels, memory_order_relaxed);
	if (arena_trim(s->arena, 0, true) || (h->none_at != levels && blocks_exceed(s, excess)) ||
	    s->now_ns >= h->look_ns)
		return s->now_ms;
	return s->now_ms + (int64_t)((h->look_ns - s->now_ns) / 1000000) + 1;
}

/* ---- for a write ---- */

/* Returns the bytes that the budget lacks for `bytes` more, with or without its reserve. */
static uint64_t lacking(const struct shard *s, uint64_t bytes, bool reserve) {
	return memory_budget_lacking(arena_budget_of(s->arena), bytes, reserve);
}

/* Returns the bytes that evictions can take from this shard's tenants above the level. */
static uint64_t bytes_above_here(const struct shard *s) {
	uint64_t sum = 0;
	for (uint32_t i = 1; i < s->slots; i++) {
		const struct tenant *t = s->tenants[i];
		if (t == NULL || tenant_suspended(t) || !fair_share_is_above(t, 0))
			continue;
		uint64_t above = counter_get(&t->counters.bytes) - s->fair_share.level, most = quota_evictable(t, 0);
		sum += above < most ? above : most;
	}
	return sum;
}

/* Frees dropped entries, and gives free pages back to the budget, with check points if `pauses` is true. Returns
 * whether that freed anything. */
static bool free_without_eviction(struct tenant *t, size_t size, bool pauses) {
	struct shard *s = t->shard;
	const struct arena_counters *a = arena_counters(s->arena);
	uint64_t used = counter_get(&a->used), resident = counter_get(&a->resident);
	quota_free_dropped(t, size + DROPPED_AT_ONCE);
	s->fair_share.made_up += used - counter_get(&a->used);
	if (pauses)
		room_trim(t);
	else
		(void)arena_trim(s->arena, SIZE_MAX, true);
	return counter_get(&a->used) != used || counter_get(&a->resident) != resident;
}

/* Returns the bytes of pages that the allocations need. */
static uint64_t pages_needed(const struct shard *s, const struct fair_share_blocks *b) {
	uint64_t pages = b->large;
	if (b->table != 0 && !arena_has_block(s->arena, b->table, ARENA_OTHER))
		pages += eviction_plan_pages(b->table, ARENA_OTHER);
	if (b->database != 0 && !arena_has_block(s->arena, b->database, ARENA_OTHER))
		pages += eviction_plan_pages(b->database, ARENA_OTHER);
	for (unsigned i = 0; i < b->sizes; i++) {
		struct eviction_plan_blocks of = b->small[i];
		/* One free block is known of. */
		if (of.count != 0 && arena_has_block(s->arena, of.size, ARENA_ENTRY))
			of.count--;
		pages += eviction_plan_pages_of(&of);
	}
	return pages;
}

/* Plans evictions for all allocations of a write. */
static struct eviction_plan plan_for(struct tenant *t, const struct fair_share_blocks *b, bool reserve) {
	struct shard *s = t->shard;
	uint64_t pages = pages_needed(s, b), lacks = lacking(s, pages, reserve);
	for (unsigned i = 0; i < b->sizes; i++)
		if (b->small[i].count != 0 && arena_has_block(s->arena, b->small[i].size, ARENA_ENTRY))
			b->small[i].count--;
	return (struct eviction_plan){.shard = s,
				      .writer = fiber_current == NULL ? NULL : t,
				      .level = b->level,
				      .kind = ARENA_OTHER,
				      .blocks = b->small,
				      .block_count = b->sizes,
				      .pages = pages,
				      .reserve = reserve,
				      .lacking = lacks,
				      /* The last slab may hold a part of the lacking bytes. */
				      .unsearched = pages > ARENA_SLAB ? lacks + ARENA_SLAB : 0,
				      .lacking_later = lacking(s, pages, true)};
}

/* Returns whether the budget has the pages for the allocations. */
static bool has_pages(const struct shard *s, const struct fair_share_blocks *b, bool reserve) {
	uint64_t pages = pages_needed(s, b);
	return pages == 0 || lacking(s, pages, reserve) == 0;
}

/* Evicts as many bytes of the tenant's entries as it is about to grow by. Evicts nothing if it has too few. */
static bool evict_own(struct tenant *t, size_t size, const struct fair_share_blocks *b, ref keep) {
	const counter *bytes = &t->counters.bytes;
	uint64_t before = counter_get(bytes);
	/* The write would need pages, and the evictions only bring the budget back to its limit. */
	if (size > ARENA_SLAB_MAX && lacking(t->shard, 0, true) != 0)
		return false;
	quota_free_dropped(t, size);
	uint64_t freed = before - counter_get(bytes);
	if (freed < size && quota_evictable(t, keep) < size - freed)
		return false;
	room_begin(t, pages_needed(t->shard, b), false);
	/* The event of an eviction may take more memory than the eviction frees. */
	while ((int64_t)freed < (int64_t)size) {
		before = counter_get(bytes);
		if (!evict_oldest(t, keep))
			return false;
		freed += before - counter_get(bytes);
		(void)room_pause(t);
	}
	return true;
}

/* Evicts some more entries of the tenant, or of the largest tenant above the level. Returns false if there is none. The
 * other tenant may end a little below the level: otherwise the evictions so far were in vain. */
static bool evict_more(struct tenant *t, ref keep, uint64_t level, bool own) {
	struct tenant *from = own ? t : eviction_plan_above(t->shard, level - level / BELOW_LEVEL, NULL);
	unsigned evicted = 0;
	while (from != NULL && evicted < EVICTED_AT_ONCE && evict_oldest(from, own ? keep : 0))
		evicted++;
	if (!own)
		counter_add(&t->shard->counters.shed, evicted);
	return evicted != 0;
}

/* Evicts as planned, and takes the pages. If the writer was suspended meanwhile, others may have taken some. Then
 * evicts more entries, and at last uses the budget's reserve. Returns false if that is not enough. */
static bool run_plan(struct eviction_plan *p, ref keep, bool own) {
	struct tenant *t = p->writer;
	if (t != NULL)
		room_begin(t, p->pages, !own);
	eviction_plan_run(p, keep);
	if (t == NULL) {
		if (p->uses_reserve)
			(void)arena_keep_reserve(p->shard->arena, false);
		return true;
	}
	t->room.reserve |= p->uses_reserve;
	while (!room_take(t) && p->suspended) {
		if (evict_more(t, keep, p->level, own))
			continue;
		if (t->room.reserve)
			return false;
		t->room.reserve = true;
	}
	return true;
}

/* Evicts `size` bytes of the tenant's entries, and more if the allocations need pages that the budget lacks. Evicts
 * nothing if the allocations remain impossible. */
static bool evict_for(struct tenant *t, size_t size, struct fair_share_blocks *b, ref keep) {
	struct shard *s = t->shard;
	if (has_pages(s, b, false))
		return evict_own(t, size, b, keep);
	s->fair_share.made_up = 0;
	(void)free_without_eviction(t, size, true);
	uint64_t made_up = s->fair_share.made_up;
	size = size > made_up ? size - made_up : 0;
	if (has_pages(s, b, false))
		return evict_own(t, size, b, keep);
	struct eviction_plan plan = plan_for(t, b, false);
	plan.least = size;
	plan.later = EVICTIONS_FOR_RESERVE;
	return quota_evictable(t, keep) >= size && eviction_plan_own(&plan, t, keep) && run_plan(&plan, keep, true);
}

/* Plans and makes the evictions of evict_others_for(). Sets `*again` if another plan may find more. */
static bool plan_others_for(struct tenant *t, size_t size, struct fair_share_blocks *b, uint64_t entries, ref keep,
			    bool *again) {
	struct eviction_plan plan = plan_for(t, b, true);
	quota_lacking(t, entries, size, &plan.least_entries, &plan.least);
	plan.later = UINT_MAX;
	if (!eviction_plan_after_quota(&plan, t, keep)) {
		*again = plan.lost && b->sizes == 0;
		return false;
	}
	bool done = run_plan(&plan, keep, false);
	counter_add(&t->shard->counters.shed, plan.entries - plan.parts[0].entries);
	return done;
}

/* Evicts entries of other tenants if the budget lacks pages for the allocations, as far as the evictions for the
 * tenant's own quota do not make them possible. Evicts nothing if they remain impossible. */
static bool evict_others_for(struct tenant *t, size_t size, struct fair_share_blocks *b, uint64_t entries, ref keep) {
	struct shard *s = t->shard;
	if (b->table_optional) {
		size -= b->table;
		b->table = 0;
	}
	if (has_pages(s, b, true) || (free_without_eviction(t, 0, true) && has_pages(s, b, true))) {
		room_begin(t, pages_needed(s, b), true);
		return true;
	}
	bool done = false, again = true;
	for (unsigned plans = 0; again && !done && plans < PLANS_MAX; plans++) {
		again = false;
		done = plan_others_for(t, size, b, entries, keep, &again);
	}
	return done;
}

/* Returns whether a tenant gives way that grows by `size` bytes. Updates the level if the budget lacks the pages. */
static bool gives_way(struct tenant *t, size_t size, const struct fair_share_blocks *b) {
	struct shard *s = t->shard;
	const struct memory_budget *budget = arena_budget_of(s->arena);
	if (!has_pages(s, b, false)) {
		/* A large block takes pages before the one that it replaces gives them back. */
		uint64_t wanted = b->large > size ? b->large : size;
		s->fair_share.taken += wanted;
		if (is_old(s) || s->fair_share.taken > budget->limit / LEVEL_SHARE ||
		    (!fair_share_is_above(t, wanted) && !has_pages(s, b, true)))
			measure(s, wanted);
	}
	return fair_share_is_above(t, size);
}

/* Returns whether a tenant above its share may allocate the blocks after evictions. A large write above the limit would
 * need pages that the evictions only give back to the budget. */
static bool may_evict_for(const struct tenant *t, const struct fair_share_blocks *b) {
	bool exceeded = lacking(t->shard, 0, true) != 0;
	return t->limits.eviction != EVICTION_NONE && !(b->large != 0 && exceeded);
}

int fair_share_make_room(struct tenant *t, size_t size, struct fair_share_blocks *blocks, uint64_t entries, ref keep) {
	struct shard *s = t->shard;
	bool above = gives_way(t, size, blocks), done;
	blocks->level = s->fair_share.level;
	if (above)
		done = (size == 0 && !quota_exceeded(t, entries, 0) && has_pages(s, blocks, false)) ||
		       (may_evict_for(t, blocks) && evict_for(t, size, blocks, keep));
	else
		done = evict_others_for(t, size, blocks, entries, keep);
	if (!done) {
		counter_add(&s->counters.refused, 1);
		room_end(t);
		return ATOMDB_E_OOM;
	}
	s->fair_share.made_up = above ? size : 0;
	return 0;
}

/* Evicts the tenant's own entries, if that makes the allocation possible. */
static bool make_way_own(struct tenant *t, size_t size, unsigned kind, ref keep) {
	struct shard *s = t->shard;
	uint64_t pages = eviction_plan_pages(size, kind), made_up = s->fair_share.made_up;
	struct eviction_plan plan = {.shard = s,
				     .size = size,
				     .kind = kind,
				     .least = size > made_up ? size - made_up : 0,
				     .lacking = lacking(s, pages, false),
				     .lacking_later = lacking(s, pages, true),
				     .later = EVICTIONS_FOR_RESERVE};
	if ((size > ARENA_SLAB_MAX && lacking(s, 0, true) != 0) || quota_evictable(t, keep) < plan.least ||
	    !eviction_plan_own(&plan, t, keep))
		return false;
	eviction_plan_run(&plan, keep);
	s->fair_share.made_up += plan.freed;
	if (plan.uses_reserve)
		(void)arena_keep_reserve(s->arena, false);
	return true;
}

/* Evicts entries of this shard's tenants above the level, if that makes the allocation possible. The allocation may use
 * the reserve. */
static bool make_way_others(struct shard *s, size_t size, unsigned kind) {
	uint64_t lacks = lacking(s, eviction_plan_pages(size, kind), true);
	struct eviction_plan plan = {.shard = s,
				     .level = s->fair_share.level,
				     .size = size,
				     .kind = kind,
				     .least = lacks,
				     .lacking = lacks,
				     .later = UINT_MAX};
	/* A block of the size class needs no pages. */
	if (size <= ARENA_SLAB_MAX && kind != EVICTION_PLAN_HEAP)
		plan.least = 0;
	if (plan.least > bytes_above_here(s) || !eviction_plan_others(&plan))
		return false;
	eviction_plan_run(&plan, 0);
	counter_add(&s->counters.shed, plan.entries);
	return true;
}

bool fair_share_make_way(struct tenant *t, size_t size, unsigned kind, ref keep, unsigned tries) {
	struct shard *s = t->shard;
	const struct memory_budget *b = arena_budget_of(s->arena);
	bool limited = b != NULL && atomic_load_explicit(&b->limit, memory_order_relaxed) != 0;
	if (tries >= TRIES_MAX)
		return false;
	if (limited) {
		s->fair_share.taken += size;
		if (is_old(s) || s->fair_share.taken > b->limit / LEVEL_SHARE ||
		    (tries == 1 && !fair_share_is_above(t, size)))
			measure(s, size);
	}
	bool above = !limited || fair_share_is_above(t, size);
	bool kept = arena_keep_reserve(s->arena, above);
	if (!above && kept)
		return true;
	if (above && (t->limits.eviction == EVICTION_NONE || tenant_suspended(t)))
		return false;
	if (free_without_eviction(t, size, false))
		return true;
	return above ? make_way_own(t, size, kind, keep) : make_way_others(s, size, kind);
}

ref fair_share_alloc_zero(struct shard *s, size_t size) {
	(void)arena_keep_reserve(s->arena, false);
	ref block = arena_alloc_zero(s->arena, size, ARENA_OTHER);
	if (block == 0 && memory_budget_excess(arena_budget_of(s->arena)) != 0)
		measure(s, size);
	for (unsigned tries = 0; block == 0 && tries < TRIES_MAX && make_way_others(s, size, ARENA_OTHER); tries++)
		block = arena_alloc_zero(s->arena, size, ARENA_OTHER);
	fair_share_end(s);
	return block;
}

void fair_share_end(struct shard *s) {
	s->fair_share.made_up = 0;
	(void)arena_keep_reserve(s->arena, true);
}
