/* Room for a write: a refused write evicts no key, and a write that can fit is not refused. */
#include <stdio.h>
#include <stdlib.h>

#include "atomdb/store/keyspace.h"
#include "atomdb/store/pin.h"
#include "atomdb/store/relocate.h"
#include "atomdb/store/shard.h"
#include "atomdb/store/shard_open.h"
#include "atomdb/store/shard_tenants.h"
#include "atomdb/store/string.h"
#include "atomdb/store/tenant.h"
#include "atomdb/store/undo.h"
#include "atomdb/util/error.h"
#include "harness.h"
#include "store/as_string.h"
#include "store/keyspace/quota.h"
#include "store/random.h"

#define MIB         ((size_t)1 << 20)
#define NOW         1700000000000
#define LARGEST     (32 * MIB)
#define SMALL_VALUE 40

static char *large;

static struct shard *new_shard(struct memory_budget *budget) {
	struct shard *s = NULL;
	assert_int_equal(shard_new(&s, &(struct shard_options){.budget = budget}), 0);
	shard_set_now(s, NOW, 1);
	return s;
}

static void open_tenant(struct shard *s, struct tenant *t, const struct tenant_limits *limits) {
	tenant_init(t, s, limits);
	shard_set_defaults(s, limits);
	assert_int_equal(shard_open_tenant(s, t), 0);
}

static void close_all(struct shard *s, struct tenant *t) {
	shard_close_tenant(s, t);
	assert_int_equal(counter_get(&t->counters.bytes), 0);
	shard_free(s);
}

static int put(struct tenant *t, unsigned db_slot, const char *name, size_t len) {
	struct key key = keyspace_key(t, db_slot, slice_of(name));
	return string_set(t, &key, keyspace_find(t, &key, LOOKUP_WRITE), (struct slice){large, len}, DEADLINE_NONE);
}

static struct entry *find(struct tenant *t, unsigned db_slot, const char *name) {
	struct key key = keyspace_key(t, db_slot, slice_of(name));
	return keyspace_find(t, &key, LOOKUP_PEEK);
}

static uint64_t fill(struct tenant *t, unsigned count) {
	for (unsigned i = 0; i < count; i++) {
		char name[16];
		snprintf(name, sizeof name, "k%u", i);
		assert_int_equal(put(t, 0, name, SMALL_VALUE), 0);
	}
	return counter_get(&t->counters.keys);
}

static uint64_t keys_of(const struct tenant *t) {
	return counter_get(&t->counters.keys);
}

static void test_a_refused_write_evicts_nothing(void **state) {
	(void)state;
	struct shard *s = new_shard(NULL);
	struct tenant t;
	open_tenant(s, &t, &(struct tenant_limits){.max_memory = 2 * MIB});
	uint64_t keys = fill(&t, 40000);
	assert_in_range(keys, 10000, 39999); /* the tenant is full: some keys are evicted already */
	uint64_t bytes = counter_get(&t.counters.bytes);
	char *to;
	struct key key = keyspace_key(&t, 0, SLICE("new")), old = keyspace_key(&t, 0, SLICE("k39999"));
	struct key elsewhere = keyspace_key(&t, 7, SLICE("new"));
	assert_int_equal(put(&t, 0, "new", 2 * MIB), ATOMDB_E_OOM);
	assert_int_equal(put(&t, 0, "k39999", 2 * MIB), ATOMDB_E_OOM);
	assert_int_equal(put(&t, 7, "new", 2 * MIB), ATOMDB_E_OOM);
	assert_int_equal(string_resize(&t, &key, NULL, 100 * MIB, (struct span){0, 1}, &to), ATOMDB_E_OOM);
	assert_int_equal(string_resize(&t, &elsewhere, NULL, 100 * MIB, (struct span){0, 1}, &to), ATOMDB_E_OOM);
	assert_int_equal(string_resize(&t, &old, as_string(find(&t, 0, "k39999")), 3 * MIB, (struct span){0, 1}, &to),
			 ATOMDB_E_OOM);
	assert_int_equal(tenant_charge(&t, 2 * MIB), ATOMDB_E_OOM);
	assert_int_equal(keys_of(&t), keys);
	assert_int_equal(counter_get(&t.counters.bytes), bytes);
	close_all(s, &t);
}

