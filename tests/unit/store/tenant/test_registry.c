/* The registry: who gets in where, what a reload does to whom, and that nothing is left behind. */
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "atomdb/store/keyspace.h"
#include "atomdb/store/registry.h"
#include "atomdb/store/shard.h"
#include "atomdb/store/shard_open.h"
#include "atomdb/store/shard_tenants.h"
#include "atomdb/store/tenant.h"
#include "atomdb/util/error.h"
#include "harness.h"
#include "store/keyspace/record.h"

#define SHARDS 3

/* In the place of the libraries': what names and secrets are compared with counts its work. */
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

struct world {
	struct shard *shards[SHARDS];
	struct registry *registry;
	unsigned limits_changed, defaults_changed, removed, orphaned;
	struct tenant *last_removed, *last_orphaned;
	struct tenant_limits last_limits;
};

static void on_limits(void *context, struct tenant *t, const struct tenant_limits *limits) {
	struct world *w = context;
	w->limits_changed++;
	tenant_set_limits(t, limits, 1);
}

static void on_defaults(void *context, const struct tenant_limits *limits) {
	struct world *w = context;
	w->defaults_changed++;
	for (unsigned i = 0; i < SHARDS; i++)
		shard_set_defaults(w->shards[i], limits);
}

static void on_removed(void *context, struct tenant *t) {
	struct world *w = context;
	w->removed++;
	w->last_removed = t;
}

static void on_orphaned(void *context, struct tenant *t) {
	struct world *w = context;
	w->orphaned++;
	w->last_orphaned = t;
}

static struct tenant_config tenant_named(const char *name, const char *secret) {
	struct tenant_config c = {.secret_count = 1, .limits = {.max_entries = 5}};
	snprintf(c.name, sizeof c.name, "%s", name);
	secret_digest(slice_of(secret), &c.secrets[0]);
	return c;
}

static void world_open(struct world *w, const struct tenants_config *y) {
	memset(w, 0, sizeof *w);
	for (unsigned i = 0; i < SHARDS; i++) {
		assert_int_equal(shard_new(&w->shards[i], &(struct shard_options){.id = i, .worker = i}), 0);
		shard_set_now(w->shards[i], 1700000000000, 1);
	}
	struct registry_hooks hooks = {on_limits, on_defaults, on_removed, NULL, on_orphaned, w};
	assert_int_equal(registry_new(&w->registry, w->shards, SHARDS, y, &hooks, NULL), 0);
}

static void world_close(struct world *w) {
	registry_free(w->registry);
	for (unsigned i = 0; i < SHARDS; i++)
		shard_free(w->shards[i]);
}

static int auth(struct world *w, const char *name, const char *secret, struct tenant **t) {
	unsigned worker = 99;
	int error = registry_authenticate(w->registry, slice_of(name), slice_of(secret), t, &worker);
	if (error == 0)
		assert_int_equal(worker, shard_worker((*t)->shard));
	return error;
}

/* What a worker does for the first client of a tenant, and for a key. */
static void use(struct tenant *t) {
	assert_int_equal(shard_open_tenant(t->shard, t), 0);
}

static void test_open_mode(void **state) {
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
	assert_ptr_not_equal(a->shard, b->shard); /* the lightest shard first */
	assert_int_equal(a->limits.max_entries, 30);
	assert_int_equal(strlen(tenant_name(a)), TENANT_FINGERPRINT);
	assert_string_not_equal(tenant_name(a), tenant_name(b));
	assert_int_equal(auth(&w, "somebody", "three", &again), ATOMDB_E_WRONGPASS);
	assert_int_equal(auth(&w, "somebody", "one", &again), ATOMDB_E_WRONGPASS);
	assert_int_equal(auth(&w, "", "one", &again), ATOMDB_E_WRONGPASS); /* an empty name is one that nobody has */
	assert_int_equal(auth(&w, "default", "three", &rest[0]), 0);
	assert_int_equal(auth(&w, "default", "four", &rest[1]), 0);
	assert_int_equal(auth(&w, "default", "five", &rest[2]), ATOMDB_E_FULL);
	/* A tenant without clients and keys makes room for another. */
	use(b);
	registry_release(w.registry, b);
	assert_int_equal(registry_count(w.registry), 3);
	assert_int_equal(auth(&w, "default", "five", &rest[2]), 0);
	assert_int_equal(rest[2]->limits.max_entries, 30);
	world_close(&w);
}

