/* Evictions for a write under a full memory budget. */
#include <stdio.h>
#include <string.h>

#include "atomdb/store/keyspace.h"
#include "atomdb/store/shard.h"
#include "atomdb/store/shard_open.h"
#include "atomdb/store/shard_tenants.h"
#include "atomdb/store/string.h"
#include "atomdb/store/tenant.h"
#include "atomdb/util/error.h"
#include "harness.h"
#include "store/keyspace/eviction_plan.h"
#include "store/keyspace/record.h"

#define SMALL 500  /* bytes of a value: about 120 entries a slab */
#define OTHER 5000 /* of another size class */

static struct memory_budget budget;
static struct shard *shard;
static struct tenant evicting, fixed;
static uint64_t now_ns;

static void pass(void) {
	now_ns += 10000000;
	shard_set_now(shard, 1700000000000 + (int64_t)(now_ns / 1000000), now_ns);
}

static void open_shard(void) {
	const struct tenant_limits none = {.eviction = EVICTION_NONE}, lru = {0};
	budget = (struct memory_budget){0};
	now_ns = 0;
	assert_int_equal(shard_new(&shard, &(struct shard_options){.budget = &budget}), 0);
	pass();
	tenant_init(&evicting, shard, &lru);
	tenant_init(&fixed, shard, &none);
	shard_set_defaults(shard, &lru);
	assert_int_equal(shard_open_tenant(shard, &evicting), 0);
	assert_int_equal(shard_open_tenant(shard, &fixed), 0);
	tenant_set_limits(&fixed, &none, 1);
}

static void close_shard(void) {
	shard_close_tenant(shard, &evicting);
	shard_close_tenant(shard, &fixed);
	shard_free(shard);
}

static int put(struct tenant *t, unsigned number, size_t size) {
	static char value[1 << 20];
	char name[16];
	snprintf(name, sizeof name, "k%u", number);
	struct key key = keyspace_key(t, 0, slice_of(name));
	return string_set(t, &key, keyspace_find(t, &key, LOOKUP_WRITE), (struct slice){value, size}, DEADLINE_NONE);
}

/* From here on the budget has no page left. */
static void fill_budget(void) {
	(void)arena_trim(shard->arena, SIZE_MAX, true);
	atomic_store(&budget.limit, atomic_load(&budget.used));
	pass();
}

static size_t newest_block(const struct tenant *t) {
	return entry_block_size(entry_at(shard, t->record->lru.newest));
}

static uint64_t evictions(void) {
	return counter_get(&evicting.counters.evictions);
}

static void test_scattered_entries_are_not_evicted_for_a_write_that_is_refused(void **state) {
	(void)state;
	open_shard();
	for (unsigned i = 0; i < 2000; i++) {
		assert_int_equal(put(&evicting, i, SMALL), 0);
		assert_int_equal(put(&fixed, i, SMALL), 0);
	}
	fill_budget();
	/* Each slab holds entries of the other tenant. The second write knows the level from its turn's start. */
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(put(&evicting, 10000 + i, OTHER), ATOMDB_E_OOM);
		assert_int_equal(put(&evicting, 10000 + i, 100000), ATOMDB_E_OOM);
		assert_int_equal(tenant_charge(&evicting, 100000), ATOMDB_E_OOM);
		assert_int_equal(evictions(), 0);
		pass();
	}
	close_shard();
}

static void test_a_write_evicts_the_slab_that_it_needs_and_no_more(void **state) {
	(void)state;
	open_shard();
	for (unsigned i = 0; i < 4000; i++)
		assert_int_equal(put(&evicting, i, SMALL), 0);
	fill_budget();
	unsigned of_slab = arena_slab_used(shard->arena, arena_slab(evicting.record->lru.oldest));
	assert_int_equal(put(&evicting, 10000, OTHER), 0);
	assert_int_equal(evictions(), of_slab);
	close_shard();
}

static void test_a_write_evicts_up_to_the_first_block_of_its_size(void **state) {
	(void)state;
	open_shard();
	const unsigned blocks_of_other = (unsigned)(ARENA_SLAB / arena_block_size(OTHER + 32));
	assert_int_equal(put(&evicting, 1, SMALL), 0);
	assert_int_equal(put(&evicting, 2, SMALL), 0);
	/* A slab of the other size class, and it is full. */
	for (unsigned i = 0; i < blocks_of_other; i++)
		assert_int_equal(put(&evicting, 10 + i, OTHER), 0);
	assert_false(arena_has_block(shard->arena, newest_block(&evicting), ARENA_ENTRY));
	for (unsigned i = 100; i < 3000; i++)
		assert_int_equal(put(&evicting, i, SMALL), 0);
	fill_budget();
	assert_int_equal(put(&evicting, 10000, OTHER), 0);
	assert_int_equal(evictions(), 3);
	pass();
	assert_int_equal(put(&evicting, 10001, OTHER), 0);
	assert_int_equal(evictions(), 4);
	close_shard();
}

