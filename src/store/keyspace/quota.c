#include "store/keyspace/quota.h"

#include "atomdb/util/error.h"
#include "atomdb/util/fiber.h"
#include "store/keyspace/drop.h"
#include "store/keyspace/evict.h"
#include "store/keyspace/pin.h"
#include "store/keyspace/room.h"
#include "store/keyspace/undo.h"

/* The most bytes that a table keeps once its entries are evicted, and for each entry that stays. It shrinks when less
 * than a tenth of it is used, and has two arrays until the move ends. */
#define EMPTY_TABLE ((uint64_t)512)
#define TABLE_ENTRY ((uint64_t)128)

/* A write frees as many bytes of dropped entries as it takes: at most FREED_AT_MOST entries, FREED_AT_ONCE at a time.
 */
#define FREED_AT_MOST 16384
#define FREED_AT_ONCE 64

/* Clients may exceed the quota by a 64th of it, within these bounds in bytes. The blocks that an open scope keeps may,
 * too. */
#define RESERVE_SHARE 64
#define RESERVE_LEAST ((uint64_t)64 << 10)
#define RESERVE_MOST  ((uint64_t)1 << 20)

struct evictable {
	uint64_t entries, bytes;
};

/* Sums up `keep` and the entries used after it. */
static struct evictable sum_kept(const struct tenant *t, ref keep) {
	const struct shard *s = t->shard;
	struct evictable sum = {0};
	for (ref block = keep; block != 0; block = entry_at(s, block)->lru_prev) {
		sum.entries++;
		sum.bytes += entry_block_size(entry_at(s, block));
	}
	return sum;
}

/* Returns the bytes of a database's table when only `kept` entries are left. Shrinking needs a second, smaller array.
 */
static uint64_t table_rest(const struct tenant *t, const struct database *d, uint64_t kept) {
	uint64_t most = EMPTY_TABLE + TABLE_ENTRY * kept, both = d->table_bytes + d->table_bytes / 4;
	return both > most && memory_budget_excess(arena_budget_of(t->shard->arena)) == 0 ? most : both;
}

static struct evictable sum_evictable(const struct tenant *t, ref keep) {
	struct evictable kept = sum_kept(t, keep), sum = {.entries = counter_get(&t->counters.keys) - kept.entries};
	for (unsigned db_slot = 0; db_slot < TENANT_DATABASES; db_slot++) {
		const struct database *d = tenant_database(t, db_slot);
		if (d != NULL)
			sum.bytes += d->bytes - arena_block_size(sizeof *d) - table_rest(t, d, kept.entries);
	}
	/* The sum may be negative. */
	sum.bytes -= kept.bytes + pin_bytes(t);
	sum.bytes = (int64_t)sum.bytes < 0 ? 0 : sum.bytes;
	return sum;
}

static uint64_t reserve_of(const struct tenant *t) {
	uint64_t quota = t->limits.max_memory, reserve = quota == 0 ? RESERVE_MOST : quota / RESERVE_SHARE;
	return reserve < RESERVE_LEAST ? RESERVE_LEAST : reserve > RESERVE_MOST ? RESERVE_MOST : reserve;
}

/* Returns the bytes that the tenant's open scope keeps. */
static uint64_t kept_by_undo(const struct tenant *t) {
	const struct undo_scope *scope = undo_scope_of(t);
	uint64_t bytes = scope->bytes + scope->transaction_bytes;
	return scope->dropped_last != 0 ? bytes + t->dying : bytes;
}

bool quota_has_to_fit(const struct tenant *t, uint64_t kept) {
	return kept_by_undo(t) + kept > reserve_of(t);
}

/* Returns the charged bytes that count as room, because they are freed soon or at the end of the scope. */
static uint64_t passing(const struct tenant *t) {
	uint64_t kept = kept_by_undo(t), most = reserve_of(t);
	return (kept < most ? kept : most) + (undo_scope_of(t)->dropped_last != 0 ? 0 : t->dying);
}

