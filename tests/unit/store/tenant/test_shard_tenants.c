/* The tenants of a shard: opened, adopted, closed. */
#include <stdio.h>
#include <unistd.h>

#include "atomdb/store/shard.h"
#include "atomdb/store/shard_open.h"
#include "atomdb/store/shard_tenants.h"
#include "atomdb/store/tenant.h"
#include "store/store.h"

static void test_a_tenant_is_opened_once(void **state) {
	(void)state;
	struct shard *s = store_shard(NULL);
	struct tenant t;
	store_open(s, &t, &(struct tenant_limits){0});
	const struct tenant_record *record = t.record;
	assert_int_not_equal(t.slot, 0);
	assert_int_equal(shard_open_tenant(s, &t), 0);
	assert_ptr_equal(t.record, record);
	assert_int_equal(counter_get(&shard_counters(s)->tenants), 1);
	store_close(s, &t);
}

static void test_more_tenants_than_the_directory_has_room_for_have_slots_of_their_own(void **state) {
	(void)state;
	enum { MANY = 100 };
	static struct tenant tenants[MANY];
	struct shard *s = store_shard(NULL);
	for (unsigned i = 0; i < MANY; i++) {
		store_open(s, &tenants[i], &(struct tenant_limits){0});
		store_fill(&tenants[i], 0, 1, DEADLINE_NONE);
	}
	for (unsigned i = 0; i < MANY; i++) {
		assert_ptr_equal(s->tenants[tenants[i].slot], &tenants[i]);
		assert_true(store_has(&tenants[i], 0, "k0"));
		assert_int_equal(counter_get(&tenants[i].counters.keys), 1);
	}
	for (unsigned i = 0; i < MANY; i++)
		shard_close_tenant(s, &tenants[i]);
	shard_free(s);
}

static void test_a_slot_is_free_again_once_the_last_entry_of_its_tenant_is(void **state) {
	(void)state;
	struct shard *s = store_shard(NULL);
	struct tenant first, second, third;
	store_open(s, &first, &(struct tenant_limits){0});
	store_fill(&first, 0, 100, DEADLINE_NONE);
	uint32_t slot = first.slot;
	shard_close_tenant(s, &first);
	assert_int_equal(counter_get(&first.counters.bytes), 0);
	store_open(s, &second, &(struct tenant_limits){0});
	assert_int_not_equal(second.slot, slot);
	store_settle(s);
	store_open(s, &third, &(struct tenant_limits){0});
	assert_int_equal(third.slot, slot);
	assert_false(store_has(&third, 0, "k0"));
	shard_close_tenant(s, &second);
	store_close(s, &third);
}

static void test_the_counters_of_a_closed_tenant_are_retired(void **state) {
	(void)state;
	struct shard *s = store_shard(NULL);
	struct tenant t;
	store_open(s, &t, &(struct tenant_limits){0});
	counter_add(&t.counters.commands, 7);
	shard_close_tenant(s, &t);
	assert_int_equal(counter_get(&shard_counters(s)->retired.commands), 7);
	assert_int_equal(counter_get(&shard_counters(s)->tenants), 0);
	shard_free(s);
}

static void test_defaults_are_the_limits_of_tenants_without_a_name(void **state) {
	(void)state;
	static const struct tenant_identity named = {.name = "shop"};
	struct shard *s = store_shard(NULL);
	struct tenant listed, unlisted;
	store_open(s, &unlisted, &(struct tenant_limits){0});
	tenant_init(&listed, s, &(struct tenant_limits){.max_entries = 5});
	atomic_store(&listed.identity, &named);
	assert_int_equal(shard_open_tenant(s, &listed), 0);
	shard_set_defaults(s, &(struct tenant_limits){.max_entries = 77});
	assert_int_equal(unlisted.limits.max_entries, 77);
	assert_int_equal(listed.limits.max_entries, 5);
	shard_close_tenant(s, &listed);
	store_close(s, &unlisted);
}

struct adoption {
	struct tenant *tenant;
	unsigned seen;
};

static void adopt(void *context, uint32_t slot, const struct tenant_identity *identity) {
	struct adoption *a = context;
	assert_string_equal(identity->name, "shop");
	a->seen++;
	shard_adopt_tenant(a->tenant->shard, slot, a->tenant);
}

static void test_an_adopted_tenant_has_its_keys_its_charge_and_its_counters(void **state) {
	(void)state;
	static const struct tenant_identity named = {.name = "shop"};
	struct shard *s = store_shard(NULL);
	struct tenant t;
	tenant_init(&t, s, &(struct tenant_limits){0});
	atomic_store(&t.identity, &named);
	assert_int_equal(shard_open_tenant(s, &t), 0);
	store_fill(&t, 2, 10, STORE_NOW + 5000);
	store_fill(&t, 9, 20, DEADLINE_NONE);
	counter_add(&t.counters.hits, 3);
	uint64_t bytes = counter_get(&t.counters.bytes);
	int fd = dup(shard_fd(s));
	assert_int_equal(shard_save(s), 0);
	shard_free(s);
	assert_int_equal(shard_new(&s, &(struct shard_options){.fd = fd, .now_ms = STORE_NOW}), 0);
	shard_set_now(s, STORE_NOW, 1);
	tenant_init(&t, s, &(struct tenant_limits){0});
	struct adoption adoption = {&t, 0};
	shard_each_tenant(s, adopt, &adoption);
	assert_int_equal(adoption.seen, 1);
	assert_int_equal(counter_get(&t.counters.bytes), bytes);
	assert_int_equal(counter_get(&t.counters.keys), 30);
	assert_int_equal(counter_get(&t.counters.db_keys[2]), 10);
	assert_int_equal(counter_get(&t.counters.db_expiring[2]), 10);
	assert_int_equal(counter_get(&t.counters.db_keys[9]), 20);
	assert_int_equal(counter_get(&t.counters.hits), 3);
	/* The adopted tenant is not visited again. */
	shard_each_tenant(s, adopt, &adoption);
	assert_int_equal(adoption.seen, 1);
	store_close(s, &t);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_tenant_is_opened_once),
		cmocka_unit_test(test_more_tenants_than_the_directory_has_room_for_have_slots_of_their_own),
		cmocka_unit_test(test_a_slot_is_free_again_once_the_last_entry_of_its_tenant_is),
		cmocka_unit_test(test_the_counters_of_a_closed_tenant_are_retired),
		cmocka_unit_test(test_defaults_are_the_limits_of_tenants_without_a_name),
		cmocka_unit_test(test_an_adopted_tenant_has_its_keys_its_charge_and_its_counters),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
