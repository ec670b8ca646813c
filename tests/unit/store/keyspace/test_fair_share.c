/* The fair share of memory: the level against a model, and tenants of two shards that exceed the shared limit. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "atomdb/store/keyspace.h"
#include "atomdb/store/registry.h"
#include "atomdb/store/shard.h"
#include "atomdb/store/shard_open.h"
#include "atomdb/store/shard_tenants.h"
#include "atomdb/store/string.h"
#include "atomdb/store/tenant.h"
#include "atomdb/util/error.h"
#include "harness.h"
#include "store/keyspace/fair_share.h"
#include "store/random.h"

#define SHARDS 2

/* ---- the level ---- */

static int compare_bytes(const void *a, const void *b) {
	uint64_t x = ((const struct fair_share_demand *)a)->bytes, y = ((const struct fair_share_demand *)b)->bytes;
	return (x > y) - (x < y);
}

/* The model: distributes the memory over the demands, the smallest first. Each gets its demand or an equal part of the
 * rest. */
static uint64_t poured(const struct fair_share_demand *demands, size_t count, uint64_t excess) {
	struct fair_share_demand sorted[64];
	uint64_t left = 0;
	memcpy(sorted, demands, count * sizeof *sorted);
	qsort(sorted, count, sizeof *sorted, compare_bytes);
	for (size_t i = 0; i < count; i++)
		left += sorted[i].bytes;
	left = left > excess ? left - excess : 0;
	for (size_t i = 0; i < count; i++) {
		uint64_t part = left / (count - i);
		if (sorted[i].bytes > part)
			return part > 0 ? part : 1;
		left -= sorted[i].bytes;
	}
	return count > 0 && sorted[count - 1].bytes > 0 ? sorted[count - 1].bytes : 1;
}

static void the_level_is_that_of_water_poured_over_the_demands(void **state) {
	(void)state;
	uint64_t seed = random_seed();
	for (unsigned round = 0; round < 20000; round++) {
		struct fair_share_demand demands[64];
		size_t count = random_next(&seed) % 65;
		uint64_t sum = 0, scale = UINT64_C(1) << (1 + random_next(&seed) % 40);
		for (size_t i = 0; i < count; i++) {
			demands[i] = (struct fair_share_demand){random_next(&seed) % scale, true};
			sum += demands[i].bytes;
		}
		uint64_t excess = random_next(&seed) % (sum + sum / 4 + 1);
		assert_int_equal(fair_share_level(demands, count, excess), poured(demands, count, excess));
	}
}

static void nobody_gives_way_while_a_sixteenth_is_free(void **state) {
	(void)state;
	const struct fair_share_demand demands[] = {{600, true}, {300, true}, {20, true}};
	struct memory_budget b = {.used = 940, .limit = 1000};
	assert_int_equal(fair_share_publish(&b, demands, 3, 0), 940 > 1000 - 1000 / 16 ? 598 : 0);
	b.used = 900;
	assert_int_equal(fair_share_publish(&b, demands, 3, 0), 0);
	assert_int_equal(fair_share_publish(&b, demands, 3, 138), 500);
	b.limit = 0;
	assert_int_equal(fair_share_publish(&b, demands, 3, 1 << 20), 0);
}

static void above_the_limit_those_that_evict_give_way_alone(void **state) {
	(void)state;
	const struct fair_share_demand demands[] = {{700, false}, {300, true}, {200, true}};
	struct memory_budget b = {.used = 1200, .limit = 1000};
	/* The first tenant has 262 bytes above 15/16, but keeps them. The others have 200 bytes above the limit. */
	assert_int_equal(fair_share_publish(&b, demands, 3, 0), 150);
}

/* ---- tenants of two shards ---- */

struct world {
	struct memory_budget budget;
	struct shard *shards[SHARDS];
	struct registry *registry;
	uint64_t ns;
	unsigned woken;
};

static void pass(struct world *w, unsigned ms) {
	w->ns += ms * UINT64_C(1000000);
	for (unsigned i = 0; i < SHARDS; i++)
		shard_set_now(w->shards[i], 1700000000000 + (int64_t)(w->ns / 1000000), w->ns);
}

static void work(struct world *w) {
	for (unsigned i = 0; i < SHARDS; i++)
		if (shard_deadline(w->shards[i]) <= shard_now(w->shards[i]))
			shard_work(w->shards[i], 512);
}

static void settle(struct world *w) {
	for (unsigned i = 0; i < 3000; i++) {
		pass(w, 5);
		work(w);
	}
}

