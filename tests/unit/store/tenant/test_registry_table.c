#include "atomdb/store/tenant.h"
#include "store/tenant/registry_table.h"
#include "tenants.h"

static struct secret secret_of(const char *text) {
	struct secret s;
	secret_digest(slice_of(text), &s);
	return s;
}

static void test_a_tenant_is_found_by_each_of_its_secrets_until_they_are_removed(void **state) {
	const struct secret secrets[] = {secret_of("a"), secret_of("b")}, none = secret_of("c");
	struct world w;
	(void)state;
	world_open(&w, &(struct tenants_config){.open = true});
	struct registered *g = registry_add(w.registry, &(struct tenant_limits){0});
	registry_add_secrets(w.registry, g, secrets, 2);
	assert_ptr_equal(registry_find_secret(w.registry, &secrets[0]), g);
	assert_ptr_equal(registry_find_secret(w.registry, &secrets[1]), g);
	assert_null(registry_find_secret(w.registry, &none));
	registry_remove_secrets(w.registry, g);
	assert_null(registry_find_secret(w.registry, &secrets[0]));
	assert_null(registry_find_secret(w.registry, &secrets[1]));
	registry_discard(w.registry, g);
	world_close(&w);
}

static void test_a_tenant_is_found_by_its_latest_name(void **state) {
	const struct secret digest = secret_of("a");
	struct world w;
	(void)state;
	world_open(&w, &(struct tenants_config){0});
	struct registered *g = registry_add(w.registry, &(struct tenant_limits){0});
	struct registered *other = registry_add(w.registry, &(struct tenant_limits){0});
	assert_int_equal(registry_set_identity(w.registry, g, "shop", &digest), 0);
	assert_int_equal(registry_set_identity(w.registry, other, "other", &digest), 0);
	const struct tenant_identity *before = tenant_identity(&g->tenant);
	assert_ptr_equal(registry_find_listed(w.registry, "shop"), g);
	assert_int_equal(registry_set_identity(w.registry, g, "news", &digest), 0);
	assert_null(registry_find_listed(w.registry, "shop"));
	assert_ptr_equal(registry_find_listed(w.registry, "news"), g);
	assert_ptr_equal(registry_find_listed(w.registry, "other"), other);
	/* Other threads may still read the former name. */
	assert_string_equal(before->name, "shop");
	registry_discard(w.registry, g);
	assert_null(registry_find_listed(w.registry, "news"));
	registry_discard(w.registry, other);
	world_close(&w);
}

static void test_tenants_without_a_name_count_as_opened(void **state) {
	const struct secret digest = secret_of("a");
	struct world w;
	(void)state;
	world_open(&w, &(struct tenants_config){0});
	struct registry *r = w.registry;
	struct registered *g = registry_add(r, &(struct tenant_limits){0});
	struct registered *named = registry_add(r, &(struct tenant_limits){0});
	assert_int_equal(r->opened, 2);
	assert_int_equal(registry_set_identity(r, g, "", &digest), 0);
	assert_int_equal(r->opened, 2);
	assert_int_equal(registry_set_identity(r, named, "shop", &digest), 0);
	assert_int_equal(registry_set_identity(r, named, "news", &digest), 0);
	assert_int_equal(r->opened, 1);
	registry_discard(r, named);
	assert_int_equal(r->opened, 1);
	registry_discard(r, g);
	assert_int_equal(r->opened, 0);
	assert_int_equal(r->count, 0);
	for (unsigned i = 0; i < SHARDS; i++)
		assert_int_equal(r->assigned[i], 0);
	world_close(&w);
}

static void test_new_tenants_go_to_the_shard_with_the_least_load(void **state) {
	struct world w;
	struct registered *g[2 * SHARDS];
	unsigned placed[SHARDS] = {0};
	(void)state;
	world_open(&w, &(struct tenants_config){0});
	for (unsigned i = 0; i < 2 * SHARDS; i++) {
		g[i] = registry_add(w.registry, &(struct tenant_limits){0});
		placed[g[i]->shard]++;
	}
	for (unsigned i = 0; i < SHARDS; i++)
		assert_int_equal(placed[i], 2);
	for (unsigned i = 0; i < 2 * SHARDS; i++)
		registry_discard(w.registry, g[i]);
	world_close(&w);
}

static void test_a_tenant_gets_its_own_secret_if_no_other_tenant_has_it(void **state) {
	const struct secret digest = secret_of("a"), none = {{0}};
	struct world w;
	(void)state;
	world_open(&w, &(struct tenants_config){0});
	struct registry *r = w.registry;
	struct registered *g = registry_add(r, &(struct tenant_limits){0});
	struct registered *other = registry_add(r, &(struct tenant_limits){0});
	struct registered *open = registry_add(r, &(struct tenant_limits){0});
	assert_int_equal(registry_set_identity(r, g, "shop", &digest), 0);
	assert_int_equal(registry_set_identity(r, other, "other", &digest), 0);
	assert_int_equal(registry_set_identity(r, open, "open", &none), 0);
	assert_true(registry_add_own_secret(r, g));
	assert_false(registry_add_own_secret(r, g));
	assert_false(registry_add_own_secret(r, other));
	assert_false(registry_add_own_secret(r, open));
	assert_ptr_equal(registry_find_secret(r, &digest), g);
	registry_discard(r, g);
	assert_true(registry_add_own_secret(r, other));
	registry_discard(r, other);
	registry_discard(r, open);
	world_close(&w);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_tenant_is_found_by_each_of_its_secrets_until_they_are_removed),
		cmocka_unit_test(test_a_tenant_is_found_by_its_latest_name),
		cmocka_unit_test(test_tenants_without_a_name_count_as_opened),
		cmocka_unit_test(test_new_tenants_go_to_the_shard_with_the_least_load),
		cmocka_unit_test(test_a_tenant_gets_its_own_secret_if_no_other_tenant_has_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