bool quota_exceeded(const struct tenant *t, uint64_t entries, uint64_t bytes) {
	const struct tenant_limits *l = &t->limits;
	return (l->max_entries != 0 && counter_get(&t->counters.keys) + entries > l->max_entries) ||
	       (l->max_memory != 0 && counter_get(&t->counters.bytes) + bytes > l->max_memory + passing(t));
}

void quota_lacking(const struct tenant *t, uint64_t entries, uint64_t bytes, uint64_t *lack_entries,
		   uint64_t *lack_bytes) {
	const struct tenant_limits *l = &t->limits;
	uint64_t keys = counter_get(&t->counters.keys) + entries, all = counter_get(&t->counters.bytes) + bytes;
	uint64_t most = l->max_memory + passing(t);
	*lack_entries = l->max_entries != 0 && keys > l->max_entries ? keys - l->max_entries : 0;
	*lack_bytes = l->max_memory != 0 && all > most ? all - most : 0;
}

bool quota_in_reserve(const struct tenant *t, uint64_t bytes) {
	return counter_get(&t->counters.bytes) + bytes <= t->limits.max_memory + reserve_of(t) + passing(t);
}

uint64_t quota_evictable(const struct tenant *t, ref keep) {
	return t->limits.eviction == EVICTION_NONE ? 0 : sum_evictable(t, keep).bytes;
}

bool quota_fits(const struct tenant *t, uint64_t entries, uint64_t bytes, ref keep) {
	const struct tenant_limits *l = &t->limits;
	if (!quota_exceeded(t, entries, bytes))
		return true;
	if (l->eviction == EVICTION_NONE)
		return false;
	struct evictable most = sum_evictable(t, keep);
	return (l->max_entries == 0 || counter_get(&t->counters.keys) - most.entries + entries <= l->max_entries) &&
	       (l->max_memory == 0 ||
		counter_get(&t->counters.bytes) - most.bytes + bytes <= l->max_memory + passing(t));
}

/* Returns the bytes that the table of `growing` takes for one more entry: 0 once entries are evicted from it. */
static uint64_t growth_of(const struct database *growing) {
	return growing == NULL ? 0 : table_growth(&growing->table);
}

void quota_free_dropped(struct tenant *t, uint64_t bytes) {
	struct shard *s = t->shard;
	uint64_t before = counter_get(&arena_counters(s->arena)->used);
	for (unsigned freed = 0; freed < FREED_AT_MOST && s->root->dropped != 0 && !undo_keeps_dropped(s);
	     freed += FREED_AT_ONCE) {
		if (counter_get(&arena_counters(s->arena)->used) + bytes <= before)
			return;
		(void)drop_free(s, FREED_AT_ONCE);
	}
}

int quota_evict(struct tenant *t, const struct database *growing, uint64_t entries, uint64_t bytes, ref keep) {
	quota_free_dropped(t, bytes);
	while (quota_exceeded(t, entries, bytes + growth_of(growing)))
		if (t->limits.eviction == EVICTION_NONE || !evict_oldest(t, keep))
			return ATOMDB_E_OOM;
	return 0;
}

int quota_evict_long(struct tenant *t, const struct database *growing, uint64_t entries, uint64_t bytes, ref keep) {
	for (; fiber_current != NULL && quota_exceeded(t, entries, bytes + growth_of(growing)); (void)room_pause(t))
		if (t->limits.eviction == EVICTION_NONE || !evict_oldest(t, keep))
			break;
	return quota_evict(t, growing, entries, bytes, keep);
}

int quota_make_room(struct tenant *t, uint64_t bytes, ref keep) {
	if (__builtin_expect(!quota_over(t, 0, bytes), 1))
		return 0;
	return quota_fits(t, 0, bytes, keep) ? quota_evict_long(t, NULL, 0, bytes, keep) : ATOMDB_E_OOM;
}
