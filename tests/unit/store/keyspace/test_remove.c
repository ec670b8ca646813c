/* Removal of entries: by a command, and when they expire. */
#include <stdio.h>

#include "atomdb/store/drop.h"
#include "atomdb/store/shard.h"
#include "atomdb/store/undo.h"
#include "store/keyspace/remove.h"
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

static void test_a_removed_entry_leaves_the_table_the_lru_and_the_wheel(void **state) {
	(void)state;
	struct shard *s = store_shard(NULL);
	struct tenant t;
	store_open(s, &t, &(struct tenant_limits){0});
	assert_int_equal(store_put(&t, 0, "k", "value", STORE_NOW + 10), 0);
	struct key key = store_key(&t, 0, "k");
	ref block = entry_ref(s, store_find(&t, 0, "k"));
	memset(&seen, 0, sizeof seen);
	t.watcher = watch;
	remove_entry(&t, tenant_database(&t, key.db_slot), key.hash, block, CHANGE_REMOVED);
	assert_int_equal(seen.what, CHANGE_REMOVED);
	assert_string_equal(seen.name, "k");
	assert_int_equal(seen.times, 1);
	assert_false(store_has(&t, 0, "k"));
	assert_int_equal(t.record->lru.newest, 0);
	assert_int_equal(t.record->lru.oldest, 0);
	assert_int_equal(counter_get(&t.counters.keys_expiring), 0);
	assert_int_equal(entry_at(s, block)->owner, 0);
	shard_set_now(s, STORE_NOW + 10, 1);
	store_settle(s);
	assert_int_equal(counter_get(&t.counters.expirations), 0);
	t.watcher = NULL;
	store_close(s, &t);
}

static void test_a_due_entry_counts_as_expired_with_its_delay(void **state) {
	(void)state;
	struct shard *s = store_shard(NULL);
	struct tenant t;
	store_open(s, &t, &(struct tenant_limits){0});
	assert_int_equal(store_put(&t, 0, "k", "value", STORE_NOW + 10), 0);
	struct key key = store_key(&t, 0, "k");
	ref block = entry_ref(s, store_find(&t, 0, "k"));
	shard_set_now(s, STORE_NOW + 25, 25000000);
	memset(&seen, 0, sizeof seen);
	t.watcher = watch;
	remove_due(s, block, key.hash);
	t.watcher = NULL;
	assert_int_equal(seen.what, CHANGE_EXPIRED);
	assert_int_equal(counter_get(&t.counters.expirations), 1);
	assert_int_equal(counter_get(&s->counters.swept), 1);
	assert_int_equal(counter_get(&t.counters.keys), 0);
	store_close(s, &t);
}

static void test_a_due_entry_of_a_dropped_database_stays_for_the_drop(void **state) {
	(void)state;
	struct shard *s = store_shard(NULL);
	struct tenant t;
	store_open(s, &t, &(struct tenant_limits){0});
	assert_int_equal(store_put(&t, 0, "k", "value", STORE_NOW + 10), 0);
	struct key key = store_key(&t, 0, "k");
	ref block = entry_ref(s, store_find(&t, 0, "k"));
	keyspace_flush(&t, 0);
	/* Another database is in its slot. */
	store_fill(&t, 0, 3, DEADLINE_NONE);
	shard_set_now(s, STORE_NOW + 10, 10000000);
	if (entry_at(s, block)->owner != 0 && entry_due(s, entry_at(s, block)))
		remove_due(s, block, key.hash);
	assert_int_equal(counter_get(&t.counters.expirations), 0);
	assert_int_equal(counter_get(&t.counters.keys), 3);
	store_close(s, &t);
}

static void test_a_scope_keeps_only_what_a_command_removed(void **state) {
	(void)state;
	struct shard *s = store_shard(NULL);
	struct tenant t;
	store_open(s, &t, &(struct tenant_limits){0});
	store_fill(&t, 0, 2, DEADLINE_NONE);
	struct key removed = store_key(&t, 0, "k0"), expired = store_key(&t, 0, "k1");
	ref first = entry_ref(s, store_find(&t, 0, "k0")), second = entry_ref(s, store_find(&t, 0, "k1"));
	keyspace_begin(s);
	assert_int_equal(keyspace_reserve(&t, 1), 0);
	remove_entry(&t, tenant_database(&t, removed.db_slot), removed.hash, first, CHANGE_REMOVED);
	uint32_t notes = s->root->undo_count;
	assert_int_equal(notes, 1);
	remove_entry(&t, tenant_database(&t, expired.db_slot), expired.hash, second, CHANGE_EXPIRED);
	assert_int_equal(s->root->undo_count, notes);
	keyspace_commit(s);
	assert_int_equal(counter_get(&t.counters.keys), 0);
	store_close(s, &t);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_removed_entry_leaves_the_table_the_lru_and_the_wheel),
		cmocka_unit_test(test_a_due_entry_counts_as_expired_with_its_delay),
		cmocka_unit_test(test_a_due_entry_of_a_dropped_database_stays_for_the_drop),
		cmocka_unit_test(test_a_scope_keeps_only_what_a_command_removed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
