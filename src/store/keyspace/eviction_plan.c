#include "store/keyspace/eviction_plan.h"

#include <stdlib.h>

#include "store/keyspace/evict.h"
#include "store/keyspace/pin.h"
#include "store/keyspace/room.h"

/* The most entries that a plan examines after the first `least` bytes. */
#define SEARCH_MAX 256

/* Places in a list that a plan remembers for a suspension: one for each PLACE_SPREAD entries, the latest PLACES. */
#define PLACES       16
#define PLACE_SPREAD 64

struct places {
	uint64_t visited; /* entries */
	ref recent[PLACES];
};

uint64_t eviction_plan_pages(size_t size, unsigned kind) {
	if (kind == EVICTION_PLAN_HEAP)
		return size;
	size_t block = arena_block_size(size);
	return block > ARENA_SLAB_MAX ? block : ARENA_SLAB;
}

uint64_t eviction_plan_pages_of(const struct eviction_plan_blocks *b) {
	uint64_t of_slab = ARENA_SLAB / b->size;
	return (b->count + of_slab - 1) / of_slab * ARENA_SLAB;
}

static uint64_t less(uint64_t from, uint64_t bytes) {
	return from > bytes ? from - bytes : 0;
}

/* Lets one of the allocations take a freed block of `size` bytes. Returns whether one of them needs it. */
static bool serves(struct eviction_plan *p, size_t size) {
	for (unsigned i = 0; i < p->block_count; i++) {
		struct eviction_plan_blocks *b = &p->blocks[i];
		if (b->size != size || b->count == 0)
			continue;
		uint64_t pages = eviction_plan_pages_of(b);
		b->count--;
		pages -= eviction_plan_pages_of(b);
		p->pages -= pages;
		p->lacking = p->pages == 0 ? 0 : less(p->lacking, pages);
		p->lacking_later = p->pages == 0 ? 0 : less(p->lacking_later, pages);
		return true;
	}
	return false;
}

/* Counts the block of an entry. A pinned value stays in memory. */
static void add_block(struct eviction_plan *p, ref block) {
	const struct shard *s = p->shard;
	size_t size = entry_block_size(entry_at(s, block));
	if (size >= PIN_MIN && pin_has(s, block))
		return;
	p->freed += size;
	if (size > ARENA_SLAB_MAX) {
		p->large += size;
		p->returned += size;
		return;
	}
	if (serves(p, size))
		return;
	uint32_t slab = arena_slab(block);
	if (slab >= p->slabs)
		return;
	p->frees_block |= p->kind == ARENA_ENTRY && size == arena_block_size(p->size);
	if (++p->freed_of[slab] == arena_slab_used(s->arena, slab))
		p->returned += ARENA_SLAB;
}

/* Whether the allocation would succeed now. If the budget lacks nothing, the arena itself has no room left: then the
 * allocation needs pages of the evicted entries. */
static bool is_enough(struct eviction_plan *p) {
	if (p->freed < p->least || p->entries < p->least_entries)
		return false;
	if (p->frees_block)
		return true;
	uint64_t pages = p->lacking;
	if (pages == 0 && p->blocks == NULL && p->writer == NULL)
		pages = eviction_plan_pages(p->size, p->kind);
	p->uses_reserve = p->returned < pages && p->entries >= p->later && p->returned >= p->lacking_later;
	return p->returned >= pages || p->uses_reserve;
}

/* Whether eviction would remove the entry: entries of dropped databases only wait to be freed. */
static bool is_live(const struct tenant *t, ref block) {
	const struct shard *s = t->shard;
	const struct entry *e = entry_at(s, block);
	const struct database *d = tenant_database(t, entry_database(e));
	struct slice name = entry_key(e);
	return d != NULL &&
	       table_find(&s->context, &d->table, hash_bytes(&s->context.seed, name.data, name.len), name) == block;
}

