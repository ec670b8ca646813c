/* A tenant's limits, charges and client IDs. */
#include "atomdb/store/keyspace.h"
#include "atomdb/store/memory_budget.h"
#include "atomdb/store/shard.h"
#include "atomdb/store/shard_open.h"
#include "atomdb/store/shard_tenants.h"
#include "atomdb/store/string.h"
#include "atomdb/store/tenant.h"
#include "atomdb/util/error.h"
#include "harness.h"
#include "store/keyspace/record.h"

#define KIB      ((uint64_t)1 << 10)
#define MEGABYTE ((uint64_t)1 << 20)

static const struct tenant_identity identity = {.digest = {1}, .name = "shop"};
static struct memory_budget budget;
static struct shard *shard;
static struct tenant tenant;

static void open_with(const struct tenant_limits *limits, uint64_t server) {
	budget = (struct memory_budget){.limit = server};
	assert_int_equal(shard_new(&shard, &(struct shard_options){.budget = &budget}), 0);
	shard_set_now(shard, 1700000000000, 1);
	tenant_init(&tenant, shard, limits);
	atomic_store(&tenant.identity, &identity);
	assert_int_equal(shard_open_tenant(shard, &tenant), 0);
}

static void put(const char *name) {
	struct key key = keyspace_key(&tenant, keyspace_db_slot(&tenant, 0), slice_of(name));
	assert_int_equal(string_set(&tenant, &key, NULL, SLICE("value"), DEADLINE_NONE), 0);
}

static void close_tenant(void) {
	shard_close_tenant(shard, &tenant);
	shard_free(shard);
}

static uint64_t bytes(void) {
	return counter_get(&tenant.counters.bytes);
}

static void test_clients_may_hold_a_quarter_of_the_smaller_limit(void **state) {
	const struct {
		uint64_t max_memory, client_memory, server, limit;
	} cases[] = {
		{0, 0, 0, UINT64_MAX},
		{16 * MEGABYTE, 0, 0, 4 * MEGABYTE},
		{16 * MEGABYTE, 0, 8 * MEGABYTE, 2 * MEGABYTE},
		{0, 0, 8 * MEGABYTE, 2 * MEGABYTE},
		{16 * MEGABYTE, 5 * MEGABYTE, 0, 5 * MEGABYTE},
		{0, 5 * MEGABYTE, 0, 5 * MEGABYTE},
		{16 * MEGABYTE, 20 * MEGABYTE, 0, 16 * MEGABYTE},
		{16 * MEGABYTE, 1, 0, 64 * KIB},
		{100 * KIB, 0, 0, 64 * KIB},
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		open_with(&(struct tenant_limits){.max_memory = cases[i].max_memory,
						  .client_memory = cases[i].client_memory},
			  cases[i].server);
		assert_int_equal(tenant_client_limit(&tenant), cases[i].limit);
		close_tenant();
	}
}

static void test_a_command_may_take_half_of_the_quota_and_what_the_server_has_left(void **state) {
	(void)state;
	open_with(&(struct tenant_limits){0}, 0);
	assert_int_equal(tenant_scratch_limit(&tenant), UINT64_MAX);
	close_tenant();
	open_with(&(struct tenant_limits){.max_memory = 16 * MEGABYTE}, 0);
	assert_int_equal(tenant_scratch_limit(&tenant), 8 * MEGABYTE);
	atomic_store(&budget.limit, atomic_load(&budget.used) + 3 * MEGABYTE);
	assert_int_equal(tenant_scratch_limit(&tenant), 3 * MEGABYTE);
	atomic_store(&budget.limit, 1);
	assert_int_equal(tenant_scratch_limit(&tenant), MEGABYTE);
	atomic_store(&budget.limit, 0);
	close_tenant();
}

static void test_each_charge_is_counted_and_given_back(void **state) {
	(void)state;
	open_with(&(struct tenant_limits){0}, 0);
	uint64_t before = bytes();
	assert_int_equal(tenant_charge(&tenant, 1000), 0);
	assert_int_equal(tenant_charge_in_quota(&tenant, 200), 0);
	assert_int_equal(tenant_charge_later(&tenant, 30), 0);
	tenant_charge_anyway(&tenant, 4);
	assert_int_equal(bytes(), before + 1234);
	tenant_discharge(&tenant, 1234);
	assert_int_equal(bytes(), before);
	close_tenant();
}

static void test_a_full_tenant_is_refused_a_charge_but_not_the_little_that_it_needs(void **state) {
	(void)state;
	open_with(&(struct tenant_limits){.max_memory = 1 * MEGABYTE, .eviction = EVICTION_NONE}, 0);
	uint64_t before = bytes();
	assert_int_equal(tenant_charge(&tenant, 2 * MEGABYTE), ATOMDB_E_OOM);
	assert_int_equal(tenant_charge_in_quota(&tenant, 2 * MEGABYTE), ATOMDB_E_OOM);
	assert_int_equal(bytes(), before);
	tenant_charge_anyway(&tenant, 2 * MEGABYTE);
	assert_int_equal(bytes(), before + 2 * MEGABYTE);
	tenant_discharge(&tenant, 2 * MEGABYTE);
	close_tenant();
}

