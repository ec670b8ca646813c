/* Dropped databases. */
#include <stdio.h>

#include "atomdb/store/shard.h"
#include "atomdb/store/shard_open.h"
#include "atomdb/store/shard_tenants.h"
#include "store/keyspace/drop.h"
#include "store/store.h"

static void test_writers_free_what_they_flush_even_if_the_shard_never_works(void **state) {
	(void)state;
	struct shard *s = store_shard(NULL);
	struct tenant t;
	store_open(s, &t, &(struct tenant_limits){0});
	uint64_t most = 0;
	for (unsigned round = 0; round < 1000; round++) {
		char name[32];
		for (unsigned i = 0; i < 40; i++) {
			snprintf(name, sizeof name, "key:%u", i);
			assert_int_equal(
				store_put(&t, i % 2 * (round % TENANT_DATABASES), name, "value", DEADLINE_NONE), 0);
		}
		keyspace_flush(&t, TENANT_DATABASES);
		shard_set_now(s, 1700000000000 + round, 1);
		if (round == 10)
			most = counter_get(&shard_counters(s)->used);
	}
	assert_true(counter_get(&shard_counters(s)->used) <= 2 * most);
	shard_close_tenant(s, &t);
	while (shard_work(s, 1)) {
	}
	shard_free(s);
}

static void test_a_flushed_database_is_empty_at_once_and_freed_in_slices(void **state) {
	(void)state;
	struct shard *s = store_shard(NULL);
	struct tenant t;
	store_open(s, &t, &(struct tenant_limits){0});
	store_fill(&t, 0, 1000, STORE_NOW + 1000);
	store_fill(&t, 1, 10, DEADLINE_NONE);
	uint64_t charged = counter_get(&t.counters.bytes);
	keyspace_flush(&t, 0);
	assert_false(store_has(&t, 0, "k0"));
	assert_true(store_has(&t, 1, "k0"));
	assert_int_equal(counter_get(&t.counters.keys), 10);
	assert_int_equal(counter_get(&t.counters.keys_expiring), 0);
	assert_int_equal(counter_get(&t.counters.db_keys[0]), 0);
	/* The tenant is charged until the entries are freed. */
	assert_int_equal(counter_get(&t.counters.bytes), charged);
	assert_in_range(t.dying, 1, charged);
	unsigned slices = 1;
	while (drop_free(s, 100))
		slices++;
	assert_in_range(slices, 10, 20);
	assert_int_equal(t.dying, 0);
	assert_true(counter_get(&t.counters.bytes) < charged / 10);
	store_close(s, &t);
}

static void test_a_flush_of_all_databases_leaves_none(void **state) {
	(void)state;
	struct shard *s = store_shard(NULL);
	struct tenant t;
	store_open(s, &t, &(struct tenant_limits){0});
	for (unsigned i = 0; i < TENANT_DATABASES; i++)
		store_fill(&t, i, 20, DEADLINE_NONE);
	keyspace_flush(&t, TENANT_DATABASES);
	assert_int_equal(counter_get(&t.counters.keys), 0);
	assert_int_equal(t.record->lru.newest, 0);
	/* New keys of the same names are other entries. */
	store_fill(&t, 0, 5, DEADLINE_NONE);
	store_settle(s);
	assert_int_equal(counter_get(&t.counters.keys), 5);
	assert_true(store_has(&t, 0, "k4"));
	store_close(s, &t);
}

static struct change_seen {
	enum change what;
	unsigned database, times;
} seen;

static void watch(struct tenant *t, enum change what, unsigned database, struct slice name) {
	(void)t;
	assert_int_equal(name.len, 0);
	seen = (struct change_seen){what, database, seen.times + 1};
}

static void test_the_watcher_learns_of_a_flush_once(void **state) {
	(void)state;
	struct shard *s = store_shard(NULL);
	struct tenant t;
	store_open(s, &t, &(struct tenant_limits){0});
	store_fill(&t, 2, 20, DEADLINE_NONE);
	t.watcher = watch;
	keyspace_flush(&t, 2);
	t.watcher = NULL;
	assert_int_equal(seen.what, CHANGE_FLUSH);
	assert_int_equal(seen.database, 2);
	assert_int_equal(seen.times, 1);
	store_close(s, &t);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_writers_free_what_they_flush_even_if_the_shard_never_works),
		cmocka_unit_test(test_a_flushed_database_is_empty_at_once_and_freed_in_slices),
		cmocka_unit_test(test_a_flush_of_all_databases_leaves_none),
		cmocka_unit_test(test_the_watcher_learns_of_a_flush_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
