/* Moved and copied values, and swapped databases: values, deadlines, counts, charge, and evictions of a full tenant. */
#include <stdio.h>

#include "atomdb/store/drop.h"
#include "atomdb/store/keyspace.h"
#include "atomdb/store/relocate.h"
#include "atomdb/store/shard.h"
#include "atomdb/store/shard_open.h"
#include "atomdb/store/shard_tenants.h"
#include "atomdb/store/string.h"
#include "atomdb/store/tenant.h"
#include "atomdb/store/walk.h"
#include "atomdb/util/error.h"
#include "harness.h"
#include "store/as_string.h"
#include "store/keyspace/record.h"

struct fixture {
	struct shard *shard;
	struct tenant tenant;
};

static void start(struct fixture *f, const struct tenant_limits *limits) {
	assert_int_equal(shard_new(&f->shard, &(struct shard_options){.id = 0}), 0);
	shard_set_now(f->shard, 1700000000000, 1);
	tenant_init(&f->tenant, f->shard, limits);
	shard_set_defaults(f->shard, limits);
	assert_int_equal(shard_open_tenant(f->shard, &f->tenant), 0);
}

static void stop(struct fixture *f) {
	shard_close_tenant(f->shard, &f->tenant);
	while (shard_work(f->shard, 1000)) {
	}
	assert_int_equal(counter_get(&arena_counters(f->shard->arena)->used_by_kind[ARENA_ENTRY]), 0);
	shard_free(f->shard);
}

static struct entry *find(struct fixture *f, unsigned database, const char *name, struct key *key) {
	*key = keyspace_key(&f->tenant, keyspace_db_slot(&f->tenant, database), slice_of(name));
	return keyspace_find(&f->tenant, key, LOOKUP_PEEK);
}

static void put(struct fixture *f, unsigned database, const char *name, const char *value, int64_t deadline) {
	struct key key;
	struct entry *old = find(f, database, name, &key);
	assert_int_equal(string_set(&f->tenant, &key, old, slice_of(value), deadline), 0);
}

/* Asserts that the key has this value, or is absent if `value` is NULL. */
static void check(struct fixture *f, unsigned database, const char *name, const char *value, int64_t deadline) {
	struct key key;
	char text[STRING_TEXT];
	const struct entry *e = find(f, database, name, &key);
	assert_int_equal(e != NULL, value != NULL);
	if (e == NULL)
		return;
	assert_true(slice_equal(string_value(as_string(e), text), slice_of(value)));
	assert_int_equal(keyspace_deadline(e), deadline);
}

static int move(struct fixture *f, unsigned database, const char *name, unsigned to_database, const char *to_name,
		bool copy) {
	struct key from, to;
	struct entry *e = find(f, database, name, &from);
	struct entry *old = find(f, to_database, to_name, &to);
	assert_non_null(e);
	return copy ? keyspace_copy(&f->tenant, e, &to, old) : keyspace_move(&f->tenant, &from, e, &to, old);
}

static void check_counts(struct fixture *f, unsigned database, uint64_t keys, uint64_t expiring) {
	uint64_t have, due;
	while (shard_work(f->shard, 100)) {
	}
	assert_int_equal(keyspace_size(&f->tenant, database, &have, &due), 0);
	assert_int_equal(have, keys);
	assert_int_equal(due, expiring);
	assert_int_equal(counter_get(&f->tenant.counters.db_keys[database]), keys);
	assert_int_equal(counter_get(&f->tenant.counters.db_expiring[database]), expiring);
}

static void test_a_move_keeps_the_value_and_its_deadline(void **state) {
	struct fixture f;
	(void)state;
	start(&f, &(struct tenant_limits){0});
	int64_t later = shard_now(f.shard) + 5000;
	put(&f, 0, "a", "one", later);
	put(&f, 0, "b", "1234567890", DEADLINE_NONE);
	assert_int_equal(move(&f, 0, "a", 0, "c", false), 0);
	check(&f, 0, "a", NULL, 0);
	check(&f, 0, "c", "one", later);
	assert_int_equal(move(&f, 0, "c", 0, "b", false), 0);
	check(&f, 0, "b", "one", later);
	check_counts(&f, 0, 1, 1);
	assert_int_equal(move(&f, 0, "b", 7, "b", true), 0);
	check(&f, 0, "b", "one", later);
	check(&f, 7, "b", "one", later);
	check_counts(&f, 7, 1, 1);
	put(&f, 0, "b", "1234567890", DEADLINE_NONE);
	assert_int_equal(move(&f, 0, "b", 7, "b", false), 0);
	check(&f, 7, "b", "1234567890", 0);
	check_counts(&f, 0, 0, 0);
	check_counts(&f, 7, 1, 0);
	assert_int_equal(counter_get(&f.tenant.counters.keys), 1);
	stop(&f);
}

