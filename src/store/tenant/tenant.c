#include "atomdb/store/tenant.h"

#include <assert.h>

#include "atomdb/util/error.h"
#include "store/arena/pages.h"
#include "store/keyspace/eviction_plan.h"
#include "store/keyspace/fair_share.h"
#include "store/keyspace/quota.h"
#include "store/tenant/saved_limits.h"

static void take_limits(struct tenant *t, const struct tenant_limits *limits) {
	t->limits = *limits;
	counter_set(&t->counters.quota_entries, limits->max_entries);
	counter_set(&t->counters.quota_bytes, limits->max_memory);
	counter_set(&t->counters.evicts, limits->eviction != EVICTION_NONE);
	uint32_t weight = limits->cpu_weight == 0 ? TENANT_CPU_WEIGHT : limits->cpu_weight;
	t->share_factor = (TENANT_CPU_WEIGHT << SHARE_FACTOR_BITS) / weight;
}

void tenant_init(struct tenant *t, struct shard *s, const struct tenant_limits *limits) {
	static const struct tenant_identity unknown;
	*t = (struct tenant){.shard = s, .identity = &unknown};
	list_init(&t->clients.sessions);
	list_init(&t->clients.pushed);
	list_init(&t->clients.pushing);
	list_init(&t->over);
	list_init(&t->suspension.link);
	take_limits(t, limits);
	token_bucket_init(&t->commands, limits->commands_per_second, 0);
}

void tenant_deinit(struct tenant *t) {
	assert(list_empty(&t->clients.sessions) && t->clients.subscriptions == NULL);
	assert(list_empty(&t->clients.pushed) && !list_linked(&t->clients.pushing));
	assert(counter_get(&t->counters.client_bytes) == 0 && t->clients.leaving_bytes == 0);
	if (t->clients.free_stats != NULL)
		t->clients.free_stats(t);
}

static void shed_later(struct tenant *t) {
	if (!list_linked(&t->over) && !tenant_suspended(t) && quota_over(t, 0, 0))
		list_push_back(&t->shard->over, &t->over);
}

/* Puts the limits in force that waited for the resumption. */
static void set_waiting_limits(struct tenant *t) {
	t->suspension.limits_wait = false;
	tenant_set_limits(t, &t->suspension.limits, t->shard->now_ns);
}

void tenant_set_limits(struct tenant *t, const struct tenant_limits *limits, uint64_t now_ns) {
	if (tenant_suspended(t)) {
		t->suspension.limits = *limits;
		t->suspension.limits_wait = true;
		t->suspension.set_limits = set_waiting_limits;
		return;
	}
	take_limits(t, limits);
	token_bucket_set_rate(&t->commands, limits->commands_per_second, now_ns);
	if (t->record == NULL)
		return;
	record_write_identity(t);
	/* The next process gives an orphan that gets a name again the limits that it had before. */
	if (!limits->of_orphan)
		saved_limits_write(t->record->limits, limits);
	shed_later(t);
}

void tenant_set_defaults(struct tenant *t, const struct tenant_limits *defaults, uint64_t now_ns) {
	struct tenant_limits limits = *defaults;
	const struct tenant_limits *last = t->suspension.limits_wait ? &t->suspension.limits : &t->limits;
	if (last->of_orphan)
		return;
	limits.kept = last->kept;
	for (unsigned i = 0; i < KEY_LIMITS; i++)
		if (limits.kept & 1u << i)
			tenant_limits_copy(&limits, last, i);
	tenant_set_limits(t, &limits, now_ns);
}

static void set_last_client_id(struct tenant *t, uint64_t id) {
	t->record->client_ids_low = (uint32_t)id;
	t->record->client_ids_high = (uint32_t)(id >> 32);
}

static uint64_t last_client_id(const struct tenant *t) {
	return t->record->client_ids_low | (uint64_t)t->record->client_ids_high << 32;
}

uint64_t tenant_new_client_id(struct tenant *t) {
	set_last_client_id(t, last_client_id(t) + 1);
	return last_client_id(t);
}

void tenant_keep_client_id(struct tenant *t, uint64_t fresh, uint64_t id) {
	if (last_client_id(t) == fresh)
		set_last_client_id(t, fresh - 1);
	if (last_client_id(t) < id)
		set_last_client_id(t, id);
}

/* Clients may hold a 4th of max_memory by default, and always CLIENT_MEMORY_MIN bytes. */
#define CLIENT_SHARE      4
#define CLIENT_MEMORY_MIN ((uint64_t)64 << 10)
/* Bytes that a command may always take while it runs. */
#define SCRATCH_MIN ((uint64_t)1 << 20)

