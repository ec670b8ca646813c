/* Eviction in the order of use. */
#include <stdio.h>

#include "atomdb/store/drop.h"
#include "atomdb/store/shard.h"
#include "store/keyspace/evict.h"
#include "store/store.h"

static struct change_seen {
	enum change what;
	char name[16];
	unsigned times;
} seen;

static void watch(struct tenant *t, enum change what, unsigned database, struct slice name) {
	(void)t;
	(void)database;
	seen.what = what;
	seen.times++;
	snprintf(seen.name, sizeof seen.name, "%.*s", (int)name.len, name.data);
}

static void test_eviction_follows_the_order_of_use(void **state) {
	(void)state;
	struct shard *s = store_shard(NULL);
	struct tenant t;
	store_open(s, &t, &(struct tenant_limits){0});
	store_fill(&t, 0, 3, DEADLINE_NONE);
	struct key key = store_key(&t, 0, "k0");
	assert_non_null(keyspace_find(&t, &key, LOOKUP_READ));
	memset(&seen, 0, sizeof seen);
	t.watcher = watch;
	static const char *const order[] = {"k1", "k2", "k0"};
	for (unsigned i = 0; i < 3; i++) {
		assert_true(evict_oldest(&t, 0));
		assert_int_equal(seen.what, CHANGE_EVICTED);
		assert_string_equal(seen.name, order[i]);
	}
	assert_false(evict_oldest(&t, 0));
	assert_int_equal(seen.times, 3);
	assert_int_equal(counter_get(&t.counters.evictions), 3);
	t.watcher = NULL;
	store_close(s, &t);
}

static void test_the_kept_entry_ends_eviction(void **state) {
	(void)state;
	struct shard *s = store_shard(NULL);
	struct tenant t;
	store_open(s, &t, &(struct tenant_limits){0});
	store_fill(&t, 0, 3, DEADLINE_NONE);
	ref keep = entry_ref(s, store_find(&t, 0, "k1"));
	assert_true(evict_oldest(&t, keep));
	assert_false(evict_oldest(&t, keep));
	assert_int_equal(counter_get(&t.counters.keys), 2);
	store_close(s, &t);
}

static void test_an_evicted_entry_that_was_due_counts_as_expired(void **state) {
	(void)state;
	struct shard *s = store_shard(NULL);
	struct tenant t;
	store_open(s, &t, &(struct tenant_limits){0});
	store_fill(&t, 0, 1, STORE_NOW + 5);
	shard_set_now(s, STORE_NOW + 5, 5000000);
	memset(&seen, 0, sizeof seen);
	t.watcher = watch;
	assert_true(evict_oldest(&t, 0));
	t.watcher = NULL;
	assert_int_equal(seen.what, CHANGE_EXPIRED);
	assert_int_equal(counter_get(&t.counters.expirations), 1);
	assert_int_equal(counter_get(&t.counters.evictions), 0);
	store_close(s, &t);
}

static void test_eviction_skips_entries_of_flushed_databases(void **state) {
	(void)state;
	struct shard *s = store_shard(NULL);
	struct tenant t;
	store_open(s, &t, &(struct tenant_limits){0});
	store_fill(&t, 0, 50, DEADLINE_NONE);
	store_fill(&t, 1, 1, DEADLINE_NONE);
	keyspace_flush(&t, 0);
	assert_true(evict_oldest(&t, 0));
	assert_false(store_has(&t, 1, "k0"));
	assert_int_equal(counter_get(&t.counters.evictions), 1);
	assert_false(evict_oldest(&t, 0));
	store_close(s, &t);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_eviction_follows_the_order_of_use),
		cmocka_unit_test(test_the_kept_entry_ends_eviction),
		cmocka_unit_test(test_an_evicted_entry_that_was_due_counts_as_expired),
		cmocka_unit_test(test_eviction_skips_entries_of_flushed_databases),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