static void on_short(void *context) {
	((struct world *)context)->woken++;
}

static void open_world(struct world *w, uint64_t limit, const struct tenants_config *y) {
	*w = (struct world){.budget = {.limit = limit}};
	for (unsigned i = 0; i < SHARDS; i++)
		assert_int_equal(
			shard_new(&w->shards[i], &(struct shard_options){.id = i, .worker = i, .budget = &w->budget}),
			0);
	pass(w, 1);
	struct registry_hooks hooks = {.memory_short = on_short, .context = w};
	assert_int_equal(registry_new(&w->registry, w->shards, SHARDS, y, &hooks, NULL), 0);
}

static void close_world(struct world *w) {
	registry_free(w->registry);
	for (unsigned i = 0; i < SHARDS; i++)
		shard_free(w->shards[i]);
}

static struct tenant *enter(struct world *w, const char *secret) {
	struct tenant *t;
	unsigned worker;
	assert_int_equal(registry_authenticate(w->registry, SLICE("default"), slice_of(secret), &t, &worker), 0);
	assert_int_equal(shard_open_tenant(t->shard, t), 0);
	return t;
}

/* Opens a new tenant in that shard. */
static struct tenant *enter_at(struct world *w, unsigned shard, const char *name) {
	char secret[32];
	for (unsigned i = 0;; i++) {
		snprintf(secret, sizeof secret, "%s-%u", name, i);
		struct tenant *t = enter(w, secret);
		if (t->shard == w->shards[shard])
			return t;
	}
}

static int put(struct tenant *t, unsigned number, size_t size) {
	static char value[1 << 20];
	char name[16];
	snprintf(name, sizeof name, "k%u", number);
	struct key key = keyspace_key(t, 0, slice_of(name));
	struct entry *old = keyspace_find(t, &key, LOOKUP_WRITE);
	return string_set(t, &key, old, (struct slice){value, size}, DEADLINE_NONE);
}

static uint64_t keys(const struct tenant *t) {
	return counter_get(&t->counters.keys);
}

static uint64_t bytes(const struct tenant *t) {
	return counter_get(&t->counters.bytes);
}

#define GREEDY 20

/* Twenty tenants fill the memory several times over, at different rates and with different sizes. A small tenant comes
 * before them, and another when the memory is full. */
static void small_tenants_keep_all_while_others_fill_the_memory(void **state) {
	(void)state;
	uint64_t seed = random_seed();
	const struct tenants_config y = {.open = true};
	struct world w;
	open_world(&w, 32 * MIB, &y);
	struct tenant *greedy[GREEDY], *victim = enter(&w, "victim");
	for (unsigned i = 0; i < 200; i++)
		assert_int_equal(put(victim, i, 500), 0);
	for (unsigned i = 0; i < GREEDY; i++) {
		char secret[16];
		snprintf(secret, sizeof secret, "greedy-%u", i);
		greedy[i] = enter(&w, secret);
	}
	unsigned refused = 0;
	for (unsigned i = 0; i < 150000; i++) {
		unsigned who = (unsigned)(random_next(&seed) % GREEDY);
		who = who < GREEDY / 2 ? who : (unsigned)(random_next(&seed) % GREEDY);
		refused += put(greedy[who], i, random_next(&seed) % 64 == 0 ? 30000 : 100 + 40 * who) != 0;
		assert_true(atomic_load(&w.budget.used) <= 32 * MIB);
		if (i % 500 == 0) {
			pass(&w, 1);
			work(&w);
		}
		/* The new tenant writes too, and is not refused. */
		if (i % 1000 == 0)
			assert_int_equal(put(victim, 200 + i / 1000, 500), 0);
	}
	assert_int_equal(refused, 0);
	struct tenant *newcomer = enter(&w, "newcomer");
	for (unsigned i = 0; i < 500; i++)
		assert_int_equal(put(newcomer, i, 500), 0);
	assert_int_equal(keys(victim), 350);
	assert_int_equal(counter_get(&victim->counters.evictions), 0);
	assert_int_equal(keys(newcomer), 500);
	settle(&w);
	assert_int_equal(keys(victim), 350);
	assert_int_equal(keys(newcomer), 500);
	/* 1/16 is free, except for gaps that are too small for a compaction. */
	assert_true(atomic_load(&w.budget.used) <= 32 * MIB - 32 * MIB / 16 + MIB / 2);
	/* No more entries were evicted than needed. */
	assert_true(atomic_load(&w.budget.used) >= 24 * MIB);
	for (unsigned i = 0; i < GREEDY; i++)
		assert_true(bytes(greedy[i]) > 500000);
	close_world(&w);
}