/* Counts the slabs and the budget again: other tenants have changed them. */
static void count_again(struct eviction_plan *p) {
	const struct memory_budget *b = arena_budget_of(p->shard->arena);
	p->returned = p->large;
	for (uint32_t i = 0; i < p->slabs; i++) {
		unsigned used = p->freed_of[i] == 0 ? 0 : arena_slab_used(p->shard->arena, i);
		p->returned += used != 0 && p->freed_of[i] >= used ? ARENA_SLAB : 0;
	}
	p->lacking = p->pages == 0 ? 0 : memory_budget_lacking(b, p->pages, p->reserve);
	p->lacking_later = p->pages == 0 ? 0 : memory_budget_lacking(b, p->pages, true);
	p->stale = false;
}

static bool is_enough_now(struct eviction_plan *p) {
	if (!is_enough(p))
		return false;
	if (!p->stale)
		return true;
	count_again(p);
	return is_enough(p);
}

/* Returns whether the block is an entry of the tenant in this slot, and not its newest: the newest one has just been
 * used, and marks no place. The block may have been freed. */
static bool is_entry_of(const struct shard *s, uint32_t slot, ref block) {
	size_t size;
	return block != 0 && arena_find_block(s->arena, block, ARENA_ENTRY, &size) && entry_at(s, block)->owner != 0 &&
	       entry_tenant(entry_at(s, block)) == slot && entry_at(s, block)->lru_prev != 0 &&
	       is_live(s->tenants[slot], block);
}

/* Returns whether the entries of a part may still be evicted. */
static bool may_evict(const struct eviction_plan *p, unsigned part) {
	const struct tenant *t = p->parts[part].tenant;
	return t == p->writer || (p->shard->tenants[p->parts[part].slot] == t && !tenant_suspended(t) &&
				  t->limits.eviction != EVICTION_NONE);
}

/* Finds the place in the list of the part's tenant again: `block`, or the last remembered place that is still there. */
static ref find_again(struct eviction_plan *p, unsigned part, const struct places *places, ref block) {
	const struct shard *s = p->shard;
	uint32_t slot = p->parts[part].slot;
	uint64_t last = places->visited / PLACE_SPREAD;
	if (!may_evict(p, part))
		return 0;
	for (unsigned i = 0; i < PLACES && !is_entry_of(s, slot, block); i++)
		block = i <= last ? places->recent[(last - i) % PLACES] : 0;
	return is_entry_of(s, slot, block) ? block : 0;
}

/* Returns the entry that was used after `block`, or 0. A check point if there is a writer. */
static ref next_entry(struct eviction_plan *p, unsigned part, struct places *places, ref block) {
	const struct shard *s = p->shard;
	if (p->writer == NULL)
		return entry_at(s, block)->lru_prev;
	if (places->visited % PLACE_SPREAD == 0)
		places->recent[places->visited / PLACE_SPREAD % PLACES] = block;
	places->visited++;
	if (room_pause(p->writer)) {
		p->suspended = p->stale = true;
		if (p->parts[part].tenant != p->writer) {
			block = find_again(p, part, places, block);
		}
	}
	return block == 0 ? 0 : entry_at(s, block)->lru_prev;
}

static unsigned add_part(struct eviction_plan *p, const struct tenant *t) {
	unsigned part = p->part_count++;
	p->parts[part].tenant = (struct tenant *)(uintptr_t)t;
	p->parts[part].slot = t->slot;
	p->parts[part].entries = 0;
	return part;
}

/* Returns whether the plan has examined enough entries. Entries that were used while the writer was suspended stay, and
 * with them their slabs: then it examines twice as many. */
static bool has_searched(struct eviction_plan *p) {
	uint64_t unsearched = p->suspended ? 2 * p->unsearched : p->unsearched;
	return p->freed >= p->least && p->freed >= unsearched && p->entries >= p->least_entries &&
	       p->searched++ >= SEARCH_MAX;
}

/* Adds the tenant's oldest entries, as long as it has more than `level` bytes. */
static bool add_tenant(struct eviction_plan *p, struct tenant *t, ref keep, uint64_t level) {
	uint64_t before = p->freed, bytes = counter_get(&t->counters.bytes);
	struct places places = {0};
	unsigned part = add_part(p, t);
	ref block = t->record->lru.oldest;
	for (; block != 0 && block != keep && bytes > level + (p->freed - before);
	     block = next_entry(p, part, &places, block)) {
		if (!is_live(t, block))
			continue;
		if (has_searched(p))
			return false;
		add_block(p, block);
		p->entries++;
		p->parts[part].entries++;
		if (is_enough_now(p))
			return true;
	}
	p->lost |= block == 0 && p->suspended && t != p->writer;
	return false;
}

