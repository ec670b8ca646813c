#include "atomdb/store/memory_budget.h"
#include "atomdb/store/tenant.h"
#include "store/tenant/registry_shares.h"
#include "tenants.h"

#define LIMIT ((uint64_t)16 << 20)

static void fill_to(struct tenant *t, uint64_t bytes) {
	tenant_charge_anyway(t, bytes - counter_get(&t->counters.bytes));
}

static void test_the_level_is_that_of_the_tenants_of_all_shards(void **state) {
	struct world w;
	struct tenants_config y = {.open = true};
	struct tenant *large, *small;
	(void)state;
	world_open(&w, &y);
	assert_int_equal(auth(&w, "default", "large", &large), 0);
	assert_int_equal(auth(&w, "default", "small", &small), 0);
	assert_ptr_not_equal(large->shard, small->shard);
	use(large);
	use(small);
	fill_to(large, 12 << 20);
	fill_to(small, 2 << 20);

	/* 1/16 is kept free. The wanted bytes exceed the rest by 1 MiB, which the larger tenant gives. */
	struct memory_budget b = {.used = 14 << 20, .limit = LIMIT};
	registry_measure_shares(w.registry, &b, 2 << 20);
	assert_int_equal(b.level, 11 << 20);
	assert_int_equal(b.levels, 1);
	/* With 11 MiB more, both tenants give way to the same level. */
	registry_measure_shares(w.registry, &b, 12 << 20);
	assert_in_range(b.level, (3 << 19) - 1, 3 << 19);
	/* There is enough room. */
	registry_measure_shares(w.registry, &b, 1 << 20);
	assert_int_equal(b.level, 0);
	assert_int_equal(b.levels, 3);
	tenant_discharge(large, (12 << 20) - arena_block_size(sizeof(struct tenant_record)));
	tenant_discharge(small, (2 << 20) - arena_block_size(sizeof(struct tenant_record)));
	world_close(&w);
}

static struct registry *looked_at;
static struct memory_budget looked_for;

static void measure_in_a_look(void *context, const struct tenant *t) {
	(void)context;
	(void)t;
	registry_measure_shares(looked_at, &looked_for, LIMIT);
}

static void test_a_visit_of_all_tenants_keeps_the_level_unchanged(void **state) {
	struct world w;
	struct tenants_config y = {.open = true};
	struct tenant *t;
	(void)state;
	world_open(&w, &y);
	assert_int_equal(auth(&w, "default", "one", &t), 0);
	looked_at = w.registry;
	looked_for = (struct memory_budget){.used = LIMIT, .limit = LIMIT, .level = 7};
	registry_each(w.registry, measure_in_a_look, NULL);
	assert_int_equal(looked_for.level, 7);
	assert_int_equal(looked_for.levels, 0);
	registry_measure_shares(w.registry, &looked_for, LIMIT);
	assert_int_equal(looked_for.levels, 1);
	world_close(&w);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_level_is_that_of_the_tenants_of_all_shards),
		cmocka_unit_test(test_a_visit_of_all_tenants_keeps_the_level_unchanged),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
