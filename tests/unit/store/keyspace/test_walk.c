/* Whole-database operations: counting, scanning, drawing. */
#include <stdio.h>
#include <stdlib.h>

#include "atomdb/store/shard.h"
#include "atomdb/store/shard_open.h"
#include "atomdb/store/shard_tenants.h"
#include "atomdb/store/walk.h"
#include "atomdb/util/error.h"
#include "store/store.h"

static void count_visit(void *context, const struct entry *e) {
	(void)e;
	++*(unsigned *)context;
}

static void test_due_keys_are_neither_counted_nor_visited_nor_drawn(void **state) {
	(void)state;
	struct shard *s = store_shard(NULL);
	struct tenant t;
	store_open(s, &t, &(struct tenant_limits){0});
	int64_t now = shard_now(s);
	for (unsigned i = 0; i < 1000; i++) {
		char name[16];
		snprintf(name, sizeof name, "k%u", i);
		assert_int_equal(store_put(&t, 0, name, "v", now + 10), 0);
	}
	assert_int_equal(store_put(&t, 0, "stays", "v", 0), 0);
	shard_set_now(s, now + 10, 1);
	uint64_t keys = 77;
	struct entry *e = NULL;
	assert_int_equal(keyspace_size(&t, 0, &keys, NULL), ATOMDB_E_AGAIN);
	assert_int_equal(keyspace_random(&t, 0, &e), ATOMDB_E_AGAIN);
	assert_int_equal(keys, 77);
	unsigned seen = 0;
	for (uint64_t cursor = 0;;) {
		cursor = keyspace_scan(&t, 0, cursor, count_visit, &seen);
		if (cursor == 0)
			break;
	}
	assert_int_equal(seen, 1);
	store_settle(s);
	assert_int_equal(keyspace_size(&t, 0, &keys, NULL), 0);
	assert_int_equal(keys, 1);
	assert_int_equal(keyspace_random(&t, 0, &e), 1);
	assert_true(slice_equal(keyspace_name(e), SLICE("stays")));
	assert_int_equal(counter_get(&t.counters.expirations), 1000);
	shard_close_tenant(s, &t);
	shard_free(s);
}

static void collect(void *context, const struct entry *e) {
	unsigned *seen = context;
	struct slice name = keyspace_name(e);
	assert_true(name.len >= 2);
	seen[atoi(name.data + 1)]++;
}

static void test_a_scan_visits_every_key_while_the_table_grows(void **state) {
	(void)state;
	enum { MANY = 300 };
	struct shard *s = store_shard(NULL);
	struct tenant t;
	store_open(s, &t, &(struct tenant_limits){0});
	store_fill(&t, 0, MANY, DEADLINE_NONE);
	unsigned seen[10 * MANY] = {0}, added = MANY;
	uint64_t cursor = 0;
	do {
		cursor = keyspace_scan(&t, 0, cursor, collect, seen);
		for (unsigned i = 0; i < 20 && added < 10 * MANY; i++, added++) {
			char name[16];
			snprintf(name, sizeof name, "k%u", added);
			assert_int_equal(store_put(&t, 0, name, "value", DEADLINE_NONE), 0);
		}
	} while (cursor != 0);
	for (unsigned i = 0; i < MANY; i++)
		assert_true(seen[i] >= 1);
	store_close(s, &t);
}

static void test_sizes_are_those_of_one_database(void **state) {
	(void)state;
	struct shard *s = store_shard(NULL);
	struct tenant t;
	uint64_t keys = 77, expiring = 77;
	struct entry *e = NULL;
	store_open(s, &t, &(struct tenant_limits){0});
	assert_int_equal(keyspace_size(&t, 3, &keys, &expiring), 0);
	assert_int_equal(keys, 0);
	assert_int_equal(expiring, 0);
	assert_int_equal(keyspace_random(&t, 3, &e), 0);
	store_fill(&t, 3, 5, STORE_NOW + 1000);
	assert_int_equal(store_put(&t, 3, "stays", "value", DEADLINE_NONE), 0);
	store_fill(&t, 4, 50, DEADLINE_NONE);
	store_settle(s);
	assert_int_equal(keyspace_size(&t, 3, &keys, &expiring), 0);
	assert_int_equal(keys, 6);
	assert_int_equal(expiring, 5);
	store_close(s, &t);
}

static void test_every_key_is_drawn(void **state) {
	(void)state;
	struct shard *s = store_shard(NULL);
	struct tenant t;
	store_open(s, &t, &(struct tenant_limits){0});
	store_fill(&t, 0, 8, DEADLINE_NONE);
	unsigned drawn[8] = {0};
	for (unsigned i = 0; i < 4000; i++) {
		struct entry *e = NULL;
		assert_int_equal(keyspace_random(&t, 0, &e), 1);
		collect(drawn, e);
	}
	/* 500 each are expected. The bounds are more than ten standard deviations away. */
	for (unsigned i = 0; i < 8; i++)
		assert_in_range(drawn[i], 250, 750);
	store_close(s, &t);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_due_keys_are_neither_counted_nor_visited_nor_drawn),
		cmocka_unit_test(test_a_scan_visits_every_key_while_the_table_grows),
		cmocka_unit_test(test_sizes_are_those_of_one_database),
		cmocka_unit_test(test_every_key_is_drawn),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
