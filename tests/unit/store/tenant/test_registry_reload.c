#include <errno.h>
#include <stdlib.h>

#include "atomdb/store/tenant.h"
#include "tenants.h"

/* Replaces library functions to count the comparisons of names and secrets. */
static uint64_t comparisons;

int strcmp(const char *a, const char *b) {
	comparisons++;
	while (*a != '\0' && *a == *b)
		a++, b++;
	return (unsigned char)*a - (unsigned char)*b;
}

int sodium_memcmp(const void *a, const void *b, size_t len) {
	comparisons++;
	return memcmp(a, b, len) == 0 ? 0 : -1;
}

/* A lookup takes a few steps, however many tenants there are. */
static void test_a_reload_looks_each_tenant_up_in_a_few_steps(void **state) {
	(void)state;
	enum { MANY = 10000 };
	struct world w;
	struct tenant *t;
	struct tenant_config *list = calloc(MANY, sizeof *list);
	assert_non_null(list);
	for (unsigned i = 0; i < MANY; i++) {
		char name[32];
		snprintf(name, sizeof name, "tenant-%u", i);
		list[i] = tenant_named(name, name);
	}
	struct tenants_config y = {.tenants = list, .tenant_count = MANY};
	world_open(&w, &y);
	comparisons = 0;
	y.tenant_count--;
	assert_int_equal(registry_reload(w.registry, &y, NULL), 0);
	assert_in_range(comparisons, 1, 50 * MANY);
	assert_int_equal(w.limits_changed, MANY);
	assert_int_equal(w.orphaned, 1);
	assert_int_equal(auth(&w, "tenant-9998", "tenant-9998", &t), 0);
	assert_int_equal(auth(&w, "tenant-9999", "tenant-9999", &t), ATOMDB_E_WRONGPASS);
	world_close(&w);
	free(list);
}

static void test_a_reload_adds_changes_and_removes_tenants(void **state) {
	(void)state;
	struct world w;
	struct tenant_config before[3] = {tenant_named("keep", "k"), tenant_named("gone", "g"),
					  tenant_named("swap", "x")};
	struct tenants_config y = {.open = true, .tenants = before, .tenant_count = 3, .defaults = {.max_entries = 30}};
	struct tenant *keep, *gone, *swap, *open, *t;
	world_open(&w, &y);
	assert_int_equal(auth(&w, "default", "k", &keep), 0);
	assert_int_equal(auth(&w, "default", "g", &gone), 0);
	assert_int_equal(auth(&w, "default", "x", &swap), 0);
	assert_int_equal(auth(&w, "default", "visitor", &open), 0);
	use(open);
	use(gone);

	/* "keep" and "swap" exchange secrets, "gone" is removed, and the visitor's secret now opens the tenant "guest".
	 */
	struct tenant_config after[3] = {tenant_named("keep", "x"), tenant_named("swap", "k"),
					 tenant_named("guest", "visitor")};
	after[0].limits.max_entries = 77;
	y.tenants = after;
	y.defaults.max_entries = 40;
	assert_int_equal(registry_reload(w.registry, &y, NULL), 0);
	assert_int_equal(w.orphaned, 1);
	assert_ptr_equal(w.last_orphaned, gone);
	assert_int_equal(auth(&w, "keep", "x", &t), 0);
	assert_ptr_equal(t, keep);
	assert_int_equal(keep->limits.max_entries, 77);
	assert_int_equal(auth(&w, "swap", "k", &t), 0);
	assert_ptr_equal(t, swap);
	assert_int_equal(auth(&w, "guest", "visitor", &t), 0);
	assert_ptr_equal(t, open);
	assert_string_equal(tenant_name(open), "guest");
	assert_int_equal(open->limits.max_entries, 5);

	/* The secret of the removed tenant opens a new, empty tenant at once, before the worker has ended the old one.
	 */
	assert_int_equal(auth(&w, "default", "g", &t), 0);
	assert_ptr_not_equal(t, gone);
	registry_release(w.registry, gone);
	registry_orphan_told(w.registry, gone);
	assert_int_equal(registry_count(w.registry), 4);
	assert_int_equal(auth(&w, "default", "g", &t), 0);

	/* An ambiguous reload changes nothing. */
	after[0] = tenant_named("swap", "z");
	assert_int_equal(registry_reload(w.registry, &y, NULL), ATOMDB_E_RANGE);
	assert_int_equal(auth(&w, "keep", "x", &t), 0);

	/* Listed mode ends the tenants that are not listed. */
	struct tenants_config closed = {.tenants = after + 1, .tenant_count = 2};
	assert_int_equal(registry_reload(w.registry, &closed, NULL), 0);
	assert_int_equal(auth(&w, "default", "g", &t), ATOMDB_E_WRONGPASS);
	assert_int_equal(auth(&w, "default", "x", &t), ATOMDB_E_WRONGPASS);
	registry_orphan_told(w.registry, keep);
	registry_orphan_told(w.registry, w.last_orphaned);
	assert_int_equal(registry_count(w.registry), 2);
	world_close(&w);
}