static void test_what_can_fit_is_not_refused(void **state) {
	(void)state;
	const size_t quota = 2 * MIB;
	struct shard *s = new_shard(NULL);
	struct tenant t;
	open_tenant(s, &t, &(struct tenant_limits){.max_memory = quota});
	fill(&t, 40000);
	/* Fills almost the whole quota: a block of 7/8, and a block of the rest. */
	assert_int_equal(put(&t, 0, "most", quota / 8 * 7 - 64), 0);
	assert_int_equal(put(&t, 0, "rest", quota / 8 - (40 << 10)), 0);
	assert_non_null(find(&t, 0, "most"));
	assert_true(counter_get(&t.counters.bytes) <= quota);
	assert_int_equal(put(&t, 5, "other", quota / 8 * 7 - 64), 0);
	assert_int_equal(keys_of(&t), 2);
	assert_true(counter_get(&t.counters.bytes) <= quota);
	close_all(s, &t);
}

/* The replaced value and the moved value count as room. */
static void test_room_that_a_write_gives_back_counts(void **state) {
	(void)state;
	struct shard *s = new_shard(NULL);
	struct tenant t;
	open_tenant(s, &t, &(struct tenant_limits){.max_memory = 2 * MIB, .eviction = EVICTION_NONE});
	assert_int_equal(put(&t, 0, "a", 3 * MIB / 2), 0);
	assert_int_equal(put(&t, 0, "a", 3 * MIB / 2 + 1000), 0);
	struct key a = keyspace_key(&t, 0, SLICE("a")), b = keyspace_key(&t, 3, SLICE("b"));
	assert_int_equal(keyspace_copy(&t, find(&t, 0, "a"), &b, NULL), ATOMDB_E_OOM);
	assert_int_equal(keyspace_move(&t, &a, find(&t, 0, "a"), &b, NULL), 0);
	assert_null(find(&t, 0, "a"));
	assert_int_equal(keys_of(&t), 1);
	close_all(s, &t);
}

static void test_entries_that_cannot_be_evicted_count(void **state) {
	(void)state;
	struct shard *s = new_shard(NULL);
	struct tenant t;
	open_tenant(s, &t, &(struct tenant_limits){.max_memory = 8 * MIB});
	assert_int_equal(put(&t, 0, "source", 3 * MIB), 0);
	assert_int_equal(put(&t, 0, "target", 3 * MIB), 0);
	uint64_t keys = 2 + fill(&t, 100) - 2;
	/* The source of the copy stays, and the pinned value too. */
	struct key to = keyspace_key(&t, 0, SLICE("target"));
	assert_int_equal(put(&t, 0, "source", 5 * MIB), 0);
	assert_null(find(&t, 0, "target"));
	keys--;
	assert_int_equal(keyspace_copy(&t, find(&t, 0, "source"), &to, NULL), ATOMDB_E_OOM);
	assert_int_equal(keys_of(&t), keys);
	struct pin *pin = pin_take(&t, find(&t, 0, "source"));
	assert_int_equal(put(&t, 0, "large", 4 * MIB), ATOMDB_E_OOM);
	assert_int_equal(keys_of(&t), keys);
	pin_release(pin);
	assert_int_equal(put(&t, 0, "large", 4 * MIB), 0);
	close_all(s, &t);
}

static void test_entries_are_limited_alike(void **state) {
	(void)state;
	struct shard *s = new_shard(NULL);
	struct tenant t;
	open_tenant(s, &t, &(struct tenant_limits){.max_entries = 1});
	assert_int_equal(put(&t, 0, "a", 10), 0);
	struct key a = keyspace_key(&t, 0, SLICE("a")), b = keyspace_key(&t, 0, SLICE("b"));
	assert_int_equal(keyspace_copy(&t, find(&t, 0, "a"), &b, NULL), ATOMDB_E_OOM);
	assert_int_equal(keys_of(&t), 1);
	assert_int_equal(keyspace_move(&t, &a, find(&t, 0, "a"), &b, NULL), 0);
	assert_int_equal(put(&t, 1, "c", 10), 0);
	assert_int_equal(keys_of(&t), 1);
	close_all(s, &t);
}

/* The table is full but does not grow: the evicted entry leaves its slot. */
static void test_no_more_is_evicted_than_makes_room(void **state) {
	(void)state;
	struct shard *s = new_shard(NULL);
	struct tenant t;
	open_tenant(s, &t, &(struct tenant_limits){.max_memory = 2 * MIB});
	for (unsigned i = 0; i < 60000; i++) {
		char name[16];
		snprintf(name, sizeof name, "k%u", i);
		uint64_t evicted = counter_get(&t.counters.evictions);
		assert_int_equal(put(&t, 0, name, SMALL_VALUE), 0);
		assert_in_range(counter_get(&t.counters.evictions) - evicted, 0, 2);
	}
	close_all(s, &t);
}