static void test_a_tenant_below_its_share_gets_no_evictions_that_do_not_help(void **state) {
	(void)state;
	open_shard();
	static struct tenant below;
	tenant_init(&below, shard, &(struct tenant_limits){0});
	assert_int_equal(shard_open_tenant(shard, &below), 0);
	for (unsigned i = 0; i < 2000; i++) {
		assert_int_equal(put(&evicting, i, SMALL), 0);
		assert_int_equal(put(&fixed, i, SMALL), 0);
	}
	assert_int_equal(put(&below, 0, SMALL), 0);
	fill_budget();
	assert_int_equal(put(&below, 1, OTHER), ATOMDB_E_OOM);
	assert_int_equal(evictions(), 0);
	/* It gets a block of the same size, as long as another tenant is above its share. */
	while (arena_has_block(shard->arena, newest_block(&below), ARENA_ENTRY))
		(void)arena_alloc(shard->arena, newest_block(&below), ARENA_ENTRY);
	uint64_t before = evictions();
	assert_int_equal(put(&below, 0, SMALL), 0);
	assert_int_equal(evictions(), before + 1);
	shard_close_tenant(shard, &below);
	close_shard();
}

/* More tenants cannot be opened than there are slots in the directory: then it needs a larger block. */
static void test_a_new_tenant_evicts_nothing_if_it_is_refused(void **state) {
	static struct tenant more[64];
	unsigned opened = 0;
	int error = 0;
	(void)state;
	open_shard();
	for (unsigned i = 0; i < 2000; i++) {
		assert_int_equal(put(&evicting, i, SMALL), 0);
		assert_int_equal(put(&fixed, i, SMALL), 0);
	}
	fill_budget();
	while (opened < 64 && error == 0) {
		tenant_init(&more[opened], shard, &(struct tenant_limits){0});
		error = shard_open_tenant(shard, &more[opened]);
		opened += error == 0;
	}
	assert_int_equal(error, ATOMDB_E_OOM);
	assert_int_equal(evictions(), 0);
	while (opened-- > 0)
		shard_close_tenant(shard, &more[opened]);
	close_shard();
}

/* The quota alone could take each of these writes, at the cost of entries. */
static void test_a_quota_evicts_nothing_for_a_write_that_the_budget_refuses(void **state) {
	(void)state;
	open_shard();
	for (unsigned i = 0; i < 2000; i++) {
		assert_int_equal(put(&evicting, 10000 + i, SMALL), 0);
		assert_int_equal(put(&fixed, 10000 + i, SMALL), 0);
	}
	while (arena_has_block(shard->arena, newest_block(&evicting), ARENA_ENTRY))
		(void)arena_alloc(shard->arena, newest_block(&evicting), ARENA_ENTRY);
	fill_budget();
	evicting.limits.max_memory = counter_get(&evicting.counters.bytes);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(put(&evicting, 20000 + i, OTHER), ATOMDB_E_OOM);
		assert_int_equal(put(&evicting, 11000, OTHER), ATOMDB_E_OOM);
		assert_int_equal(put(&evicting, 20000 + i, 100000), ATOMDB_E_OOM);
		assert_int_equal(evictions(), 0);
		pass();
	}
	/* A block of the same size is what the quota evicts. */
	assert_int_equal(put(&evicting, 20000, SMALL), 0);
	assert_in_range(evictions(), 1, 2);
	close_shard();
}

/* The tenant is below its share: no other tenant evicts. */
static void test_the_quota_of_a_small_tenant_evicts_nothing_for_a_refused_write(void **state) {
	(void)state;
	open_shard();
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(put(&evicting, i, SMALL), 0);
	for (unsigned i = 0; i < 4000; i++)
		assert_int_equal(put(&fixed, i, SMALL), 0);
	fill_budget();
	evicting.limits.max_memory = counter_get(&evicting.counters.bytes);
	assert_int_equal(put(&evicting, 10000, OTHER), ATOMDB_E_OOM);
	assert_int_equal(evictions(), 0);
	close_shard();
}

static void test_a_new_database_evicts_nothing_for_an_entry_that_is_refused(void **state) {
	(void)state;
	open_shard();
	for (unsigned i = 0; i < 4000; i++)
		assert_int_equal(put(&evicting, i, SMALL), 0);
	/* No block for a database is free, and evictions can give one slab back but not the pages of the value. */
	while (arena_has_block(shard->arena, sizeof(struct database), ARENA_OTHER))
		(void)arena_alloc(shard->arena, sizeof(struct database), ARENA_OTHER);
	fill_budget();
	static char value[8 << 20];
	struct key key = keyspace_key(&evicting, 3, SLICE("new"));
	assert_int_equal(string_set(&evicting, &key, NULL, (struct slice){value, sizeof value}, DEADLINE_NONE),
			 ATOMDB_E_OOM);
	assert_int_equal(evictions(), 0);
	close_shard();
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_scattered_entries_are_not_evicted_for_a_write_that_is_refused),
		cmocka_unit_test(test_a_write_evicts_the_slab_that_it_needs_and_no_more),
		cmocka_unit_test(test_a_write_evicts_up_to_the_first_block_of_its_size),
		cmocka_unit_test(test_a_tenant_below_its_share_gets_no_evictions_that_do_not_help),
		cmocka_unit_test(test_a_new_tenant_evicts_nothing_if_it_is_refused),
		cmocka_unit_test(test_a_quota_evicts_nothing_for_a_write_that_the_budget_refuses),
		cmocka_unit_test(test_the_quota_of_a_small_tenant_evicts_nothing_for_a_refused_write),
		cmocka_unit_test(test_a_new_database_evicts_nothing_for_an_entry_that_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