uint64_t tenant_client_limit(const struct tenant *t) {
	const struct tenant_limits *l = &t->limits;
	const struct memory_budget *budget = arena_budget_of(t->shard->arena);
	uint64_t server = budget == NULL ? 0 : atomic_load_explicit(&budget->limit, memory_order_relaxed);
	uint64_t most = l->max_memory == 0 || (server != 0 && server < l->max_memory) ? server : l->max_memory;
	uint64_t limit = l->client_memory;
	if (most != 0 && (limit == 0 || limit > most))
		limit = limit == 0 ? most / CLIENT_SHARE : most;
	if (limit == 0)
		return UINT64_MAX;
	return limit > CLIENT_MEMORY_MIN ? limit : CLIENT_MEMORY_MIN;
}

/* Takes `bytes` from the memory that all tenants share. A tenant above its share evicts entries first. */
static int take_heap(struct tenant *t, uint64_t bytes) {
	struct shard *s = t->shard;
	bool taken = arena_take_heap(s->arena, bytes);
	/* Taking over evicts nothing. */
	if (!taken && s->restores_clients) {
		arena_take_heap_anyway(s->arena, bytes);
		taken = true;
	}
	if (__builtin_expect(taken, 1))
		return 0;
	for (unsigned tries = 0; !taken && fair_share_make_way(t, bytes, EVICTION_PLAN_HEAP, 0, tries); tries++)
		taken = arena_take_heap(s->arena, bytes);
	fair_share_end(s);
	return taken ? 0 : ATOMDB_E_OOM;
}

static int charge(struct tenant *t, uint64_t bytes, bool reserve) {
	bool limited = t->limits.max_memory != 0 && !t->shard->restores_clients;
	bool over = limited && quota_over(t, 0, bytes), fits = !over || quota_fits(t, 0, bytes, 0);
	if (!fits && !(reserve && quota_in_reserve(t, bytes)))
		return ATOMDB_E_OOM;
	/* The quota evicts last: nothing may refuse the charge after that. */
	if (take_heap(t, bytes) != 0)
		return ATOMDB_E_OOM;
	if (over && fits && !tenant_suspended(t) && quota_evict(t, NULL, 0, bytes, 0) != 0 &&
	    !(reserve && quota_in_reserve(t, bytes))) {
		arena_give_heap(t->shard->arena, bytes);
		return ATOMDB_E_OOM;
	}
	counter_add(&t->counters.bytes, bytes);
	return 0;
}

int tenant_charge(struct tenant *t, uint64_t bytes) {
	return charge(t, bytes, true);
}

int tenant_charge_in_quota(struct tenant *t, uint64_t bytes) {
	return charge(t, bytes, false);
}

void tenant_charge_anyway(struct tenant *t, uint64_t bytes) {
	arena_take_heap_anyway(t->shard->arena, bytes);
	counter_add(&t->counters.bytes, bytes);
}

int tenant_charge_later(struct tenant *t, uint64_t bytes) {
	struct shard *s = t->shard;
	/* The shard restores the reserve in the background. */
	arena_keep_reserve(s->arena, false);
	bool taken = arena_take_heap(s->arena, bytes);
	fair_share_end(s);
	if (!taken)
		return ATOMDB_E_OOM;
	counter_add(&t->counters.bytes, bytes);
	shed_later(t);
	return 0;
}

void tenant_discharge(struct tenant *t, uint64_t bytes) {
	arena_give_heap(t->shard->arena, bytes);
	counter_sub(&t->counters.bytes, bytes);
}

uint64_t tenant_scratch_limit(const struct tenant *t) {
	const struct memory_budget *budget = arena_budget_of(t->shard->arena);
	uint64_t limit = budget == NULL ? 0 : atomic_load_explicit(&budget->limit, memory_order_relaxed);
	uint64_t used = budget == NULL ? 0 : atomic_load_explicit(&budget->used, memory_order_relaxed);
	uint64_t most = t->limits.max_memory == 0 ? UINT64_MAX : t->limits.max_memory / 2;
	if (limit != 0 && most > (used < limit ? limit - used : 0))
		most = used < limit ? limit - used : 0;
	return most > SCRATCH_MIN ? most : SCRATCH_MIN;
}

void tenant_database_bytes(const struct tenant *t, unsigned database, uint64_t *all, uint64_t *table) {
	const struct database *d = tenant_database(t, t->record->db_slots[database]);
	*all = d == NULL ? 0 : d->bytes;
	*table = d == NULL ? 0 : d->table_bytes;
}