/* ---- the shared memory ---- */

static void test_values_with_pages_of_their_own_make_way(void **state) {
	(void)state;
	struct memory_budget budget = {.limit = 64 * MIB};
	struct shard *s = new_shard(&budget);
	struct tenant t;
	open_tenant(s, &t, &(struct tenant_limits){0});
	for (unsigned i = 0; i < 200; i++) {
		char name[16];
		snprintf(name, sizeof name, "v%u", i);
		assert_int_equal(put(&t, 0, name, MIB), 0);
	}
	assert_int_equal(put(&t, 0, "large", LARGEST), 0);
	assert_non_null(find(&t, 0, "large"));
	assert_in_range(keys_of(&t), 20, 32);
	close_all(s, &t);
}

/* ---- all together ---- */

/* Random writes with random quotas: a refused write changes no keys, evictions or bytes. */
static void test_random_refusals_change_nothing(void **state) {
	(void)state;
	uint64_t seed = random_seed();
	struct shard *s = new_shard(NULL);
	struct tenant t;
	open_tenant(s, &t, &(struct tenant_limits){.max_memory = 4 * MIB});
	unsigned refused = 0, done = 0;
	for (unsigned i = 0; i < 20000; i++) {
		struct tenant_limits limits = {.max_memory = MIB + random_next(&seed) % (8 * MIB),
					       .max_entries =
						       random_next(&seed) % 4 == 0 ? 1 + random_next(&seed) % 500 : 0};
		if (random_next(&seed) % 16 == 0)
			t.limits = limits;
		char name[16], other[16];
		unsigned db_slot = random_next(&seed) % 32 == 0 ? (unsigned)(random_next(&seed) % 16) : 0;
		snprintf(name, sizeof name, "k%u", (unsigned)(random_next(&seed) % 2000));
		snprintf(other, sizeof other, "k%u", (unsigned)(random_next(&seed) % 2000));
		struct key key = keyspace_key(&t, db_slot, slice_of(name)),
			   to = keyspace_key(&t, db_slot, slice_of(other));
		struct entry *e = keyspace_find(&t, &key, LOOKUP_WRITE), *old = keyspace_find(&t, &to, LOOKUP_WRITE);
		uint64_t keys = keys_of(&t), evicted = counter_get(&t.counters.evictions);
		uint64_t entries = counter_get(&arena_counters(s->arena)->used_by_kind[ARENA_ENTRY]);
		size_t len = (size_t)1 << random_next(&seed) % 23;
		len += random_next(&seed) % len;
		int error = 0;
		char *bytes;
		switch (random_next(&seed) % 4) {
		case 0:
			error = string_resize(&t, &key, as_string(e), len, (struct span){0, 0}, &bytes);
			if (error == 0)
				keyspace_commit(s);
			break;
		case 1:
			if (e != NULL && e != old)
				error = keyspace_copy(&t, e, &to, old);
			break;
		case 2:
			if (e != NULL && e != old)
				error = keyspace_move(&t, &key, e, &to, old);
			break;
		default:
			error = string_set(&t, &key, e, (struct slice){large, len}, DEADLINE_NONE);
		}
		if (error != 0) {
			assert_int_equal(keys_of(&t), keys);
			assert_int_equal(counter_get(&t.counters.evictions), evicted);
			assert_int_equal(counter_get(&arena_counters(s->arena)->used_by_kind[ARENA_ENTRY]), entries);
		}
		refused += error != 0;
		done += error == 0;
	}
	assert_in_range(refused, 100, 19900);
	assert_in_range(done, 100, 19900);
	close_all(s, &t);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_refused_write_evicts_nothing),
		cmocka_unit_test(test_what_can_fit_is_not_refused),
		cmocka_unit_test(test_room_that_a_write_gives_back_counts),
		cmocka_unit_test(test_entries_that_cannot_be_evicted_count),
		cmocka_unit_test(test_entries_are_limited_alike),
		cmocka_unit_test(test_no_more_is_evicted_than_makes_room),
		cmocka_unit_test(test_values_with_pages_of_their_own_make_way),
		cmocka_unit_test(test_random_refusals_change_nothing),
	};
	large = malloc(LARGEST);
	if (large == NULL)
		return 1;
	memset(large, 'x', LARGEST);
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	free(large);
	return failed;
}
