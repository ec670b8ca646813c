/* Counts and charges of entries and tables. */
#include <stdio.h>

#include "atomdb/store/relocate.h"
#include "store/keyspace/account.h"
#include "store/store.h"

static struct database *database_of(struct tenant *t, unsigned database) {
	return tenant_database(t, keyspace_db_slot(t, database));
}

static void test_an_entry_is_counted_in_every_place(void **state) {
	(void)state;
	struct shard *s = store_shard(NULL);
	struct tenant t;
	store_open(s, &t, &(struct tenant_limits){0});
	store_fill(&t, 2, 1, DEADLINE_NONE);
	struct database *d = database_of(&t, 2);
	uint64_t bytes = counter_get(&t.counters.bytes), held = d->bytes;
	account_entry(&t, d, keyspace_db_slot(&t, 2), true, 48, true);
	assert_int_equal(counter_get(&t.counters.bytes), bytes + 48);
	assert_int_equal(d->bytes, held + 48);
	assert_int_equal(counter_get(&t.counters.keys), 2);
	assert_int_equal(counter_get(&t.counters.db_keys[2]), 2);
	assert_int_equal(counter_get(&s->counters.keys), 2);
	assert_int_equal(counter_get(&t.counters.keys_expiring), 1);
	assert_int_equal(counter_get(&t.counters.db_expiring[2]), 1);
	assert_int_equal(d->expiring, 1);
	account_entry(&t, d, keyspace_db_slot(&t, 2), true, 48, false);
	assert_int_equal(counter_get(&t.counters.bytes), bytes);
	assert_int_equal(counter_get(&t.counters.keys), 1);
	assert_int_equal(counter_get(&t.counters.keys_expiring), 0);
	assert_int_equal(counter_get(&t.counters.db_expiring[2]), 0);
	store_close(s, &t);
}

static void test_counts_follow_a_swapped_database(void **state) {
	(void)state;
	struct shard *s = store_shard(NULL);
	struct tenant t;
	store_open(s, &t, &(struct tenant_limits){0});
	store_fill(&t, 0, 3, DEADLINE_NONE);
	keyspace_swap(&t, 0, 5);
	struct database *d = database_of(&t, 5);
	account_expiring(&t, d, d->db_slot, true);
	assert_int_equal(counter_get(&t.counters.db_expiring[5]), 1);
	assert_int_equal(counter_get(&t.counters.db_expiring[0]), 0);
	account_expiring(&t, d, d->db_slot, false);
	store_close(s, &t);
}

static void test_a_table_is_charged_as_it_grows_and_shrinks(void **state) {
	(void)state;
	struct shard *s = store_shard(NULL);
	struct tenant t;
	store_open(s, &t, &(struct tenant_limits){0});
	store_fill(&t, 0, 5000, DEADLINE_NONE);
	const struct database *d = database_of(&t, 0);
	assert_int_equal(d->table_bytes, table_memory(&d->table));
	uint64_t grown = d->table_bytes;
	assert_true(counter_get(&s->counters.resizes) > 0);
	for (unsigned i = 10; i < 5000; i++) {
		char name[16];
		snprintf(name, sizeof name, "k%u", i);
		struct key key = store_key(&t, 0, name);
		keyspace_delete(&t, &key, keyspace_find(&t, &key, LOOKUP_PEEK));
	}
	store_settle(s);
	assert_int_equal(d->table_bytes, table_memory(&d->table));
	assert_true(d->table_bytes < grown / 4);
	assert_false(d->resizing);
	assert_int_equal(s->root->resizing, 0);
	store_close(s, &t);
}

static void test_a_resize_is_listed_once(void **state) {
	(void)state;
	struct shard *s = store_shard(NULL);
	struct tenant t;
	store_open(s, &t, &(struct tenant_limits){0});
	store_fill(&t, 0, 100, DEADLINE_NONE);
	store_settle(s);
	struct database *d = database_of(&t, 0);
	uint64_t resizes = counter_get(&s->counters.resizes);
	assert_int_equal(table_reserve_many(&s->context, &d->table, 10000), 0);
	account_table(&t, d);
	account_table(&t, d);
	assert_true(d->resizing);
	assert_int_equal(counter_get(&s->counters.resizes), resizes + 1);
	assert_int_equal(d->next_resizing, 0);
	while (d->table.old.buckets != 0)
		account_table_step(&t, d);
	assert_int_equal(d->table_bytes, table_memory(&d->table));
	store_close(s, &t);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_an_entry_is_counted_in_every_place),
		cmocka_unit_test(test_counts_follow_a_swapped_database),
		cmocka_unit_test(test_a_table_is_charged_as_it_grows_and_shrinks),
		cmocka_unit_test(test_a_resize_is_listed_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