static void test_listed_mode(void **state) {
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
	/* A listed tenant stays, however empty. */
	use(shop);
	registry_release(w.registry, shop);
	assert_int_equal(auth(&w, "default", "s1", &t), 0);
	assert_ptr_equal(t, shop);
	world_close(&w);
}

static void put_key(struct tenant *t, const char *name) {
	use(t);
	struct key key = keyspace_key(t, 0, slice_of(name));
	assert_int_equal(keyspace_set(t, &key, keyspace_find(t, &key, LOOKUP_PEEK), slice_of(name), DEADLINE_NONE), 0);
}

static bool has_key(struct tenant *t, const char *name) {
	use(t);
	struct key key = keyspace_key(t, 0, slice_of(name));
	return keyspace_find(t, &key, LOOKUP_PEEK) != NULL;
}

/* The process ends, saved or not; the next one has the arenas, but other workers. */
static void world_restart(struct world *w, const struct tenants_config *y, bool saved) {
	for (unsigned i = 0; i < SHARDS && saved; i++)
		assert_int_equal(shard_save(w->shards[i]), 0);
	registry_free(w->registry);
	for (unsigned i = 0; i < SHARDS; i++) {
		int fd = dup(shard_fd(w->shards[i]));
		assert_true(fd > 0);
		shard_free(w->shards[i]);
		struct shard_options options = {.id = i, .worker = i % 2, .fd = fd, .now_ms = 1700000000000};
		assert_int_equal(shard_new(&w->shards[i], &options), 0);
		shard_set_now(w->shards[i], 1700000000000, 1);
	}
	struct registry_hooks hooks = {on_limits, on_defaults, on_removed, NULL, on_orphaned, w};
	assert_int_equal(registry_new(&w->registry, w->shards, SHARDS, y, &hooks, NULL), 0);
}