/* A secret that clients used, and that becomes the second one of a configured tenant, opens that tenant from then on.
 */
static void test_a_second_secret_may_be_one_that_a_client_used(void **state) {
	(void)state;
	struct world w;
	struct tenants_config y = {.open = true};
	struct tenant *first, *second, *t;
	world_open(&w, &y);
	assert_int_equal(auth(&w, "default", "old", &first), 0);
	assert_int_equal(auth(&w, "default", "new", &second), 0);
	use(first);
	use(second);
	struct tenant_config c = tenant_named("shop", "old");
	secret_digest(SLICE("new"), &c.secrets[1]);
	c.secret_count = 2;
	y.tenants = &c;
	y.tenant_count = 1;
	assert_int_equal(registry_reload(w.registry, &y, NULL), 0);
	assert_int_equal(w.orphaned, 1);
	assert_ptr_equal(w.last_orphaned, second);
	assert_int_equal(auth(&w, "shop", "old", &t), 0);
	assert_ptr_equal(t, first);
	assert_int_equal(auth(&w, "shop", "new", &t), 0);
	assert_ptr_equal(t, first);
	registry_orphan_told(w.registry, second);
	assert_int_equal(registry_count(w.registry), 1);
	world_close(&w);
}

/* Changes one tenant at a time, as the operator does. */
static void test_one_tenant_is_added_changed_and_removed(void **state) {
	(void)state;
	struct world w;
	struct tenants_config y = {.open = true};
	struct tenant *t, *again;
	world_open(&w, &y);
	struct tenant_config shop = tenant_named("shop", "one"), other = tenant_named("other", "one");
	assert_int_equal(auth(&w, "default", "one", &t), 0);
	use(t);
	assert_int_equal(registry_put(w.registry, &shop, NULL), 0);
	assert_int_equal(auth(&w, "shop", "one", &again), 0);
	assert_ptr_equal(t, again);
	assert_int_equal(t->limits.max_entries, 5);
	assert_int_equal(registry_put(w.registry, &other, NULL), ATOMDB_E_RANGE);
	shop.limits.max_entries = 7;
	secret_digest(SLICE("two"), &shop.secrets[0]);
	assert_int_equal(registry_put(w.registry, &shop, NULL), 0);
	assert_int_equal(t->limits.max_entries, 7);
	assert_int_equal(registry_put(w.registry, &other, NULL), 0);
	assert_int_equal(auth(&w, "default", "two", &again), 0);
	assert_ptr_equal(t, again);
	assert_int_equal(registry_remove(w.registry, SLICE("nobody")), -ENOENT);
	assert_int_equal(registry_remove(w.registry, SLICE("shop")), 0);
	assert_ptr_equal(w.last_removed, t);
	assert_int_equal(registry_remove(w.registry, SLICE("shop")), -ENOENT);
	registry_remove_done(w.registry, t);
	assert_int_equal(registry_count(w.registry), 1);
	world_close(&w);
}

