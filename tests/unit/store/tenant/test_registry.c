/* The registry: the tenants that secrets open, and the tenants that the next process finds. */
#include "atomdb/store/shard_open.h"
#include "atomdb/store/tenant.h"
#include "tenants.h"

static void test_an_unknown_secret_makes_a_tenant_in_open_mode(void **state) {
	(void)state;
	struct world w;
	struct tenants_config y = {.open = true, .max_tenants = 4, .defaults = {.max_entries = 30}};
	struct tenant *a, *b, *again, *rest[3];
	world_open(&w, &y);
	assert_int_equal(auth(&w, "default", "one", &a), 0);
	assert_int_equal(auth(&w, "default", "two", &b), 0);
	assert_int_equal(auth(&w, "default", "one", &again), 0);
	assert_ptr_equal(a, again);
	assert_ptr_not_equal(a, b);
	assert_ptr_not_equal(a->shard, b->shard); /* the shard with the least load first */
	assert_int_equal(a->limits.max_entries, 30);
	assert_int_equal(strlen(tenant_name(a)), TENANT_FINGERPRINT);
	assert_string_not_equal(tenant_name(a), tenant_name(b));
	assert_int_equal(auth(&w, "somebody", "three", &again), ATOMDB_E_WRONGPASS);
	assert_int_equal(auth(&w, "somebody", "one", &again), ATOMDB_E_WRONGPASS);
	assert_int_equal(auth(&w, "", "one", &again), ATOMDB_E_WRONGPASS); /* no tenant has an empty name */
	assert_int_equal(auth(&w, "default", "three", &rest[0]), 0);
	assert_int_equal(auth(&w, "default", "four", &rest[1]), 0);
	assert_int_equal(auth(&w, "default", "five", &rest[2]), ATOMDB_E_FULL);
	/* A tenant without clients and keys ends and makes room for another. */
	use(b);
	registry_release(w.registry, b);
	assert_int_equal(registry_count(w.registry), 3);
	assert_int_equal(auth(&w, "default", "five", &rest[2]), 0);
	assert_int_equal(rest[2]->limits.max_entries, 30);
	world_close(&w);
}

static void test_a_secret_that_is_too_long_opens_no_tenant(void **state) {
	(void)state;
	struct world w;
	struct tenants_config y = {.open = true, .max_tenants = 4};
	struct tenant *t;
	unsigned worker;
	char text[SECRET_MAX + 1];
	memset(text, 'x', sizeof(text));
	world_open(&w, &y);
	assert_int_equal(
		registry_authenticate(w.registry, SLICE("default"), (struct slice){text, SECRET_MAX}, &t, &worker), 0);
	assert_int_equal(
		registry_authenticate(w.registry, SLICE("default"), (struct slice){text, sizeof(text)}, &t, &worker),
		ATOMDB_E_WRONGPASS);
	assert_int_equal(registry_kind(w.registry, SLICE("default"), (struct slice){text, sizeof(text)}), SECRET_WRONG);
	world_close(&w);
}

static void test_only_listed_secrets_open_tenants_in_listed_mode(void **state) {
	(void)state;
	struct world w;
	struct tenant_config list[2] = {tenant_named("shop", "s1"), tenant_named("blog", "b1")};
	struct tenants_config y = {.tenants = list, .tenant_count = 2};
	struct tenant *shop, *t;
	secret_digest(SLICE("s2"), &list[0].secrets[1]);
	list[0].secret_count = 2;
	world_open(&w, &y);
	assert_int_equal(auth(&w, "default", "s1", &shop), 0);
	assert_string_equal(tenant_name(shop), "shop");
	assert_int_equal(auth(&w, "shop", "s2", &t), 0);
	assert_ptr_equal(t, shop);
	assert_int_equal(auth(&w, "blog", "s1", &t), ATOMDB_E_WRONGPASS);
	assert_int_equal(auth(&w, "default", "unknown", &t), ATOMDB_E_WRONGPASS);
	assert_int_equal(auth(&w, "default", "", &t), ATOMDB_E_WRONGPASS);
	unsigned worker;
	assert_int_equal(registry_anonymous(w.registry, &t, &worker), ATOMDB_E_WRONGPASS);
	/* A listed tenant stays even if it is empty. */
	use(shop);
	registry_release(w.registry, shop);
	assert_int_equal(auth(&w, "default", "s1", &t), 0);
	assert_ptr_equal(t, shop);
	world_close(&w);
}