/* A move needs no room. A copy needs room, and never evicts its source. */
static void test_a_full_tenant_evicts_for_a_copy_but_not_for_a_move(void **state) {
	struct fixture f;
	(void)state;
	start(&f, &(struct tenant_limits){.max_entries = 3});
	put(&f, 0, "a", "1", 0);
	put(&f, 0, "b", "2", 0);
	put(&f, 0, "c", "3", 0);
	assert_int_equal(move(&f, 0, "a", 1, "new", false), 0);
	check(&f, 0, "b", "2", 0);
	check(&f, 1, "new", "1", 0);
	assert_int_equal(counter_get(&f.tenant.counters.evictions), 0);
	assert_int_equal(move(&f, 0, "b", 0, "copy", true), 0);
	check(&f, 0, "b", "2", 0);
	check(&f, 0, "copy", "2", 0);
	check(&f, 0, "c", NULL, 0);
	assert_int_equal(counter_get(&f.tenant.counters.evictions), 1);
	stop(&f);
	start(&f, &(struct tenant_limits){.max_entries = 1});
	put(&f, 0, "a", "1", 0);
	assert_int_equal(move(&f, 0, "a", 0, "b", true), ATOMDB_E_OOM);
	check(&f, 0, "a", "1", 0);
	assert_int_equal(move(&f, 0, "a", 0, "b", false), 0);
	check(&f, 0, "b", "1", 0);
	stop(&f);
}

/* The value does not fit twice, nor beside the value that it would replace. */
static void test_a_copy_beyond_the_quota_is_refused(void **state) {
	static char large[30000];
	struct fixture f;
	(void)state;
	memset(large, 'x', sizeof(large) - 1);
	start(&f, &(struct tenant_limits){.max_memory = 50000});
	put(&f, 0, "a", large, 0);
	assert_int_equal(move(&f, 0, "a", 0, "b", true), ATOMDB_E_OOM);
	check(&f, 0, "a", large, 0);
	assert_int_equal(move(&f, 0, "a", 0, "b", false), 0);
	check(&f, 0, "b", large, 0);
	assert_true(counter_get(&f.tenant.counters.bytes) <= 50000);
	stop(&f);
}

static void test_swapped_databases_have_each_others_keys(void **state) {
	struct fixture f;
	(void)state;
	start(&f, &(struct tenant_limits){.max_entries = 4});
	int64_t later = shard_now(f.shard) + 5000;
	put(&f, 0, "a", "zero", 0);
	put(&f, 1, "a", "one", later);
	put(&f, 1, "b", "one", 0);
	keyspace_swap(&f.tenant, 0, 1);
	check(&f, 0, "a", "one", later);
	check(&f, 1, "a", "zero", 0);
	check_counts(&f, 0, 2, 1);
	check_counts(&f, 1, 1, 0);
	keyspace_swap(&f.tenant, 1, 9);
	keyspace_swap(&f.tenant, 0, 0);
	check(&f, 9, "a", "zero", 0);
	check_counts(&f, 1, 0, 0);
	put(&f, 1, "new", "x", 0);
	check_counts(&f, 1, 1, 0);
	/* Eviction and expiry find entries by their database slot. */
	put(&f, 2, "more", "x", 0);
	check(&f, 9, "a", NULL, 0);
	check_counts(&f, 9, 0, 0);
	shard_set_now(f.shard, later, 2);
	while (shard_work(f.shard, 100)) {
	}
	check_counts(&f, 0, 1, 0);
	keyspace_flush(&f.tenant, 0);
	check(&f, 0, "b", NULL, 0);
	check(&f, 1, "new", "x", 0);
	keyspace_flush(&f.tenant, TENANT_DATABASES);
	assert_int_equal(counter_get(&f.tenant.counters.keys), 0);
	stop(&f);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_move_keeps_the_value_and_its_deadline),
		cmocka_unit_test(test_a_full_tenant_evicts_for_a_copy_but_not_for_a_move),
		cmocka_unit_test(test_a_copy_beyond_the_quota_is_refused),
		cmocka_unit_test(test_swapped_databases_have_each_others_keys),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