/* Asserts that a reload, or a change of one tenant, would take keys from `t` only. */
static void test_a_reload_that_would_lose_keys_changes_nothing(void **state) {
	(void)state;
	struct world w;
	struct registry_loss loss;
	struct secret admin;
	struct tenant_config list[3] = {tenant_named("shop", "s"), tenant_named("blog", "b"),
					tenant_named("empty", "e")};
	struct tenants_config y = {.open = true, .tenants = list, .tenant_count = 3, .anonymous = "public"};
	struct tenant *blog, *public, *open, *t;
	unsigned worker;
	secret_digest(SLICE("o"), &admin);
	world_open(&w, &y);
	assert_int_equal(auth(&w, "default", "b", &blog), 0);
	assert_int_equal(auth(&w, "default", "o", &open), 0);
	assert_int_equal(registry_anonymous(w.registry, &public, &worker), 0);
	put_key(blog, "k");
	put_key(public, "k");
	put_key(public, "l");
	put_key(open, "k");

	struct tenants_config fewer = y, closed = y, nameless = y, renewed = y, admitted = y;
	fewer.tenant_count = 1;
	assert_int_equal(registry_reload(w.registry, &fewer, &loss), ATOMDB_E_LOSS);
	expect_loss(&loss, blog, 1);
	closed.open = false;
	assert_int_equal(registry_reload(w.registry, &closed, &loss), ATOMDB_E_LOSS);
	expect_loss(&loss, open, 1);
	nameless.anonymous[0] = '\0';
	assert_int_equal(registry_reload(w.registry, &nameless, &loss), ATOMDB_E_LOSS);
	expect_loss(&loss, public, 2);
	/* Gives the secret of a client's tenant to an existing tenant, and to the operator. */
	struct tenant_config other[3] = {tenant_named("shop", "o"), list[1], list[2]};
	renewed.tenants = other;
	assert_int_equal(registry_reload(w.registry, &renewed, &loss), ATOMDB_E_LOSS);
	expect_loss(&loss, open, 1);
	assert_int_equal(registry_put(w.registry, &other[0], &loss), ATOMDB_E_LOSS);
	expect_loss(&loss, open, 1);
	admitted.admin = &admin;
	assert_int_equal(registry_reload(w.registry, &admitted, &loss), ATOMDB_E_LOSS);
	expect_loss(&loss, open, 1);
	struct tenants_config nothing = {0};
	assert_int_equal(registry_reload(w.registry, &nothing, &loss), ATOMDB_E_LOSS);
	assert_int_equal(loss.count, 3);
	assert_int_equal(loss.keys, 4);

	assert_int_equal(w.removed + w.orphaned + w.limits_changed + w.defaults_changed, 0);
	assert_int_equal(auth(&w, "blog", "b", &t), 0);
	assert_int_equal(auth(&w, "empty", "e", &t), 0);
	assert_int_equal(auth(&w, "shop", "s", &t), 0);
	assert_int_equal(auth(&w, "default", "o", &t), 0);
	assert_int_equal(registry_anonymous(w.registry, &t, &worker), 0);
	world_close(&w);
}

static void test_tenants_that_are_given_up_end(void **state) {
	(void)state;
	struct world w;
	struct registry_loss loss;
	struct tenant_config list[2] = {tenant_named("shop", "s"), tenant_named("blog", "b")};
	struct tenants_config y = {.open = true, .tenants = list, .tenant_count = 2};
	struct tenant *blog, *open[2], *t;
	char removed[2][TENANT_NAME_MAX + 1] = {"blog"};
	world_open(&w, &y);
	assert_int_equal(auth(&w, "default", "b", &blog), 0);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(auth(&w, "default", i == 0 ? "one" : "two", &open[i]), 0);
	put_key(blog, "k");
	put_key(open[0], "k");
	put_key(open[1], "k");
	/* In open mode, gives up one tenant that a client opened, by its fingerprint. The others stay. */
	memcpy(removed[0], tenant_name(open[0]), TENANT_FINGERPRINT + 1);
	y.removed = (const char(*)[TENANT_NAME_MAX + 1]) removed;
	y.removed_count = 1;
	assert_int_equal(registry_reload(w.registry, &y, &loss), 0);
	assert_ptr_equal(w.last_removed, open[0]);
	registry_remove_done(w.registry, open[0]);
	assert_int_equal(auth(&w, "default", "two", &t), 0);
	assert_ptr_equal(t, open[1]);
	/* In listed mode, gives up all tenants that clients opened. */
	strcpy(removed[0], TENANT_ALL_OPENED);
	strcpy(removed[1], "blog");
	y.open = false;
	y.removed_count = 2;
	y.tenant_count = 1;
	assert_int_equal(registry_reload(w.registry, &y, &loss), 0);
	assert_int_equal(w.removed, 3);
	registry_remove_done(w.registry, open[1]);
	registry_remove_done(w.registry, blog);
	assert_int_equal(registry_count(w.registry), 1);
	assert_int_equal(entries(&w), 0);
	/* A name without a tenant is no error, because the file keeps old names. */
	assert_int_equal(registry_reload(w.registry, &y, &loss), 0);
	world_close(&w);
}

