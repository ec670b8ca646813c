#include "atomdb/store/shard.h"
#include "atomdb/store/tenant.h"
#include "tenants.h"

/* The registry while a thread visits all tenants. */
struct look {
	struct world *world;
	struct tenant *released, *removed;
	unsigned seen;
};

static void look(void *context, const struct tenant *t) {
	struct look *l = context;
	struct tenant *opened;
	(void)t;
	if (l->seen++ > 0)
		return;
	/* The visit itself calls these functions, so a function that waited for its end would never return. */
	assert_int_equal(auth(l->world, "default", "old", &opened), 0);
	assert_int_equal(auth(l->world, "default", "new", &opened), 0);
	registry_release(l->world->registry, l->released);
	registry_remove_done(l->world->registry, l->removed);
	registry_release(l->world->registry, l->released);
	registry_take_up(l->world->registry, shard_worker(l->released->shard));
}

static void count_tenant(void *context, const struct tenant *t) {
	(void)t;
	++*(unsigned *)context;
}

static unsigned visible(struct world *w) {
	unsigned n = 0;
	registry_each(w->registry, count_tenant, &n);
	return n;
}

static void test_a_visit_of_all_tenants_blocks_no_worker(void **state) {
	(void)state;
	struct world w;
	struct tenant_config shop = tenant_named("shop", "s");
	struct tenants_config y = {.open = true, .tenants = &shop, .tenant_count = 1};
	struct look l = {.world = &w};
	struct tenant *old;
	world_open(&w, &y);
	assert_int_equal(auth(&w, "default", "s", &l.removed), 0);
	assert_int_equal(auth(&w, "default", "old", &old), 0);
	counter_add(&old->counters.clients, 1);
	assert_int_equal(auth(&w, "default", "gone", &l.released), 0);
	assert_int_equal(registry_remove(w.registry, SLICE("shop")), 0);
	assert_int_equal(visible(&w), 3);
	registry_each(w.registry, look, &l);
	/* Includes the new tenant, and the tenants that could not end. */
	assert_int_equal(l.seen, 4);
	assert_int_equal(visible(&w), 4);
	for (unsigned worker = 0; worker < SHARDS; worker++)
		registry_take_up(w.registry, worker);
	assert_int_equal(visible(&w), 1);
	assert_int_equal(registry_count(w.registry), 1);
	/* A postponed tenant that is in use again stays. */
	l.seen = 0;
	assert_int_equal(auth(&w, "default", "s", &l.removed), 0);
	assert_int_equal(registry_remove(w.registry, slice_of(tenant_name(l.removed))), 0);
	l.released = old;
	counter_sub(&old->counters.clients, 1);
	registry_each(w.registry, look, &l);
	counter_add(&old->counters.clients, 1);
	for (unsigned worker = 0; worker < SHARDS; worker++)
		registry_take_up(w.registry, worker);
	assert_int_equal(visible(&w), 1);
	world_close(&w);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_visit_of_all_tenants_blocks_no_worker),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
