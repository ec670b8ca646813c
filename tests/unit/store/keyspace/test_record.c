/* The record of a tenant in the arena. */
#include <stdio.h>

#include "atomdb/store/relocate.h"
#include "store/keyspace/record.h"
#include "store/store.h"

static void test_places_and_numbers_follow_the_order(void **state) {
	(void)state;
	/* Databases 1 and 14 were swapped. */
	struct tenant_record record = {.order = 0xf1dcba98765432e0};
	record_read_order(&record);
	for (unsigned i = 0; i < TENANT_DATABASES; i++) {
		unsigned place = i == 1 ? 14 : i == 14 ? 1 : i;
		assert_int_equal(record.db_slots[i], place);
		assert_int_equal(record.numbers[place], i);
	}
	record.order = RECORD_ORDER;
	record_read_order(&record);
	for (unsigned i = 0; i < TENANT_DATABASES; i++)
		assert_int_equal(record.db_slots[i], i);
}

static void test_another_identity_is_a_new_record_with_the_same_databases(void **state) {
	(void)state;
	static const struct tenant_identity named = {.digest = {1, 2, 3}, .name = "shop"};
	struct shard *s = store_shard(NULL);
	struct tenant t;
	store_open(s, &t, &(struct tenant_limits){0});
	store_fill(&t, 3, 10, DEADLINE_NONE);
	struct tenant_record before = *t.record;
	ref block = shard_directory(s)[t.slot].record;
	record_write_identity(&t);
	assert_int_equal(shard_directory(s)[t.slot].record, block);
	atomic_store(&t.identity, &named);
	record_write_identity(&t);
	assert_int_not_equal(shard_directory(s)[t.slot].record, block);
	assert_ptr_equal(arena_at(s->arena, shard_directory(s)[t.slot].record), t.record);
	assert_string_equal(t.record->identity.name, "shop");
	assert_memory_equal(t.record->databases, before.databases, sizeof before.databases);
	assert_int_not_equal(t.record->digest_sum, before.digest_sum);
	assert_int_not_equal(t.record->name_sum, 0);
	assert_int_equal(before.name_sum, 0);
	assert_true(store_has(&t, 3, "k9"));
	store_close(s, &t);
}

static void test_counters_that_outlive_a_tenant_come_back_as_they_were(void **state) {
	(void)state;
	struct tenant_counters counted = {0}, restored = {0};
	struct retired_counters kept = {0};
	counter *const outlive[] = {&counted.commands,    &counted.hits,        &counted.misses,
				    &counted.evictions,   &counted.expirations, &counted.throttled,
				    &counted.input_bytes, &counted.output_bytes};
	for (unsigned i = 0; i < sizeof outlive / sizeof *outlive; i++)
		counter_set(outlive[i], i + 1);
	counter_set(&counted.keys, 99);
	record_add_counters(&kept, &counted);
	record_restore_counters(&restored, &kept);
	counter_set(&counted.keys, 0);
	assert_memory_equal(&restored, &counted, sizeof counted);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_places_and_numbers_follow_the_order),
		cmocka_unit_test(test_another_identity_is_a_new_record_with_the_same_databases),
		cmocka_unit_test(test_counters_that_outlive_a_tenant_come_back_as_they_were),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
