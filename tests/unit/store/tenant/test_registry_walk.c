#include "atomdb/store/shard.h"
#include "atomdb/store/tenant.h"
#include "tenants.h"

/* What goes on while somebody looks at all tenants. */
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
	/* Nothing here waits for the look to end: it would wait for itself. */
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

static void test_a_look_keeps_nobody_waiting(void **state) {
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
	/* With the one that came, and those that should have gone. */
	assert_int_equal(l.seen, 4);
	assert_int_equal(visible(&w), 4);
	for (unsigned worker = 0; worker < SHARDS; worker++)
		registry_take_up(w.registry, worker);
	assert_int_equal(visible(&w), 1);
	assert_int_equal(registry_count(w.registry), 1);
	/* What was postponed and is in use again by then stays. */
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
		cmocka_unit_test(test_a_look_keeps_nobody_waiting),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