/* One tenant has all memory in its shard. The other shard's tenant grows to half of the memory, and none of its writes
 * waits or fails. */
static void a_tenant_of_another_shard_gives_way_in_the_background(void **state) {
	(void)state;
	const struct tenants_config y = {.open = true};
	struct world w;
	open_world(&w, 32 * MIB, &y);
	struct tenant *large = enter_at(&w, 0, "large"), *late = enter_at(&w, 1, "late");
	for (unsigned i = 0; i < 60000; i++) {
		assert_int_equal(put(large, i, 1000), 0);
		if (i % 200 == 0) {
			pass(&w, 1);
			work(&w);
		}
	}
	assert_true(bytes(large) > 26 * MIB);
	for (unsigned i = 0; i < 10000; i++) {
		assert_int_equal(put(late, i, 1000), 0);
		if (i % 200 == 0) {
			pass(&w, 1);
			work(&w);
		}
	}
	assert_true(w.woken > 0);
	assert_int_equal(keys(late), 10000);
	assert_int_equal(counter_get(&late->counters.evictions), 0);
	/* Both tenants want more: each gets about half. */
	for (unsigned i = 0; i < 40000; i++) {
		assert_int_equal(put(late, 10000 + i, 1000), 0);
		assert_int_equal(put(large, 60000 + i, 1000), 0);
		if (i % 200 == 0) {
			pass(&w, 1);
			work(&w);
		}
	}
	settle(&w);
	uint64_t most = bytes(large) > bytes(late) ? bytes(large) : bytes(late),
		 least = bytes(large) + bytes(late) - most;
	assert_true(most - least < most / 8);
	close_world(&w);
}

/* With eviction = "none" a tenant above its share is refused writes and loses no key. */
static void a_tenant_that_does_not_evict_is_refused_above_its_share(void **state) {
	(void)state;
	const struct tenants_config y = {.open = true};
	struct world w;
	open_world(&w, 16 * MIB, &y);
	struct tenant *store = enter_at(&w, 0, "store"), *other = enter_at(&w, 0, "other");
	struct tenant *far = enter_at(&w, 1, "far");
	tenant_set_limits(store, &(struct tenant_limits){.eviction = EVICTION_NONE}, 1);
	unsigned stored = 0;
	while (put(store, stored, 1000) == 0)
		stored++;
	assert_true(stored > 12000);
	assert_true(atomic_load(&w.budget.used) <= 15 * MIB);
	for (unsigned i = 0; i < 200; i++) {
		assert_int_equal(put(other, i, 1000), 0);
		assert_int_equal(put(far, i, 1000), 0);
		assert_int_equal(put(store, stored + i, 1000), ATOMDB_E_OOM);
		pass(&w, 1);
		work(&w);
	}
	assert_int_equal(keys(store), stored);
	assert_int_equal(keys(other), 200);
	assert_int_equal(keys(far), 200);
	close_world(&w);
}

/* A value that would put the tenant above its share is refused, and evicts no key. */
static void a_value_larger_than_the_share_costs_nothing(void **state) {
	(void)state;
	const struct tenants_config y = {.open = true};
	struct world w;
	open_world(&w, 16 * MIB, &y);
	struct tenant *large = enter_at(&w, 0, "large"), *small = enter_at(&w, 0, "small");
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(put(small, i, 1000), 0);
	for (unsigned i = 0; i < 30000; i++)
		assert_int_equal(put(large, i, 1000), 0);
	uint64_t before = keys(large);
	static char value[12 << 20];
	struct key key = keyspace_key(small, 0, SLICE("huge"));
	assert_int_equal(string_set(small, &key, NULL, (struct slice){value, sizeof value}, DEADLINE_NONE),
			 ATOMDB_E_OOM);
	assert_int_equal(keys(small), 10);
	assert_int_equal(keys(large), before);
	close_world(&w);
}