static void test_a_renamed_tenant_keeps_its_keys(void **state) {
	(void)state;
	struct world w;
	struct registry_loss loss;
	struct tenant_config list[2] = {tenant_named("shop", "s"), tenant_named("blog", "b")};
	struct tenants_config y = {.tenants = list, .tenant_count = 2};
	struct tenant *shop, *t;
	world_open(&w, &y);
	assert_int_equal(auth(&w, "shop", "s", &shop), 0);
	put_key(shop, "k");
	/* A reload finds the tenant by any of its secrets. */
	secret_digest(SLICE("s2"), &list[0].secrets[1]);
	list[0].secret_count = 2;
	assert_int_equal(registry_reload(w.registry, &y, &loss), 0);
	list[0] = tenant_named("store", "s2");
	assert_int_equal(registry_reload(w.registry, &y, &loss), 0);
	assert_int_equal(w.orphaned + w.removed, 0);
	assert_int_equal(auth(&w, "shop", "s2", &t), ATOMDB_E_WRONGPASS);
	assert_int_equal(auth(&w, "store", "s2", &t), 0);
	assert_ptr_equal(t, shop);
	assert_string_equal(tenant_name(t), "store");

	/* A start finds the tenant and its clients by its first secret. */
	for (unsigned saved = 0; saved < 2; saved++) {
		const struct tenant_identity before = *tenant_identity(shop);
		list[0] = tenant_named(saved == 0 ? "market" : "mall", "s2");
		world_restart(&w, &y, saved != 0);
		assert_int_equal(auth(&w, list[0].name, "s2", &shop), 0);
		assert_true(has_key(shop, "k"));
		assert_int_equal(registry_resume(w.registry, &before, &t), 0);
		assert_ptr_equal(t, shop);
	}
	/* A tenant whose name is in the file keeps its keys, whatever its secrets are. */
	list[0] = tenant_named("mall", "b");
	list[1] = tenant_named("blog", "s2");
	const struct tenant_identity before = *tenant_identity(shop);
	world_restart(&w, &y, true);
	assert_int_equal(auth(&w, "mall", "b", &shop), 0);
	assert_true(has_key(shop, "k"));
	assert_int_equal(registry_resume(w.registry, &before, &t), 0);
	assert_ptr_equal(t, shop);
	/* A client of a tenant that is gone finds no tenant, even if another tenant has its name or its secret now. */
	list[0] = tenant_named("shop", "new");
	list[1] = tenant_named("mall", "b");
	struct tenant_identity gone = {.name = "blog"};
	memcpy(gone.digest, list[0].secrets[0].digest, sizeof gone.digest);
	world_restart(&w, &y, true);
	assert_int_equal(registry_resume(w.registry, &gone, &t), ATOMDB_E_WRONGPASS);
	world_close(&w);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_reload_looks_each_tenant_up_in_a_few_steps),
		cmocka_unit_test(test_a_reload_adds_changes_and_removes_tenants),
		cmocka_unit_test(test_a_second_secret_may_be_one_that_a_client_used),
		cmocka_unit_test(test_one_tenant_is_added_changed_and_removed),
		cmocka_unit_test(test_a_reload_that_would_lose_keys_changes_nothing),
		cmocka_unit_test(test_tenants_that_are_given_up_end),
		cmocka_unit_test(test_a_renamed_tenant_keeps_its_keys),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
