#include "atomdb/store/tenant.h"
#include "tenants.h"

/* The worker may write to a tenant until it learns that the tenant is an orphan. */
static void test_keys_written_during_a_reload_leave_an_orphan(void **state) {
	(void)state;
	struct world w;
	struct registry_loss loss;
	struct tenant_config list[2] = {tenant_named("shop", "s"), tenant_named("wiki", "w")};
	struct tenants_config y = {.open = true, .tenants = list, .tenant_count = 2};
	struct tenant *wiki, *t;
	world_open(&w, &y);
	assert_int_equal(auth(&w, "default", "w", &wiki), 0);
	use(wiki);
	y.tenant_count = 1;
	assert_int_equal(registry_reload(w.registry, &y, &loss), 0);
	put_key(wiki, "late");
	registry_orphan_told(w.registry, wiki);
	assert_true(tenant_orphaned(wiki));
	assert_int_equal(registry_count(w.registry), 2);
	assert_int_equal(wiki->limits.max_entries, 0);
	/* The secret opens neither the orphan nor a new tenant, and reloads succeed. */
	assert_int_equal(auth(&w, "default", "w", &t), ATOMDB_E_WRONGPASS);
	assert_int_equal(registry_reload(w.registry, &y, &loss), 0);
	assert_int_equal(auth(&w, "default", "w", &t), ATOMDB_E_WRONGPASS);
	assert_true(has_key(wiki, "late"));
	/* The hook was called twice, because the tenant was listed in between. It must not end with the first answer.
	 */
	y.tenant_count = 2;
	assert_int_equal(registry_reload(w.registry, &y, &loss), 0);
	assert_int_equal(auth(&w, "wiki", "w", &t), 0);
	assert_ptr_equal(t, wiki);
	assert_int_equal(wiki->limits.max_entries, 5);
	struct key key = keyspace_key(wiki, 0, SLICE("late"));
	keyspace_delete(wiki, &key, keyspace_find(wiki, &key, LOOKUP_PEEK));
	for (unsigned i = 0; i < 3; i++) {
		y.tenant_count = 1 + i % 2;
		assert_int_equal(registry_reload(w.registry, &y, &loss), 0);
	}
	registry_orphan_told(w.registry, wiki);
	assert_int_equal(registry_count(w.registry), 2);
	registry_orphan_told(w.registry, wiki);
	assert_int_equal(registry_count(w.registry), 1);
	world_close(&w);
}

static void test_an_orphan_that_is_listed_again_keeps_its_keys(void **state) {
	(void)state;
	struct world w;
	struct registry_loss loss;
	struct tenant_config list[2] = {tenant_named("shop", "s"), tenant_named("wiki", "w")};
	struct tenants_config y = {.tenants = list, .tenant_count = 2};
	struct tenant *t;
	world_open(&w, &y);
	assert_int_equal(auth(&w, "wiki", "w", &t), 0);
	put_key(t, "k");
	y.tenant_count = 1;
	world_restart(&w, &y, true);
	/* The operator lists it by its name, with another secret. */
	list[1] = tenant_named("wiki", "other");
	assert_int_equal(registry_put(w.registry, &list[1], &loss), 0);
	assert_int_equal(auth(&w, "wiki", "other", &t), 0);
	assert_true(has_key(t, "k"));
	/* A reload reverts the operator's change, but keeps the keys. */
	assert_int_equal(registry_reload(w.registry, &y, &loss), ATOMDB_E_LOSS);
	expect_loss(&loss, t, 1);
	world_restart(&w, &y, true);
	/* The file lists it by its secret, with another name. */
	list[1] = tenant_named("notes", "other");
	y.tenant_count = 2;
	assert_int_equal(registry_reload(w.registry, &y, &loss), 0);
	assert_int_equal(auth(&w, "notes", "other", &t), 0);
	assert_true(has_key(t, "k"));
	world_close(&w);
}

static void test_an_orphan_ends_with_its_last_key(void **state) {
	(void)state;
	struct world w;
	struct tenant_config wiki = tenant_named("wiki", "w");
	struct tenants_config y = {.tenants = &wiki, .tenant_count = 1};
	struct tenant *t;
	world_open(&w, &y);
	assert_int_equal(auth(&w, "default", "w", &t), 0);
	put_key(t, "page");
	y.tenant_count = 0;
	world_restart(&w, &y, true);
	assert_int_equal(registry_orphans(w.registry), 1);
	struct tenant *orphan = NULL;
	for (unsigned i = 0; i < SHARDS; i++)
		for (uint32_t slot = 1; slot < w.shards[i]->slots; slot++)
			orphan = w.shards[i]->tenants[slot] != NULL ? w.shards[i]->tenants[slot] : orphan;
	assert_non_null(orphan);
	for (unsigned worker = 0; worker < SHARDS; worker++)
		registry_take_up(w.registry, worker);
	assert_int_equal(registry_count(w.registry), 1);
	/* An orphan without clients also ends when its last key expires. */
	struct key key = keyspace_key(orphan, 0, SLICE("page"));
	keyspace_delete(orphan, &key, keyspace_find(orphan, &key, LOOKUP_PEEK));
	for (unsigned worker = 0; worker < SHARDS; worker++)
		registry_take_up(w.registry, worker);
	assert_int_equal(registry_count(w.registry), 0);
	assert_int_equal(registry_orphans(w.registry), 0);
	world_close(&w);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keys_written_during_a_reload_leave_an_orphan),
		cmocka_unit_test(test_an_orphan_that_is_listed_again_keeps_its_keys),
		cmocka_unit_test(test_an_orphan_ends_with_its_last_key),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