/* After a shortage, a tenant that gave way grows without eviction as long as there is memory. */
static void a_level_ends_with_the_shortage(void **state) {
	(void)state;
	const struct tenants_config y = {.open = true};
	struct world w;
	open_world(&w, 32 * MIB, &y);
	struct tenant *t = enter_at(&w, 0, "tenant");
	for (unsigned i = 0; i < 10000; i++)
		assert_int_equal(put(t, i, 1000), 0);
	atomic_store(&w.budget.limit, 8 * MIB);
	settle(&w);
	uint64_t left = keys(t), evicted = counter_get(&t->counters.evictions);
	assert_true(evicted > 0);
	atomic_store(&w.budget.limit, 32 * MIB);
	pass(&w, 1);
	for (unsigned i = 0; i < 10000; i++)
		assert_int_equal(put(t, 10000 + i, 1000), 0);
	assert_int_equal(keys(t), left + 10000);
	assert_int_equal(counter_get(&t->counters.evictions), evicted);
	close_world(&w);
}

static int put_huge(struct tenant *t, size_t size) {
	static char value[12 << 20];
	struct key key = keyspace_key(t, 0, SLICE("huge"));
	struct entry *old = keyspace_find(t, &key, LOOKUP_WRITE);
	return string_set(t, &key, old, (struct slice){value, size}, DEADLINE_NONE);
}

/* The tenant of the other shard has most of the bytes above the shares, and it does not evict. */
static void a_write_below_its_share_evicts_no_others_where_they_have_too_little(void **state) {
	(void)state;
	const struct tenants_config y = {.open = true};
	struct world w;
	open_world(&w, 16 * MIB, &y);
	struct tenant *store = enter_at(&w, 1, "store"), *near = enter_at(&w, 0, "near"),
		      *small = enter_at(&w, 0, "small");
	tenant_set_limits(store, &(struct tenant_limits){.eviction = EVICTION_NONE}, 1);
	for (unsigned i = 0; bytes(store) < 8 * MIB; i++)
		assert_int_equal(put(store, i, 1000), 0);
	for (unsigned i = 0; bytes(near) < 6 * MIB; i++)
		assert_int_equal(put(near, i, 100), 0);
	uint64_t before = keys(near);
	assert_int_equal(put_huge(small, 4 * MIB), ATOMDB_E_OOM);
	assert_int_equal(keys(near), before);
	assert_int_equal(put_huge(small, MIB / 2), 0);
	close_world(&w);
}

/* The eviction of 256 entries of tenants above their share would not make room for it. */
static void a_large_write_below_its_share_gets_its_room(void **state) {
	(void)state;
	const struct tenants_config y = {.open = true};
	struct world w;
	open_world(&w, 16 * MIB, &y);
	struct tenant *large = enter_at(&w, 0, "large"), *small = enter_at(&w, 0, "small");
	for (unsigned i = 0; i < 100000; i++)
		assert_int_equal(put(large, i, 100), 0);
	uint64_t before = bytes(large);
	assert_int_equal(put_huge(small, 3 * MIB), 0);
	assert_true(bytes(large) > before - 4 * MIB);
	close_world(&w);
}

/* After the limit was lowered. */
static void a_large_write_evicts_nothing_above_the_limit(void **state) {
	(void)state;
	const struct tenants_config y = {.open = true};
	struct world w;
	open_world(&w, 16 * MIB, &y);
	struct tenant *large = enter_at(&w, 0, "large");
	for (unsigned i = 0; bytes(large) < 12 * MIB; i++)
		assert_int_equal(put(large, i, 100), 0);
	atomic_store(&w.budget.limit, 8 * MIB);
	pass(&w, 10);
	uint64_t before = keys(large);
	assert_int_equal(put_huge(large, MIB), ATOMDB_E_OOM);
	assert_int_equal(keys(large), before);
	settle(&w);
	assert_int_equal(put_huge(large, MIB), 0);
	close_world(&w);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_level_is_that_of_water_poured_over_the_demands),
		cmocka_unit_test(nobody_gives_way_while_a_sixteenth_is_free),
		cmocka_unit_test(above_the_limit_those_that_evict_give_way_alone),
		cmocka_unit_test(small_tenants_keep_all_while_others_fill_the_memory),
		cmocka_unit_test(a_tenant_of_another_shard_gives_way_in_the_background),
		cmocka_unit_test(a_tenant_that_does_not_evict_is_refused_above_its_share),
		cmocka_unit_test(a_value_larger_than_the_share_costs_nothing),
		cmocka_unit_test(a_write_below_its_share_evicts_no_others_where_they_have_too_little),
		cmocka_unit_test(a_large_write_below_its_share_gets_its_room),
		cmocka_unit_test(a_large_write_evicts_nothing_above_the_limit),
		cmocka_unit_test(a_level_ends_with_the_shortage),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
