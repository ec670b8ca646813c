#include "atomdb/store/drop.h"
#include "atomdb/store/tenant.h"
#include "tenants.h"

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

	/* The tenant falls back to the defaults, whether these are written or not. */
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

	/* No tenant has more, or the limit is written. */
	y.defaults = (struct tenant_limits){.max_entries = 50};
	assert_int_equal(registry_reload(w.registry, &y, &loss), 0);
	assert_int_equal(keys_left(listed), 50);
	shop.limits = (struct tenant_limits){.max_entries = 10, .sources = {LIMIT_IN_TENANT}};
	y.defaults = (struct tenant_limits){.max_entries = 20, .sources = {LIMIT_IN_DEFAULTS}};
	assert_int_equal(registry_reload(w.registry, &y, &loss), 0);
	assert_int_equal(keys_left(listed), 10);
	assert_int_equal(keys_left(open), 20);

	/* Without eviction the tenant is full, but loses no key until eviction is on again. */
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
		/* Applies the same file again, and a change of another option. */
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

	/* Until a limit is written, here with its default value. */
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

/* Starts with a tenant that has 50 keys and `former` limits, and with `wanted` limits. */
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
	/* The limit is written. */
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
	/* The tenant has no more keys than that. */
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
		/* Another reload changes nothing, and the worker's update of the defaults changes nothing. */
		assert_int_equal(registry_reload(w.registry, &y, &loss), 0);
		expect_left(t, line);
	}
	/* A limit that is written in the place of the former one is in force. */
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

/* The limits in force under such a release are unknown. */
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

/* A tenant of 50 keys that keeps its former limit of 100 after a start with one of 30. */
static struct tenant *start_with_kept_limit(struct world *w, struct tenants_config *y, struct tenant_config *shop,
					    bool opened) {
	struct tenant *t;
	*shop = tenant_named("shop", "s");
	*y = (struct tenants_config){.open = opened, .tenants = shop, .tenant_count = opened ? 0 : 1};
	shop->limits = y->defaults = (struct tenant_limits){.max_entries = 100, .sources = {LIMIT_IN_DEFAULTS}};
	world_open(w, y);
	assert_int_equal(auth(w, "default", "s", &t), 0);
	put_keys(t, 50);
	shop->limits = y->defaults = (struct tenant_limits){.max_entries = 30};
	world_restart(w, y, true);
	assert_int_equal(auth(w, "default", "s", &t), 0);
	assert_int_equal(t->limits.max_entries, 100);
	w->holds = true;
	return t;
}

static void clear_keys(struct tenant *t) {
	keyspace_flush(t, TENANT_DATABASES);
	while (shard_work(t->shard, 100))
		;
}

static void deliver_one_by_one(struct world *w, struct tenant *t, uint64_t keys) {
	while (w->message_count != 0) {
		world_deliver(w, 1);
		assert_int_equal(keys_left(t), keys);
	}
}

static void test_a_message_that_a_later_reload_overtakes_takes_no_keys(void **state) {
	(void)state;
	for (unsigned opened = 0; opened < 2; opened++) {
		struct world w;
		struct tenants_config y;
		struct tenant_config shop;
		struct registry_loss loss;
		struct tenant *t = start_with_kept_limit(&w, &y, &shop, opened);
		assert_int_equal(registry_reload(w.registry, &y, &loss), 0);
		shop.limits = y.defaults = (struct tenant_limits){.max_entries = 200, .sources = {LIMIT_IN_DEFAULTS}};
		assert_int_equal(registry_reload(w.registry, &y, &loss), 0);
		assert_int_equal(registry_limits(t).max_entries, 200);
		deliver_one_by_one(&w, t, 50);
		assert_int_equal(t->limits.max_entries, 200);
		assert_int_equal(t->record->limits[KEY_LIMIT_ENTRIES], 200 << 2 | LIMIT_IN_DEFAULTS);
		world_close(&w);
	}
}

static void test_an_orphan_that_is_named_again_before_its_worker_knows_loses_no_keys(void **state) {
	(void)state;
	for (unsigned opened = 0; opened < 2; opened++) {
		struct world w;
		struct tenants_config y, none = {.defaults = {.max_entries = 10, .sources = {LIMIT_IN_DEFAULTS}}};
		struct tenant_config shop;
		struct registry_loss loss;
		struct tenant *t = start_with_kept_limit(&w, &y, &shop, opened);
		/* The tenant is empty, so that the reload is not refused. Its clients write keys before the worker
		 * takes the message. */
		clear_keys(t);
		assert_int_equal(registry_reload(w.registry, &none, &loss), 0);
		w.holds = false;
		put_keys(t, 50);
		w.holds = true;
		shop.limits = y.defaults = (struct tenant_limits){.max_entries = 200, .sources = {LIMIT_IN_DEFAULTS}};
		assert_int_equal(registry_reload(w.registry, &y, &loss), 0);
		deliver_one_by_one(&w, t, 50);
		assert_int_equal(t->limits.max_entries, 200);
		assert_int_equal(t->record->limits[KEY_LIMIT_ENTRIES], 200 << 2 | LIMIT_IN_DEFAULTS);
		world_close(&w);
	}
}

static void test_an_opened_tenant_that_keeps_a_limit_exists_until_its_worker_knows(void **state) {
	(void)state;
	struct world w;
	struct tenants_config y;
	struct tenant_config shop;
	struct registry_loss loss;
	struct tenant *t = start_with_kept_limit(&w, &y, &shop, true);
	assert_int_equal(registry_reload(w.registry, &y, &loss), 0);
	clear_keys(t);
	registry_release(w.registry, t);
	assert_int_equal(registry_count(w.registry), 1);
	world_deliver(&w, w.message_count);
	assert_int_equal(w.told_count, 1);
	registry_limits_told(w.registry, w.told[0]);
	assert_int_equal(registry_count(w.registry), 0);
	world_close(&w);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_limit_that_is_not_written_takes_no_keys),
		cmocka_unit_test(test_a_limit_that_is_not_written_is_lifted_at_a_start),
		cmocka_unit_test(test_a_limit_that_lost_its_line_takes_no_keys_at_a_start),
		cmocka_unit_test(test_records_of_an_earlier_release_have_no_limits),
		cmocka_unit_test(test_a_message_that_a_later_reload_overtakes_takes_no_keys),
		cmocka_unit_test(test_an_orphan_that_is_named_again_before_its_worker_knows_loses_no_keys),
		cmocka_unit_test(test_an_opened_tenant_that_keeps_a_limit_exists_until_its_worker_knows),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
