#include "store/room.h"

#include "atomdb/util/error.h"
#include "store/loan.h"
#include "store/scope.h"
#include "store/share.h"

/* What is left of a table when its entries have been evicted, at most. */
#define EMPTY_TABLE ((uint64_t)512)

/* A write frees as much of what was dropped as it takes, in at most so many entries, and so many at a time. */
#define FREED_AT_MOST 16384
#define FREED_AT_ONCE 64

struct evictable {
	uint64_t entries, bytes;
};

/* Leaves out `keep` and the entries used after it. */
static void leave_out_kept(const struct tenant *t, struct evictable *sum, ref keep) {
	const struct shard *s = t->shard;
	for (ref block = keep; block != 0; block = entry_at(s, block)->lru_prev) {
		sum->entries--;
		sum->bytes -= keyspace_memory(entry_at(s, block));
	}
}

/* Leaves out blocks that stay charged until their value has been sent. */
static void leave_out_lent(const struct tenant *t, struct evictable *sum) {
	uint64_t lent = loan_bytes(t);
	sum->bytes -= lent < sum->bytes ? lent : sum->bytes;
}

/* What is left of a database's table when its entries have been evicted. To shrink takes memory first. */
static uint64_t table_rest(const struct tenant *t, const struct database *d) {
	bool shrinks = d->table_bytes > EMPTY_TABLE && share_excess(t->shard) == 0;
	return shrinks ? EMPTY_TABLE : d->table_bytes;
}

static struct evictable sum_evictable(const struct tenant *t, ref keep) {
	struct evictable sum = {.entries = counter_get(&t->figures.keys)};
	for (unsigned place = 0; place < TENANT_DATABASES; place++) {
		const struct database *d = tenant_database(t, place);
		if (d != NULL)
			sum.bytes += d->bytes - arena_block_size(sizeof *d) - table_rest(t, d);
	}
	leave_out_kept(t, &sum, keep);
	leave_out_lent(t, &sum);
	return sum;
}

/* Of what was dropped, what is room. */
static uint64_t dying(const struct tenant *t) {
	return scope_active(t->shard) ? 0 : t->dying;
}

bool room_over(const struct tenant *t, uint64_t entries, uint64_t bytes) {
	const struct tenant_limits *l = &t->limits;
	return (l->max_entries != 0 && counter_get(&t->figures.keys) + entries > l->max_entries) ||
	       (l->max_memory != 0 && counter_get(&t->figures.bytes) + bytes > l->max_memory + dying(t));
}

uint64_t room_evictable(const struct tenant *t, ref keep) {
	return t->limits.eviction == EVICTION_NONE ? 0 : sum_evictable(t, keep).bytes;
}

bool room_fits(const struct tenant *t, uint64_t entries, uint64_t bytes, ref keep) {
	const struct tenant_limits *l = &t->limits;
	if (!room_over(t, entries, bytes))
		return true;
	if (l->eviction == EVICTION_NONE)
		return false;
	struct evictable most = sum_evictable(t, keep);
	return (l->max_entries == 0 || counter_get(&t->figures.keys) - most.entries + entries <= l->max_entries) &&
	       (l->max_memory == 0 || counter_get(&t->figures.bytes) - most.bytes + bytes <= l->max_memory + dying(t));
}

/* What the table of `growing` takes for one more entry: as entries are evicted from it, nothing. */
static uint64_t growth_of(const struct database *growing) {
	return growing == NULL ? 0 : table_growth(&growing->table);
}

void room_free_dropped(struct tenant *t, uint64_t bytes) {
	struct shard *s = t->shard;
	uint64_t before = counter_get(&arena_figures(s->arena)->used);
	if (scope_active(s))
		return;
	for (unsigned freed = 0; freed < FREED_AT_MOST && s->root->dropped != 0; freed += FREED_AT_ONCE) {
		if (counter_get(&arena_figures(s->arena)->used) + bytes <= before)
			return;
		(void)keyspace_free_dropped(s, FREED_AT_ONCE);
	}
}

int room_evict(struct tenant *t, const struct database *growing, uint64_t entries, uint64_t bytes, ref keep) {
	room_free_dropped(t, bytes);
	while (room_over(t, entries, bytes + growth_of(growing)))
		if (t->limits.eviction == EVICTION_NONE || !keyspace_evict(t, keep))
			return ATOMDB_E_OOM;
	return 0;
}

int room_make(struct tenant *t, uint64_t bytes, ref keep) {
	if (__builtin_expect(!keyspace_over(t, 0, bytes), 1))
		return 0;
	return room_fits(t, 0, bytes, keep) ? room_evict(t, NULL, 0, bytes, keep) : ATOMDB_E_OOM;
}
