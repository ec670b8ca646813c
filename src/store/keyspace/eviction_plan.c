#include "store/keyspace/eviction_plan.h"

#include <stdlib.h>

#include "store/keyspace/evict.h"
#include "store/keyspace/pin.h"

/* The most entries that a plan examines after the first `least` bytes. */
#define SEARCH_MAX 256

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
		p->returned += size;
		return;
	}
	if (serves(p, size))
		return;
	uint32_t slab = arena_slab(block);
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
	if (pages == 0 && p->blocks == NULL)
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

/* Adds the tenant's oldest entries, as long as it has more than `level` bytes. */
static bool add_tenant(struct eviction_plan *p, struct tenant *t, ref keep, uint64_t level) {
	uint64_t before = p->freed, bytes = counter_get(&t->counters.bytes);
	unsigned part = p->part_count++;
	p->parts[part].tenant = t;
	p->parts[part].entries = 0;
	for (ref block = t->record->lru.oldest; block != 0 && block != keep && bytes > level + (p->freed - before);
	     block = entry_at(p->shard, block)->lru_prev) {
		if (!is_live(t, block))
			continue;
		if (p->freed >= p->least && p->freed >= p->unsearched && p->entries >= p->least_entries &&
		    p->searched++ >= SEARCH_MAX)
			return false;
		add_block(p, block);
		p->entries++;
		p->parts[part].entries++;
		if (is_enough(p))
			return true;
	}
	return false;
}

static bool begin(struct eviction_plan *p) {
	p->freed_of = calloc(arena_slabs(p->shard->arena), sizeof *p->freed_of);
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
	for (unsigned i = 0; i < p->part_count; i++)
		if (p->parts[i].tenant == t)
			return true;
	return false;
}

/* The largest tenant above the fair share that is not in the plan yet, or NULL. */
static struct tenant *next_above(const struct eviction_plan *p) {
	const struct shard *s = p->shard;
	struct tenant *found = NULL;
	uint64_t most = s->fair_share.level;
	for (uint32_t i = 1; i < s->slots; i++) {
		struct tenant *t = s->tenants[i];
		if (t == NULL || tenant_suspended(t) || t->limits.eviction == EVICTION_NONE ||
		    t->record->lru.oldest == 0 || counter_get(&t->counters.bytes) <= most || has_part(p, t))
			continue;
		most = counter_get(&t->counters.bytes);
		found = t;
	}
	return found;
}

static bool add_others(struct eviction_plan *p) {
	struct tenant *t;
	bool found = false;
	while (!found && p->part_count < EVICTION_PLAN_TENANTS && p->searched <= SEARCH_MAX &&
	       (t = next_above(p)) != NULL)
		found = add_tenant(p, t, 0, p->shard->fair_share.level);
	return found;
}

bool eviction_plan_others(struct eviction_plan *p) {
	return begin(p) && end(p, add_others(p));
}

/* Adds the entries that the quota requires to go. */
static void add_for_quota(struct eviction_plan *p, struct tenant *t, ref keep) {
	p->part_count = 1;
	p->parts[0].tenant = t;
	p->parts[0].entries = 0;
	for (ref block = t->record->lru.oldest;
	     block != 0 && block != keep && (p->freed < p->least || p->entries < p->least_entries);
	     block = entry_at(p->shard, block)->lru_prev) {
		if (!is_live(t, block))
			continue;
		add_block(p, block);
		p->entries++;
		p->parts[0].entries++;
	}
	p->least = p->least_entries = 0;
}

bool eviction_plan_after_quota(struct eviction_plan *p, struct tenant *t, ref keep) {
	if (!begin(p))
		return false;
	add_for_quota(p, t, keep);
	return end(p, is_enough(p) || add_others(p));
}

void eviction_plan_run(const struct eviction_plan *p, ref keep) {
	for (unsigned i = 0; i < p->part_count; i++)
		for (uint64_t k = 0; k < p->parts[i].entries; k++)
			(void)evict_oldest(p->parts[i].tenant, keep);
	if (!p->frees_block)
		(void)arena_trim(p->shard->arena, SIZE_MAX, true);
}