static void restart(bool saved) {
	struct world w;
	struct tenant_config list[3] = {tenant_named("shop", "s1"), tenant_named("blog", "b1"),
					tenant_named("new", "one")};
	struct tenants_config y = {.open = true, .tenants = list, .tenant_count = 2, .anonymous = "public"};
	struct tenant *t, *first;
	unsigned worker;
	world_open(&w, &y);
	const char *secrets[] = {"s1", "b1", "one", "two", "empty"};
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(auth(&w, "default", secrets[i], &t), 0);
		put_key(t, secrets[i]);
	}
	/* The fingerprints of both shards' tenants have one key, which outlives the process. They are no plain hashes
	 * of the secrets. */
	struct secret digest;
	char plain[TENANT_FINGERPRINT + 1], fingerprint[TENANT_FINGERPRINT + 1];
	secret_digest(SLICE("two"), &digest);
	sodium_bin2hex(plain, sizeof plain, digest.digest, TENANT_FINGERPRINT / 2);
	memcpy(fingerprint, t->fingerprint, sizeof fingerprint);
	assert_string_not_equal(fingerprint, plain);
	assert_int_equal(auth(&w, "default", "empty", &t), 0);
	use(t);
	assert_int_equal(registry_anonymous(w.registry, &t, &worker), 0);
	put_key(t, "anybody's");
	counter_add(&t->counters.commands, 7);
	/* A reload gives one tenant a name and another secret. */
	y.tenant_count = 3;
	assert_int_equal(registry_reload(w.registry, &y, NULL), 0);
	secret_digest(SLICE("renewed"), &list[2].secrets[0]);

	world_restart(&w, &y, saved);
	assert_int_equal(registry_count(w.registry), 5); /* not the empty tenant */
	for (unsigned i = 0; i < 4; i++) {
		if (i == 2)
			continue;
		assert_int_equal(auth(&w, "default", secrets[i], &t), 0);
		assert_true(has_key(t, secrets[i]));
		assert_int_equal(counter_get(&t->counters.keys), 1);
	}
	assert_string_equal(tenant_name(t), fingerprint);
	assert_int_equal(auth(&w, "new", "renewed", &t), 0);
	assert_true(has_key(t, "one"));
	assert_int_equal(t->limits.max_entries, 5);
	assert_int_equal(registry_anonymous(w.registry, &t, &worker), 0);
	assert_true(has_key(t, "anybody's"));
	assert_int_equal(counter_get(&t->counters.commands), saved ? 7 : 0);

	/* A tenant that the configuration no longer has is kept, and no secret opens it. */
	struct tenants_config narrow = {.tenants = list, .tenant_count = 1, .defaults = {.max_entries = 1}};
	world_restart(&w, &narrow, saved);
	assert_int_equal(registry_count(w.registry), 5);
	assert_int_equal(entries(&w), 5);
	assert_int_equal(auth(&w, "default", "s1", &first), 0);
	assert_true(has_key(first, "s1"));
	assert_int_equal(auth(&w, "blog", "b1", &t), ATOMDB_E_WRONGPASS);
	assert_int_equal(auth(&w, "default", "two", &t), ATOMDB_E_WRONGPASS);
	world_restart(&w, &y, saved);
	assert_int_equal(auth(&w, "default", "two", &t), 0);
	assert_true(has_key(t, "two"));
	assert_int_equal(auth(&w, "blog", "b1", &t), 0);
	assert_true(has_key(t, "b1"));

	/* A tenant that the configuration gives up is gone. */
	static const char removed[][TENANT_NAME_MAX + 1] = {TENANT_ALL_OPENED, "blog", "new", "nobody", "public"};
	narrow.removed = removed;
	narrow.removed_count = 5;
	world_restart(&w, &narrow, saved);
	assert_int_equal(registry_count(w.registry), 1);
	assert_int_equal(entries(&w), 1);
	world_restart(&w, &y, saved);
	assert_int_equal(auth(&w, "default", "two", &t), 0);
	assert_false(has_key(t, "two"));
	world_close(&w);
}

static void test_tenants_come_back_after_a_restart(void **state) {
	(void)state;
	restart(true);
	restart(false);
}

static void test_two_tenants_of_one_name_or_secret_are_refused(void **state) {
	(void)state;
	struct shard *s;
	struct registry *r = NULL;
	struct tenant_config list[2] = {tenant_named("a", "same"), tenant_named("b", "same")};
	struct tenants_config y = {.tenants = list, .tenant_count = 2};
	assert_int_equal(shard_new(&s, &(struct shard_options){0}), 0);
	assert_int_equal(registry_new(&r, &s, 1, &y, NULL, NULL), ATOMDB_E_RANGE);
	list[1] = tenant_named("a", "other");
	assert_int_equal(registry_new(&r, &s, 1, &y, NULL, NULL), ATOMDB_E_RANGE);
	assert_null(r);
	shard_free(s);
}

