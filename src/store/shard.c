#include "atomdb/store/shard.h"

#include <assert.h>

#include "atomdb/util/error.h"
#include "store/compact.h"

/* Due entries taken from the wheel at a time: their buckets are fetched together, so that the misses overlap. */
#define SWEEP_BATCH 16
/* Bytes of free pages given back in a slice of work. */
#define TRIM_SLICE ((size_t)256 << 10)
/* Entries of the largest tenant that go for the budget before it is looked for again. */
#define SHED_RUN 4096
/* Of the arena's pages, what may be lost in them: a 32nd. */
#define FRAGMENTED_SHARE 32

unsigned shard_worker(const struct shard *s) {
	return s->worker;
}

const struct shard_figures *shard_figures(const struct shard *s) {
	return &s->figures;
}

static void publish_memory(struct shard *s) {
	const struct arena_figures *a = arena_figures(s->arena);
	counter_set(&s->figures.resident, counter_get(&a->resident));
	counter_set(&s->figures.used, counter_get(&a->used));
	counter_set(&s->figures.used_by_entries, counter_get(&a->used_by_kind[ARENA_ENTRY]));
	counter_set(&s->figures.compacting, compact_under_way(s));
}

void shard_set_now(struct shard *s, int64_t realtime_ms, uint64_t monotonic_ns) {
	if (realtime_ms > s->now_ms)
		s->now_ms = realtime_ms;
	s->used_now = entry_used_at(s->now_ms);
	s->now_ns = monotonic_ns;
	publish_memory(s);
	compact_watch(s);
}

int64_t shard_now(const struct shard *s) {
	return s->now_ms;
}

/* Removes what is due, about `steps` entries' worth. */
static void sweep(struct shard *s, unsigned steps) {
	unsigned taken;
	do {
		ref due[SWEEP_BATCH];
		uint64_t hashes[SWEEP_BATCH];
		for (taken = 0; taken < SWEEP_BATCH; taken++) {
			due[taken] = wheel_next(s->arena, &s->root->wheel, s->now_ms, &steps);
			if (due[taken] == 0)
				break;
			const struct entry *e = entry_at(s, due[taken]);
			struct slice name = entry_key(e);
			struct tenant *t = s->tenants[entry_tenant(e)];
			hashes[taken] = hash_bytes(&s->context.seed, name.data, name.len);
			if (t != NULL)
				(void)keyspace_fetch_bucket(t, &(struct key){name, hashes[taken], entry_database(e)});
		}
		for (unsigned i = 0; i < taken; i++)
			keyspace_expire_due(s, due[i], hashes[i]);
		steps = steps > taken ? steps - taken : 0;
	} while (taken == SWEEP_BATCH && steps != 0);
}

/* Goes on with one table that is being moved. */
static void move_table(struct shard *s, unsigned units) {
	struct database *d = database_at(s, s->root->resizing);
	if (d == NULL)
		return;
	bool more = table_step(&s->context, &d->table, units / 8 + 1);
	if (!more) {
		s->root->resizing = d->next_resizing;
		d->resizing = false;
	}
	keyspace_account_table(s->tenants[d->tenant], d);
}

/* Evicts from one tenant whose quota was lowered. */
static void shed(struct shard *s, unsigned units) {
	struct tenant *t = list_entry(s->over.next, struct tenant, over);
	while (units-- > 0)
		if (!keyspace_over(t, 0, 0) || t->limits.eviction == EVICTION_NONE || !keyspace_evict(t, 0)) {
			list_remove(&t->over);
			return;
		}
}

/* The tenant with the most memory among those whose entries may be evicted. */
static struct tenant *largest_evictable(struct shard *s) {
	struct tenant *largest = NULL;
	for (uint32_t i = 1; i < s->slots; i++) {
		struct tenant *t = s->tenants[i];
		if (t != NULL && t->limits.eviction != EVICTION_NONE && t->record->lru.oldest != 0 &&
		    (largest == NULL || counter_get(&t->figures.bytes) > counter_get(&largest->figures.bytes)))
			largest = t;
	}
	return largest;
}

/* Whether there is more in blocks than the shard's part of the budget, but for a share that is lost in pages which are
 * in part free: then giving back free pages does not do. */
static bool blocks_exceed_budget(const struct shard *s, uint64_t excess) {
	const struct arena_figures *a = arena_figures(s->arena);
	uint64_t resident = counter_get(&a->resident);
	return counter_get(&a->used) + excess + resident / FRAGMENTED_SHARE > resident;
}

/* Evicts while more memory is in use than the budget, which may have been lowered, allows: the least recently used
 * entries of the largest tenants first. */
static void shed_budget(struct shard *s, unsigned units) {
	uint64_t excess = arena_excess(s->arena);
	if (excess == 0) {
		s->shed = NULL;
		s->shed_left = 0;
		return;
	}
	arena_trim(s->arena, TRIM_SLICE, true);
	for (; units > 0 && blocks_exceed_budget(s, excess); units--) {
		if (s->shed_left == 0 || s->shed == NULL) {
			s->shed = largest_evictable(s);
			s->shed_left = SHED_RUN;
			if (s->shed == NULL)
				return;
		}
		s->shed_left--;
		if (keyspace_evict(s->shed, 0))
			counter_add(&s->figures.shed, 1);
		else
			s->shed = NULL;
	}
}

/* Whether a slice of work brings the shard nearer to its part of the budget. */
static bool budget_waits(const struct shard *s) {
	uint64_t excess = arena_excess(s->arena);
	return excess != 0 && (arena_trim(s->arena, 0, true) ||
			       (blocks_exceed_budget(s, excess) && (s->shed != NULL || s->shed_left == 0)));
}

/* Gives free pages back, and with a purge, once all is moved, the slack too. */
static void give_back(struct shard *s) {
	struct compaction *c = &s->compaction;
	bool all = c->purge && !compact_under_way(s);
	if (!arena_trim(s->arena, TRIM_SLICE, all) && all)
		c->purge = false;
}

bool shard_work(struct shard *s, unsigned units) {
	sweep(s, units);
	if (!list_empty(&s->over))
		shed(s, units);
	shed_budget(s, units);
	move_table(s, units);
	keyspace_free_dropped(s, units);
	compact_work(s, units);
	give_back(s);
	publish_memory(s);
	return shard_deadline(s) <= s->now_ms;
}

int64_t shard_deadline(const struct shard *s) {
	if (s->root->dropped != 0 || s->root->resizing != 0 || !list_empty(&s->over) || compact_under_way(s) ||
	    s->compaction.purge || arena_trim(s->arena, 0, false) || budget_waits(s))
		return s->now_ms;
	return wheel_deadline(&s->root->wheel);
}