static void test_a_charge_evicts_what_the_quota_needs(void **state) {
	(void)state;
	open_with(&(struct tenant_limits){.max_memory = 1 * MEGABYTE}, 0);
	put("old");
	uint64_t rest = MEGABYTE - bytes() - 1;
	assert_int_equal(tenant_charge(&tenant, rest), 0);
	assert_int_equal(counter_get(&tenant.counters.keys), 1);
	assert_int_equal(tenant_charge(&tenant, 2), 0);
	assert_int_equal(counter_get(&tenant.counters.keys), 0);
	assert_int_equal(counter_get(&tenant.counters.evictions), 1);
	tenant_discharge(&tenant, rest + 2);
	close_tenant();
}

static void test_lower_limits_are_reached_in_the_background(void **state) {
	(void)state;
	open_with(&(struct tenant_limits){0}, 0);
	put("a");
	put("b");
	put("c");
	tenant_set_limits(&tenant, &(struct tenant_limits){.max_entries = 1}, 1);
	assert_int_equal(counter_get(&tenant.counters.keys), 3);
	assert_int_equal(counter_get(&tenant.counters.quota_entries), 1);
	while (shard_work(shard, 100))
		;
	assert_int_equal(counter_get(&tenant.counters.keys), 1);
	close_tenant();
}

static void test_defaults_do_not_replace_kept_limits(void **state) {
	const struct tenant_limits wanted = {.max_entries = 1, .max_memory = 2, .max_clients = 3};
	const struct tenant_limits former = {
		.max_entries = 9, .eviction = EVICTION_NONE, .sources = {LIMIT_IN_TENANT}, .kept = 7};
	(void)state;
	open_with(&former, 0);
	tenant_set_defaults(&tenant, &wanted, 1);
	assert_int_equal(tenant.limits.max_entries, 9);
	assert_int_equal(tenant.limits.max_memory, 0);
	assert_int_equal(tenant.limits.eviction, EVICTION_NONE);
	assert_int_equal(tenant.limits.max_clients, 3);
	assert_int_equal(counter_get(&tenant.counters.evicts), 0);
	/* The next process still finds the former limit. */
	assert_int_equal(tenant.record->limits[KEY_LIMIT_ENTRIES], 9 << 2 | LIMIT_IN_TENANT);
	tenant_set_limits(&tenant, &wanted, 1);
	tenant_set_defaults(&tenant, &wanted, 1);
	assert_int_equal(tenant.limits.max_entries, 1);
	assert_int_equal(tenant.record->limits[KEY_LIMIT_ENTRIES], 1 << 2 | LIMIT_BUILT_IN);
	close_tenant();
}

static void test_an_orphan_leaves_the_limits_that_it_had(void **state) {
	(void)state;
	open_with(&(struct tenant_limits){.max_entries = 9}, 0);
	tenant_set_limits(&tenant, &(struct tenant_limits){.eviction = EVICTION_NONE, .of_orphan = true}, 1);
	tenant_set_defaults(&tenant, &(struct tenant_limits){.max_entries = 3}, 1);
	assert_int_equal(tenant.limits.max_entries, 0);
	assert_int_equal(tenant.record->limits[KEY_LIMIT_ENTRIES], 9 << 2);
	assert_int_equal(tenant.record->limits[KEY_LIMIT_EVICTION], 0);
	close_tenant();
}

static void test_client_ids_rise_beyond_32_bits(void **state) {
	(void)state;
	open_with(&(struct tenant_limits){0}, 0);
	assert_int_equal(tenant_new_client_id(&tenant), 1);
	assert_int_equal(tenant_new_client_id(&tenant), 2);
	/* A client that the process before handed over returns its new ID. */
	tenant_keep_client_id(&tenant, 2, 1);
	assert_int_equal(tenant_new_client_id(&tenant), 2);
	tenant_keep_client_id(&tenant, 2, UINT32_MAX);
	assert_int_equal(tenant_new_client_id(&tenant), (uint64_t)UINT32_MAX + 1);
	assert_int_equal(tenant_new_client_id(&tenant), (uint64_t)UINT32_MAX + 2);
	close_tenant();
}

static void test_a_database_has_the_bytes_of_its_entries_and_its_table(void **state) {
	uint64_t all, table;
	(void)state;
	open_with(&(struct tenant_limits){0}, 0);
	uint64_t before = bytes();
	tenant_database_bytes(&tenant, 0, &all, &table);
	assert_int_equal(all + table, 0);
	put("key");
	tenant_database_bytes(&tenant, 0, &all, &table);
	assert_int_equal(all, bytes() - before);
	assert_in_range(table, 1, all - 1);
	tenant_database_bytes(&tenant, 1, &all, &table);
	assert_int_equal(all + table, 0);
	close_tenant();
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_clients_may_hold_a_quarter_of_the_smaller_limit),
		cmocka_unit_test(test_a_command_may_take_half_of_the_quota_and_what_the_server_has_left),
		cmocka_unit_test(test_each_charge_is_counted_and_given_back),
		cmocka_unit_test(test_a_full_tenant_is_refused_a_charge_but_not_the_little_that_it_needs),
		cmocka_unit_test(test_a_charge_evicts_what_the_quota_needs),
		cmocka_unit_test(test_lower_limits_are_reached_in_the_background),
		cmocka_unit_test(test_defaults_do_not_replace_kept_limits),
		cmocka_unit_test(test_an_orphan_leaves_the_limits_that_it_had),
		cmocka_unit_test(test_client_ids_rise_beyond_32_bits),
		cmocka_unit_test(test_a_database_has_the_bytes_of_its_entries_and_its_table),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