static void test_clients_without_auth_have_the_anonymous_tenant(void **state) {
	(void)state;
	struct world w;
	struct tenants_config y = {.anonymous = "public", .defaults = {.max_entries = 9}, .named = {.max_entries = 3}};
	struct tenant *t, *again;
	unsigned worker;
	world_open(&w, &y);
	assert_int_equal(registry_anonymous(w.registry, &t, &worker), 0);
	assert_string_equal(tenant_name(t), "public");
	assert_int_equal(t->limits.max_entries, 3);
	use(t);
	registry_release(w.registry, t);
	y.named.max_entries = 4;
	assert_int_equal(registry_reload(w.registry, &y, NULL), 0);
	assert_int_equal(registry_anonymous(w.registry, &again, &worker), 0);
	assert_ptr_equal(t, again);
	assert_int_equal(t->limits.max_entries, 4);
	y.anonymous[0] = '\0';
	assert_int_equal(registry_reload(w.registry, &y, NULL), 0);
	assert_int_equal(registry_anonymous(w.registry, &again, &worker), ATOMDB_E_WRONGPASS);
	assert_int_equal(w.orphaned, 1);
	registry_orphan_told(w.registry, t);
	assert_int_equal(registry_count(w.registry), 0);
	world_close(&w);
}

/* The operator's tenant is a new one: a client that used the secret before does not become the operator. */
static void test_a_clients_tenant_never_becomes_the_operators(void **state) {
	(void)state;
	struct world w;
	struct secret admin;
	struct tenants_config y = {.open = true, .defaults = {.max_entries = 3}};
	struct tenant *stranger, *t;
	secret_digest(SLICE("root"), &admin);
	world_open(&w, &y);
	assert_int_equal(auth(&w, "default", "root", &stranger), 0);
	use(stranger);
	assert_false(stranger->is_operator);
	y.admin = &admin;
	assert_int_equal(registry_reload(w.registry, &y, NULL), 0);
	assert_ptr_equal(w.last_orphaned, stranger);
	assert_int_equal(auth(&w, "default", "root", &t), 0);
	assert_true(t->is_operator);
	assert_string_equal(tenant_name(t), TENANT_OPERATOR);
	assert_int_equal(t->limits.max_entries, 0);
	struct tenant_config thief = tenant_named("thief", "root");
	assert_int_equal(registry_put(w.registry, &thief, NULL), ATOMDB_E_RANGE);
	y.tenants = &thief;
	y.tenant_count = 1;
	assert_int_equal(registry_reload(w.registry, &y, NULL), ATOMDB_E_RANGE);
	y.tenant_count = 0;
	assert_int_equal(registry_reload(w.registry, &y, NULL), 0);
	assert_int_equal(t->limits.max_entries, 0);
	y.admin = NULL;
	assert_int_equal(registry_reload(w.registry, &y, NULL), 0);
	assert_ptr_equal(w.last_orphaned, t);
	registry_orphan_told(w.registry, stranger);
	registry_orphan_told(w.registry, t);
	assert_int_equal(registry_count(w.registry), 0);
	world_close(&w);
}

/* A client of an orphan, or of a tenant whose secret another tenant has now, finds no tenant. */
static void test_resume_never_crosses_tenants(void **state) {
	(void)state;
	struct world w;
	struct tenant_config shop = tenant_named("shop", "s");
	struct tenants_config y = {.open = true, .tenants = &shop, .tenant_count = 1};
	struct tenant *opened, *t;
	world_open(&w, &y);
	assert_int_equal(auth(&w, "default", "visitor", &opened), 0);
	put_key(opened, "visitor's");
	assert_int_equal(auth(&w, "shop", "s", &t), 0);
	put_key(t, "shop's");
	const struct tenant_identity visitor = *tenant_identity(opened), before = *tenant_identity(t);
	secret_digest(SLICE("visitor"), &shop.secrets[0]);
	world_restart(&w, &y, true);
	assert_int_equal(registry_resume(w.registry, &visitor, &t), ATOMDB_E_WRONGPASS);
	assert_int_equal(registry_resume(w.registry, &before, &t), 0);
	assert_true(has_key(t, "shop's"));
	assert_int_equal(entries(&w), 2);
	y.tenant_count = 0;
	world_restart(&w, &y, true);
	assert_int_equal(registry_resume(w.registry, &before, &t), ATOMDB_E_WRONGPASS);
	assert_int_equal(entries(&w), 2);
	world_close(&w);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_an_unknown_secret_makes_a_tenant_in_open_mode),
		cmocka_unit_test(test_a_secret_that_is_too_long_opens_no_tenant),
		cmocka_unit_test(test_only_listed_secrets_open_tenants_in_listed_mode),
		cmocka_unit_test(test_tenants_come_back_after_a_restart),
		cmocka_unit_test(test_two_tenants_of_one_name_or_secret_are_refused),
		cmocka_unit_test(test_clients_without_auth_have_the_anonymous_tenant),
		cmocka_unit_test(test_a_clients_tenant_never_becomes_the_operators),
		cmocka_unit_test(test_resume_never_crosses_tenants),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