/* Of all shards, once what was dropped is freed. */
static uint64_t entries(struct world *w) {
	uint64_t count = 0;
	for (unsigned i = 0; i < SHARDS; i++) {
		while (shard_work(w->shards[i], 100)) {
		}
		count += counter_get(&shard_counters(w->shards[i])->keys);
	}
	return count;
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
	/* Both shards' tenants are called by one key, which outlives the process and is no hash of the secret alone. */
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
	/* One gets a name by a reload, and another secret. */
	y.tenant_count = 3;
	assert_int_equal(registry_reload(w.registry, &y, NULL), 0);
	secret_digest(SLICE("renewed"), &list[2].secrets[0]);

	world_restart(&w, &y, saved);
	assert_int_equal(registry_count(w.registry), 5); /* not the empty one */
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

	/* A tenant that the configuration no longer has is kept, and nobody opens it. */
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

	/* A tenant that it gives up is gone. */
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

static void test_restart(void **state) {
	(void)state;
	restart(true);
	restart(false);
}

static void test_ambiguous(void **state) {
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

/* Each of so many is looked up in a few steps, and not among all. */
static void test_reload_of_many(void **state) {
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

static void test_reload(void **state) {
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

	/* "keep" and "swap" exchange secrets, "gone" goes, the visitor's secret becomes the tenant "guest". */
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

	/* The secret of the removed one opens a new, empty tenant at once; its worker may take its time. */
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

	/* Closing the doors removes who was not listed. */
	struct tenants_config closed = {.tenants = after + 1, .tenant_count = 2};
	assert_int_equal(registry_reload(w.registry, &closed, NULL), 0);
	assert_int_equal(auth(&w, "default", "g", &t), ATOMDB_E_WRONGPASS);
	assert_int_equal(auth(&w, "default", "x", &t), ATOMDB_E_WRONGPASS);
	registry_orphan_told(w.registry, keep);
	registry_orphan_told(w.registry, w.last_orphaned);
	assert_int_equal(registry_count(w.registry), 2);
	world_close(&w);
}

/* A secret that clients used before it became a second one of a configured tenant opens that one from then on. */
static void test_second_secret_in_use(void **state) {
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

static void test_anonymous(void **state) {
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

/* One tenant at a time, as the operator changes them. */
static void test_put_and_remove(void **state) {
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

/* The operator's tenant is made anew: nobody who used the secret before becomes the operator. */
static void test_operator(void **state) {
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

/* Checks that a reload, or a change of one tenant, would take keys from `t` alone. */
static void expect_loss(const struct registry_loss *loss, const struct tenant *t, uint64_t keys) {
	assert_int_equal(loss->count, 1);
	assert_string_equal(loss->shown[0].name, tenant_name(t));
	assert_int_equal(loss->shown[0].keys, keys);
	assert_int_equal(loss->shown[0].bytes, counter_get(&t->counters.bytes));
	assert_int_equal(loss->keys, keys);
	assert_int_equal(loss->opened, !tenant_listed(t));
}

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
	/* A secret that a client opened with, for a tenant that is there, and for the operator. */
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

static void put_keys(struct tenant *t, unsigned count) {
	for (unsigned i = 0; i < count; i++) {
		char name[16];
		snprintf(name, sizeof name, "k%u", i);
		put_key(t, name);
	}
}

/* Lets the tenant's worker evict all that is above its limits. */
static uint64_t keys_left(struct tenant *t) {
	while (shard_work(t->shard, 100))
		;
	return counter_get(&t->counters.keys);
}

static void expect_limit(const struct registry_loss *loss, const struct tenant *t, enum key_limit limit,
			 uint64_t becomes) {
	assert_int_equal(loss->count, 1);
	assert_int_equal(loss->limited, 1);
	assert_string_equal(loss->shown[0].name, tenant_name(t));
	assert_int_equal(loss->shown[0].keys, counter_get(&t->counters.keys));
	assert_int_equal(loss->shown[0].limit, limit);
	assert_int_equal(loss->shown[0].becomes, becomes);
}

static void test_a_limit_that_is_not_written_takes_no_keys(void **state) {
	(void)state;
	struct world w;
	struct registry_loss loss;
	struct tenant_config shop = tenant_named("shop", "s");
	shop.limits = (struct tenant_limits){.max_entries = 100, .sources = {LIMIT_IN_TENANT}};
	struct tenants_config y = {.open = true, .tenants = &shop, .tenant_count = 1};
	y.defaults.sources[KEY_LIMIT_ENTRIES] = LIMIT_IN_DEFAULTS;
	struct tenant *listed, *open;
	world_open(&w, &y);
	assert_int_equal(auth(&w, "default", "s", &listed), 0);
	assert_int_equal(auth(&w, "default", "o", &open), 0);
	put_keys(listed, 50);
	put_keys(open, 50);

	/* It falls back to the defaults, whether they are written or not. */
	shop.limits = (struct tenant_limits){.max_entries = 40, .sources = {LIMIT_IN_DEFAULTS}};
	assert_int_equal(registry_reload(w.registry, &y, &loss), ATOMDB_E_LOSS);
	expect_limit(&loss, listed, KEY_LIMIT_ENTRIES, 40);
	shop.limits = (struct tenant_limits){.max_memory = 1000, .max_entries = 60};
	assert_int_equal(registry_reload(w.registry, &y, &loss), ATOMDB_E_LOSS);
	expect_limit(&loss, listed, KEY_LIMIT_MEMORY, 1000);
	shop.limits = (struct tenant_limits){.max_entries = 50};
	y.defaults = (struct tenant_limits){.max_entries = 49};
	assert_int_equal(registry_reload(w.registry, &y, &loss), ATOMDB_E_LOSS);
	expect_limit(&loss, open, KEY_LIMIT_ENTRIES, 49);
	assert_int_equal(w.limits_changed + w.defaults_changed, 0);
	assert_int_equal(keys_left(listed), 50);
	assert_int_equal(keys_left(open), 50);

	/* Nobody has more, or it is written. */
	y.defaults = (struct tenant_limits){.max_entries = 50};
	assert_int_equal(registry_reload(w.registry, &y, &loss), 0);
	assert_int_equal(keys_left(listed), 50);
	shop.limits = (struct tenant_limits){.max_entries = 10, .sources = {LIMIT_IN_TENANT}};
	y.defaults = (struct tenant_limits){.max_entries = 20, .sources = {LIMIT_IN_DEFAULTS}};
	assert_int_equal(registry_reload(w.registry, &y, &loss), 0);
	assert_int_equal(keys_left(listed), 10);
	assert_int_equal(keys_left(open), 20);

	/* Without eviction it is full, but loses nothing, until it is evicted again. */
	shop.limits = (struct tenant_limits){.eviction = EVICTION_NONE};
	assert_int_equal(registry_reload(w.registry, &y, &loss), 0);
	shop.limits = (struct tenant_limits){.eviction = EVICTION_LRU};
	assert_int_equal(registry_reload(w.registry, &y, &loss), ATOMDB_E_LOSS);
	assert_int_equal(loss.shown[0].limit, KEY_LIMIT_EVICTION);
	shop.limits.sources[KEY_LIMIT_EVICTION] = LIMIT_IN_TENANT;
	assert_int_equal(registry_reload(w.registry, &y, &loss), 0);
	world_close(&w);
}

static void lift(bool saved) {
	struct world w;
	struct registry_loss loss;
	struct tenant_config list[2] = {tenant_named("shop", "s"), tenant_named("news", "n")};
	struct tenants_config y = {.open = true, .tenants = list, .tenant_count = 2};
	struct tenant *shop, *news, *open, *small;
	list[0].limits = list[1].limits = y.defaults;
	world_open(&w, &y);
	assert_int_equal(auth(&w, "default", "o", &open), 0);
	put_keys(open, 50);
	assert_int_equal(auth(&w, "default", "m", &small), 0);
	put_keys(small, 10);
	assert_int_equal(auth(&w, "default", "s", &shop), 0);
	put_keys(shop, 50);
	assert_int_equal(auth(&w, "default", "n", &news), 0);
	put_keys(news, 50);

	y.defaults.max_entries = list[0].limits.max_entries = 30;
	list[1].limits = (struct tenant_limits){.max_entries = 20, .sources = {LIMIT_IN_TENANT}};
	for (unsigned start = 0; start < 2; start++) {
		world_restart(&w, &y, saved);
		assert_int_equal(auth(&w, "default", "o", &open), 0);
		assert_int_equal(auth(&w, "default", "m", &small), 0);
		assert_int_equal(auth(&w, "default", "s", &shop), 0);
		assert_int_equal(auth(&w, "default", "n", &news), 0);
		/* The same file again, and a change of another option. */
		assert_int_equal(registry_reload(w.registry, &y, &loss), 0);
		assert_int_equal(registry_put(w.registry, &list[0], &loss), 0);
		assert_int_equal(keys_left(open), 50);
		assert_int_equal(open->limits.max_entries, 0);
		assert_int_equal(keys_left(shop), 50);
		assert_int_equal(keys_left(small), 10);
		assert_int_equal(small->limits.max_entries, 30);
		assert_int_equal(keys_left(news), 20);
	}
	put_key(open, "more");
	assert_int_equal(keys_left(open), 51);

	/* Until one is written, here with the value that it has by default. */
	y.defaults.sources[KEY_LIMIT_ENTRIES] = LIMIT_IN_DEFAULTS;
	list[0].limits.sources[KEY_LIMIT_ENTRIES] = LIMIT_IN_TENANT;
	assert_int_equal(registry_put(w.registry, &list[0], &loss), 0);
	assert_int_equal(keys_left(shop), 30);
	assert_int_equal(keys_left(open), 51);
	assert_int_equal(registry_reload(w.registry, &y, &loss), 0);
	assert_int_equal(keys_left(open), 30);
	world_close(&w);
}

static void test_a_limit_that_is_not_written_is_lifted_at_a_start(void **state) {
	(void)state;
	lift(true);
	lift(false);
}

/* A tenant with `former` limits and 50 keys, after a start with `wanted` ones. */
struct lost_line {
	struct tenant_limits former, wanted, left;
	uint64_t keys; /* left */
};

static const struct lost_line lost_lines[] = {
	{.former = {.max_entries = 100, .sources = {LIMIT_IN_TENANT}},
	 .wanted = {.max_entries = 30, .sources = {LIMIT_IN_DEFAULTS}},
	 .left = {.max_entries = 100},
	 .keys = 50},
	{.former = {.max_entries = 0, .sources = {LIMIT_IN_TENANT}},
	 .wanted = {.max_entries = 30, .sources = {LIMIT_IN_DEFAULTS}},
	 .left = {.max_entries = 0},
	 .keys = 50},
	{.former = {.max_entries = 100, .sources = {LIMIT_IN_DEFAULTS}},
	 .wanted = {.max_entries = 30},
	 .left = {.max_entries = 100},
	 .keys = 50},
	{.former = {.max_entries = 50, .eviction = EVICTION_NONE, .sources = {0, 0, LIMIT_IN_TENANT}},
	 .wanted = {.max_entries = 50, .sources = {0, 0, LIMIT_IN_DEFAULTS}},
	 .left = {.max_entries = 50, .eviction = EVICTION_NONE},
	 .keys = 50},
	/* Another release has another default. */
	{.former = {.max_entries = 60}, .wanted = {.max_entries = 40}, .left = {.max_entries = 60}, .keys = 50},
	/* It is written. */
	{.former = {.max_entries = 100, .sources = {LIMIT_IN_DEFAULTS}},
	 .wanted = {.max_entries = 30, .sources = {LIMIT_IN_DEFAULTS}},
	 .left = {.max_entries = 30},
	 .keys = 30},
	{.former = {.max_entries = 100, .sources = {LIMIT_IN_DEFAULTS}},
	 .wanted = {.max_entries = 30, .sources = {LIMIT_IN_TENANT}},
	 .left = {.max_entries = 30},
	 .keys = 30},
	{.former = {.eviction = EVICTION_NONE, .sources = {0, 0, LIMIT_IN_DEFAULTS}},
	 .wanted = {.max_entries = 10, .sources = {LIMIT_IN_DEFAULTS, 0, LIMIT_IN_DEFAULTS}},
	 .left = {.max_entries = 10},
	 .keys = 10},
	/* The tenant has no more. */
	{.former = {.max_entries = 100, .sources = {LIMIT_IN_TENANT}},
	 .wanted = {.max_entries = 50},
	 .left = {.max_entries = 50},
	 .keys = 50},
};

static void expect_left(struct tenant *t, const struct lost_line *line) {
	assert_int_equal(t->limits.max_entries, line->left.max_entries);
	assert_int_equal(t->limits.eviction, line->left.eviction);
	assert_int_equal(keys_left(t), line->keys);
}

static void start_without_a_line(const struct lost_line *line, bool saved, bool opened, bool orphaned) {
	struct world w;
	struct registry_loss loss;
	struct tenant_config shop = tenant_named("shop", "s");
	shop.limits = line->former;
	struct tenants_config y = {.open = opened, .tenants = &shop, .tenant_count = opened ? 0 : 1};
	struct tenant *t;
	y.defaults = line->former;
	world_open(&w, &y);
	assert_int_equal(auth(&w, "default", "s", &t), 0);
	put_keys(t, 50);
	assert_int_equal(counter_get(&t->counters.keys), 50);
	if (orphaned)
		world_restart(&w, &(struct tenants_config){0}, saved);
	shop.limits = y.defaults = line->wanted;
	for (unsigned start = 0; start < 2; start++) {
		if (orphaned && start == 0)
			assert_int_equal(registry_reload(w.registry, &y, &loss), 0);
		else
			world_restart(&w, &y, saved);
		assert_int_equal(auth(&w, "default", "s", &t), 0);
		expect_left(t, line);
		/* Another reload changes nothing, nor does the worker's own look at the defaults. */
		assert_int_equal(registry_reload(w.registry, &y, &loss), 0);
		expect_left(t, line);
	}
	/* Written where the former limit was, it is in force. */
	shop.limits = (struct tenant_limits){.max_entries = 7, .sources = {2, 2, 2}};
	y.defaults = shop.limits;
	assert_int_equal(registry_reload(w.registry, &y, &loss), 0);
	assert_int_equal(t->limits.eviction, EVICTION_LRU);
	assert_int_equal(keys_left(t), 7);
	world_close(&w);
}

static void test_a_limit_that_lost_its_line_takes_no_keys_at_a_start(void **state) {
	(void)state;
	for (size_t i = 0; i < sizeof lost_lines / sizeof lost_lines[0]; i++)
		for (unsigned way = 0; way < 8; way++)
			start_without_a_line(&lost_lines[i], way & 1, way & 2, way & 4);
}

/* The limits that such a release has in force are not known. */
static void test_records_of_an_earlier_release_have_no_limits(void **state) {
	(void)state;
	for (unsigned saved = 0; saved < 2; saved++) {
		struct world w;
		struct tenant_config shop = tenant_named("shop", "s");
		struct tenants_config y = {.tenants = &shop, .tenant_count = 1};
		struct tenant *t;
		shop.limits.max_entries = 100;
		world_open(&w, &y);
		assert_int_equal(auth(&w, "default", "s", &t), 0);
		put_keys(t, 50);
		memset(t->record->limits, 0, sizeof t->record->limits);
		shop.limits = (struct tenant_limits){.max_entries = 30};
		world_restart(&w, &y, saved);
		assert_int_equal(auth(&w, "default", "s", &t), 0);
		assert_int_equal(t->limits.max_entries, 0);
		assert_int_equal(keys_left(t), 50);
		shop.limits.sources[KEY_LIMIT_ENTRIES] = LIMIT_IN_DEFAULTS;
		world_restart(&w, &y, saved);
		assert_int_equal(auth(&w, "default", "s", &t), 0);
		assert_int_equal(keys_left(t), 30);
		world_close(&w);
	}
}

static void test_what_is_given_up_goes(void **state) {
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
	/* One that clients opened, by its fingerprint, in open tenancy; the others stay. */
	memcpy(removed[0], tenant_name(open[0]), TENANT_FINGERPRINT + 1);
	y.removed = (const char(*)[TENANT_NAME_MAX + 1]) removed;
	y.removed_count = 1;
	assert_int_equal(registry_reload(w.registry, &y, &loss), 0);
	assert_ptr_equal(w.last_removed, open[0]);
	registry_remove_done(w.registry, open[0]);
	assert_int_equal(auth(&w, "default", "two", &t), 0);
	assert_ptr_equal(t, open[1]);
	/* All of them, as tenancy is listed. */
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
	/* A name without a tenant is no error: the file keeps the list. */
	assert_int_equal(registry_reload(w.registry, &y, &loss), 0);
	world_close(&w);
}

/* The worker may write to a tenant until it hears that the tenant is unwanted. */
static void test_keys_that_are_written_meanwhile_leave_an_orphan(void **state) {
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
	/* Nobody gets in or opens a new tenant with that secret, and no reload is held up. */
	assert_int_equal(auth(&w, "default", "w", &t), ATOMDB_E_WRONGPASS);
	assert_int_equal(registry_reload(w.registry, &y, &loss), 0);
	assert_int_equal(auth(&w, "default", "w", &t), ATOMDB_E_WRONGPASS);
	assert_true(has_key(wiki, "late"));
	/* Told twice, for it was wanted in between: it must not end with the first. */
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

static void test_renamed(void **state) {
	(void)state;
	struct world w;
	struct registry_loss loss;
	struct tenant_config list[2] = {tenant_named("shop", "s"), tenant_named("blog", "b")};
	struct tenants_config y = {.tenants = list, .tenant_count = 2};
	struct tenant *shop, *t;
	world_open(&w, &y);
	assert_int_equal(auth(&w, "shop", "s", &shop), 0);
	put_key(shop, "k");
	/* By any of its secrets, at a reload. */
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

	/* It and its clients are found by its first secret, at a start. */
	for (unsigned saved = 0; saved < 2; saved++) {
		const struct tenant_identity before = *tenant_identity(shop);
		list[0] = tenant_named(saved == 0 ? "market" : "mall", "s2");
		world_restart(&w, &y, saved != 0);
		assert_int_equal(auth(&w, list[0].name, "s2", &shop), 0);
		assert_true(has_key(shop, "k"));
		assert_int_equal(registry_resume(w.registry, &before, &t), 0);
		assert_ptr_equal(t, shop);
	}
	/* A name that is in the file stays where its keys are, whatever the secrets say. */
	list[0] = tenant_named("mall", "b");
	list[1] = tenant_named("blog", "s2");
	const struct tenant_identity before = *tenant_identity(shop);
	world_restart(&w, &y, true);
	assert_int_equal(auth(&w, "mall", "b", &shop), 0);
	assert_true(has_key(shop, "k"));
	assert_int_equal(registry_resume(w.registry, &before, &t), 0);
	assert_ptr_equal(t, shop);
	/* A client of a tenant that is not there finds none, though another has its name, or its secret, now. */
	list[0] = tenant_named("shop", "new");
	list[1] = tenant_named("mall", "b");
	struct tenant_identity gone = {.name = "blog"};
	memcpy(gone.digest, list[0].secrets[0].digest, sizeof gone.digest);
	world_restart(&w, &y, true);
	assert_int_equal(registry_resume(w.registry, &gone, &t), ATOMDB_E_WRONGPASS);
	world_close(&w);
}

/* A client of an orphan, or of what another tenant has taken the secret of, is nobody's. */
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

static void test_an_orphan_goes_on_when_it_is_named_again(void **state) {
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
	/* By its name, with another secret, by the operator. */
	list[1] = tenant_named("wiki", "other");
	assert_int_equal(registry_put(w.registry, &list[1], &loss), 0);
	assert_int_equal(auth(&w, "wiki", "other", &t), 0);
	assert_true(has_key(t, "k"));
	/* A live change ends with a reload, but not the keys. */
	assert_int_equal(registry_reload(w.registry, &y, &loss), ATOMDB_E_LOSS);
	expect_loss(&loss, t, 1);
	world_restart(&w, &y, true);
	/* By its secret, with another name, in the file. */
	list[1] = tenant_named("notes", "other");
	y.tenant_count = 2;
	assert_int_equal(registry_reload(w.registry, &y, &loss), 0);
	assert_int_equal(auth(&w, "notes", "other", &t), 0);
	assert_true(has_key(t, "k"));
	world_close(&w);
}

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
	/* What expires goes likewise: no client is there. */
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
		cmocka_unit_test(test_open_mode),
		cmocka_unit_test(test_listed_mode),
		cmocka_unit_test(test_restart),
		cmocka_unit_test(test_ambiguous),
		cmocka_unit_test(test_reload),
		cmocka_unit_test(test_reload_of_many),
		cmocka_unit_test(test_second_secret_in_use),
		cmocka_unit_test(test_anonymous),
		cmocka_unit_test(test_put_and_remove),
		cmocka_unit_test(test_operator),
		cmocka_unit_test(test_a_reload_that_would_lose_keys_changes_nothing),
		cmocka_unit_test(test_a_limit_that_is_not_written_takes_no_keys),
		cmocka_unit_test(test_a_limit_that_is_not_written_is_lifted_at_a_start),
		cmocka_unit_test(test_a_limit_that_lost_its_line_takes_no_keys_at_a_start),
		cmocka_unit_test(test_records_of_an_earlier_release_have_no_limits),
		cmocka_unit_test(test_what_is_given_up_goes),
		cmocka_unit_test(test_keys_that_are_written_meanwhile_leave_an_orphan),
		cmocka_unit_test(test_renamed),
		cmocka_unit_test(test_resume_never_crosses_tenants),
		cmocka_unit_test(test_an_orphan_goes_on_when_it_is_named_again),
		cmocka_unit_test(test_an_orphan_ends_with_its_last_key),
		cmocka_unit_test(test_a_look_keeps_nobody_waiting),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