static bool begin(struct eviction_plan *p) {
	p->slabs = arena_slabs(p->shard->arena);
	p->freed_of = calloc(p->slabs, sizeof *p->freed_of);
	return p->freed_of != NULL;
}

static bool end(struct eviction_plan *p, bool found) {
	free(p->freed_of);
	p->freed_of = NULL;
	return found;
}

bool eviction_plan_own(struct eviction_plan *p, struct tenant *t, ref keep) {
	return begin(p) && end(p, add_tenant(p, t, keep, 0));
}

static bool has_part(const struct eviction_plan *p, const struct tenant *t) {
	for (unsigned i = 0; p != NULL && i < p->part_count; i++)
		if (p->parts[i].tenant == t)
			return true;
	return false;
}

struct tenant *eviction_plan_above(const struct shard *s, uint64_t level, const struct eviction_plan *p) {
	struct tenant *found = NULL;
	for (uint32_t i = 1; i < s->slots; i++) {
		struct tenant *t = s->tenants[i];
		if (t == NULL || tenant_suspended(t) || t->limits.eviction == EVICTION_NONE ||
		    t->record->lru.oldest == 0 || counter_get(&t->counters.bytes) <= level || has_part(p, t))
			continue;
		level = counter_get(&t->counters.bytes);
		found = t;
	}
	return found;
}

static bool add_others(struct eviction_plan *p) {
	struct tenant *t;
	bool found = false;
	while (!found && p->part_count < EVICTION_PLAN_TENANTS && p->searched <= SEARCH_MAX &&
	       (t = eviction_plan_above(p->shard, p->level, p)) != NULL)
		found = add_tenant(p, t, 0, p->level);
	return found;
}

bool eviction_plan_others(struct eviction_plan *p) {
	return begin(p) && end(p, add_others(p));
}

/* Adds the entries that the quota requires to go. */
static void add_for_quota(struct eviction_plan *p, struct tenant *t, ref keep) {
	struct places places = {0};
	unsigned part = add_part(p, t);
	for (ref block = t->record->lru.oldest;
	     block != 0 && block != keep && (p->freed < p->least || p->entries < p->least_entries);
	     block = next_entry(p, part, &places, block)) {
		if (!is_live(t, block))
			continue;
		add_block(p, block);
		p->entries++;
		p->parts[part].entries++;
	}
	p->least = p->least_entries = 0;
}

bool eviction_plan_after_quota(struct eviction_plan *p, struct tenant *t, ref keep) {
	if (!begin(p))
		return false;
	add_for_quota(p, t, keep);
	return end(p, is_enough_now(p) || add_others(p));
}

/* Returns whether the next entry of a part may be evicted. After a suspension, the remaining entries of another tenant
 * stay if it is down to the level, or if the writer has its pages. */
static bool may_go_on(const struct eviction_plan *p, unsigned part) {
	const struct tenant *t = p->parts[part].tenant;
	return !p->suspended || t == p->writer ||
	       (may_evict(p, part) && counter_get(&t->counters.bytes) > p->level &&
		p->writer->room.held < p->writer->room.wanted);
}

/* Evicts the entries of a part. Returns their number. */
static uint64_t run_part(struct eviction_plan *p, unsigned part, ref keep) {
	uint64_t evicted = 0;
	while (evicted < p->parts[part].entries && may_go_on(p, part) && evict_oldest(p->parts[part].tenant, keep)) {
		evicted++;
		if (p->writer != NULL && room_pause(p->writer))
			p->suspended = true;
	}
	return evicted;
}

void eviction_plan_run(struct eviction_plan *p, ref keep) {
	p->entries = 0;
	for (unsigned i = 0; i < p->part_count; i++) {
		p->parts[i].entries = run_part(p, i, keep);
		p->entries += p->parts[i].entries;
	}
	if (!p->frees_block && p->writer == NULL)
		(void)arena_trim(p->shard->arena, SIZE_MAX, true);
}
