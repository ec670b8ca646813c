/* Refused memory: every allocation of the registry and the shard fails in turn, and pages of the arena fail at random.
 * No data is lost or half written, and no memory leaks. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "alloc_fail.h"
#include "atomdb/store/keyspace.h"
#include "atomdb/store/registry.h"
#include "atomdb/store/registry_reload.h"
#include "atomdb/store/shard.h"
#include "atomdb/store/shard_open.h"
#include "atomdb/store/shard_tenants.h"
#include "atomdb/store/string.h"
#include "atomdb/store/tenant.h"
#include "atomdb/store/undo.h"
#include "atomdb/util/error.h"
#include "harness.h"
#include "store/as_string.h"
#include "store/keyspace/record.h"
#include "store/random.h"

static struct shard *new_shard(struct memory_budget *budget) {
	struct shard *s = NULL;
	assert_int_equal(shard_new(&s, &(struct shard_options){.budget = budget}), 0);
	shard_set_now(s, 1700000000000, 1);
	return s;
}

static struct tenant_config tenant_named(const char *name) {
	struct tenant_config c = {.secret_count = 1};
	snprintf(c.name, sizeof c.name, "%s", name);
	secret_digest(slice_of(name), &c.secrets[0]);
	return c;
}

static void test_a_shard_survives_each_failed_allocation(void **state) {
	(void)state;
	struct shard *s = NULL;
	unsigned failed = 0;
	for (alloc_fail_at = 1;; alloc_fail_at = ++failed + 1) {
		int error = shard_new(&s, &(struct shard_options){0});
		if (error == 0)
			break;
		assert_int_equal(error, -ENOMEM);
		assert_null(s);
	}
	assert_int_equal(failed, 2); /* shard and arena */
	alloc_fail_at = 1;
	struct tenant t;
	tenant_init(&t, s, &(struct tenant_limits){0});
	assert_int_equal(shard_open_tenant(s, &t), ATOMDB_E_OOM);
	assert_int_equal(counter_get(&t.counters.bytes), 0);
	assert_int_equal(shard_open_tenant(s, &t), 0);
	shard_close_tenant(s, &t);
	shard_free(s);
}

static void test_a_registry_survives_each_failed_allocation(void **state) {
	(void)state;
	struct tenant_config list[] = {tenant_named("a"), tenant_named("b"), tenant_named("c")};
	struct tenants_config y = {.open = true, .tenants = list, .tenant_count = 2, .anonymous = "public"};
	struct shard *s = new_shard(NULL);
	struct registry *r = NULL;
	unsigned failed = 0;
	for (alloc_fail_at = 1;; alloc_fail_at = ++failed + 1) {
		int error = registry_new(&r, &s, 1, &y, NULL, NULL);
		if (error == 0)
			break;
		assert_int_equal(error, -ENOMEM);
		assert_null(r);
	}
	/* Registry, counts, check and matches; two tenants and the anonymous one, with an identity each. */
	assert_int_equal(failed, 10);

	struct tenant *t;
	unsigned worker;
	for (unsigned at = 1; at <= 2; at++) {
		alloc_fail_at = at;
		assert_int_equal(registry_authenticate(r, SLICE("default"), SLICE("new"), &t, &worker), -ENOMEM);
		assert_int_equal(registry_count(r), 3);
	}
	assert_int_equal(registry_authenticate(r, SLICE("default"), SLICE("new"), &t, &worker), 0);
	assert_int_equal(registry_count(r), 4);

	y.tenant_count = 3;
	for (unsigned at = 1; at <= 4; at++) {
		alloc_fail_at = at;
		assert_int_equal(registry_reload(r, &y, NULL), -ENOMEM);
	}
	assert_int_equal(registry_reload(r, &y, NULL), 0);
	alloc_fail_at = 0;
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(registry_authenticate(r, slice_of(list[i].name), slice_of(list[i].name), &t, &worker),
				 0);
		assert_string_equal(tenant_name(t), list[i].name);
	}
	assert_int_equal(registry_count(r), 5);
	registry_free(r);
	shard_free(s);
}

#define KEYS 200

/* A refused write changes nothing. All other writes succeed as with enough memory. */
static void test_a_refused_write_changes_nothing(void **state) {
	(void)state;
	uint64_t seed = random_seed();
	struct memory_budget budget = {0};
	struct shard *s = new_shard(&budget);
	struct tenant t;
	struct tenant_limits limits = {.eviction = EVICTION_NONE};
	tenant_init(&t, s, &limits);
	shard_set_defaults(s, &limits);
	assert_int_equal(shard_open_tenant(s, &t), 0);
	static size_t lengths[KEYS]; /* length of the value, which repeats the letter of the key; 0: absent */
	static char value[40000];
	unsigned refused = 0, written = 0;
	for (unsigned i = 0; i < 30000; i++) {
		unsigned n = (unsigned)(random_next(&seed) % KEYS);
		char name[16];
		snprintf(name, sizeof name, "k%u", n);
		struct key key = keyspace_key(&t, 0, slice_of(name));
		struct entry *e = keyspace_find(&t, &key, LOOKUP_WRITE);
		assert_int_equal(e != NULL, lengths[n] != 0);
		if (e != NULL) {
			char text[STRING_TEXT];
			struct slice v = string_value(as_string(e), text);
			assert_int_equal(v.len, lengths[n]);
			assert_int_equal(v.data[0], 'a' + (int)(n % 26));
			assert_int_equal(v.data[v.len - 1], 'a' + (int)(n % 26));
		}
		budget.limit = random_next(&seed) % 2 ? 0 : 1;
		size_t len = 1 + random_next(&seed) % (random_next(&seed) % 8 == 0 ? sizeof value : 300);
		memset(value, (int)('a' + n % 26), len);
		int error = 0;
		char *bytes;
		switch (random_next(&seed) % 4) {
		case 0:
			if (e != NULL)
				keyspace_delete(&t, &key, e);
			lengths[n] = 0;
			continue;
		case 1:
			len = lengths[n] + len % 50 + 1;
			if (len > sizeof value)
				continue;
			error = string_resize(&t, &key, as_string(e), len, (struct span){0}, &bytes);
			if (error == 0) {
				memset(bytes + lengths[n], (int)('a' + n % 26), len - lengths[n]);
				keyspace_commit(s);
			}
			break;
		case 2:
			if (e != NULL)
				error = keyspace_expire(&t, &key, e,
							random_next(&seed) % 2 ? 1800000000000 : DEADLINE_NONE);
			len = lengths[n];
			break;
		default:
			error = string_set(&t, &key, e, (struct slice){value, len}, DEADLINE_KEEP);
		}
		if (error == 0)
			lengths[n] = len;
		else
			assert_int_equal(error, ATOMDB_E_OOM);
		error == 0 ? written++ : refused++;
	}
	assert_true(refused > 0 && written > 1000);
	shard_close_tenant(s, &t);
	while (shard_work(s, 1000)) {
	}
	assert_int_equal(counter_get(&arena_counters(s->arena)->used_by_kind[ARENA_ENTRY]), 0);
	shard_free(s);
}

static void fill(struct tenant *t, unsigned count, size_t size) {
	char name[16], value[1024] = "";
	for (unsigned i = 0; i < count; i++) {
		snprintf(name, sizeof name, "%u", i);
		struct key key = keyspace_key(t, 0, slice_of(name));
		struct entry *old = keyspace_find(t, &key, LOOKUP_WRITE);
		assert_int_equal(string_set(t, &key, old, (struct slice){value, size}, DEADLINE_NONE), 0);
	}
}

/* Does the work of ten seconds. Returns the number of slices. */
static unsigned pass(struct shard *s) {
	static uint64_t ns = 1;
	static int64_t ms = 1700000000000;
	unsigned slices = 0;
	for (unsigned i = 0; i < 2000; i++) {
		shard_set_now(s, ms += 5, ns += 5000000);
		for (unsigned k = 0; k < 10 && shard_deadline(s) <= ms; k++, slices++)
			shard_work(s, 64);
	}
	return slices;
}

/* A lowered budget evicts from the largest tenants that may lose keys, the oldest keys first, and no more than needed.
 */
static void test_a_lowered_budget_evicts_from_the_largest_tenants(void **state) {
	(void)state;
	struct memory_budget budget = {0};
	struct shard *s = new_shard(&budget);
	struct tenant large, small, kept;
	struct tenant_limits none = {.eviction = EVICTION_NONE};
	shard_set_defaults(s, &(struct tenant_limits){0});
	tenant_init(&large, s, &(struct tenant_limits){0});
	tenant_init(&small, s, &(struct tenant_limits){0});
	tenant_init(&kept, s, &none);
	assert_int_equal(shard_open_tenant(s, &large), 0);
	assert_int_equal(shard_open_tenant(s, &small), 0);
	assert_int_equal(shard_open_tenant(s, &kept), 0);
	tenant_set_limits(&kept, &none, 1);
	fill(&large, 20000, 1000);
	fill(&small, 1000, 1000);
	fill(&kept, 20000, 1000);
	uint64_t resident = atomic_load(&budget.used);
	uint64_t target = resident - resident / 8;
	atomic_store(&budget.limit, target);
	assert_true(shard_deadline(s) <= 1700000000000);
	assert_true(pass(s) > 10); /* in steps */
	uint64_t gone = counter_get(&s->counters.shed);
	assert_int_equal(counter_get(&large.counters.keys), 20000 - gone);
	assert_int_equal(counter_get(&large.counters.evictions), gone);
	assert_int_equal(counter_get(&small.counters.keys), 1000);
	assert_int_equal(counter_get(&kept.counters.keys), 20000);
	assert_true(gone >= 4000 && gone <= 6500); /* an eighth of 41,000, and the bytes lost in pages */
	struct key oldest = keyspace_key(&large, 0, SLICE("0")), latest = keyspace_key(&large, 0, SLICE("19999"));
	assert_null(keyspace_find(&large, &oldest, LOOKUP_PEEK));
	assert_non_null(keyspace_find(&large, &latest, LOOKUP_PEEK));
	assert_true(atomic_load(&budget.used) <= target);
	/* If no key may be evicted, the shard has no work to do. */
	shard_close_tenant(s, &large);
	shard_close_tenant(s, &small);
	(void)pass(s);
	atomic_store(&budget.limit, 1);
	assert_true(pass(s) < 1000);
	assert_true(pass(s) < 50);
	assert_int_equal(counter_get(&kept.counters.keys), 20000);
	shard_close_tenant(s, &kept);
	shard_free(s);
}

static void test_scratch_is_half_of_the_quota_and_no_more_than_is_left(void **state) {
	static const struct {
		uint64_t quota, limit, used, scratch;
	} table[] = {
		{0, 0, 0, UINT64_MAX},
		{64 * MIB, 0, 0, 32 * MIB},
		{1 * MIB, 0, 0, 1 * MIB},
		{64 * MIB, 100 * MIB, 80 * MIB, 20 * MIB},
		{0, 100 * MIB, 80 * MIB, 20 * MIB},
		{0, 100 * MIB, 110 * MIB, 1 * MIB},
	};
	struct memory_budget budget = {0};
	struct tenant t;
	struct shard *s;
	(void)state;
	assert_int_equal(shard_new(&s, &(struct shard_options){.budget = &budget}), 0);
	uint64_t own = atomic_load(&budget.used);
	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		tenant_init(&t, s, &(struct tenant_limits){.max_memory = table[i].quota});
		atomic_store(&budget.limit, table[i].limit);
		atomic_store(&budget.used, table[i].used);
		assert_int_equal(tenant_scratch_limit(&t), table[i].scratch);
	}
	atomic_store(&budget.used, own);
	shard_free(s);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_shard_survives_each_failed_allocation),
		cmocka_unit_test(test_a_lowered_budget_evicts_from_the_largest_tenants),
		cmocka_unit_test(test_a_registry_survives_each_failed_allocation),
		cmocka_unit_test(test_a_refused_write_changes_nothing),
		cmocka_unit_test(test_scratch_is_half_of_the_quota_and_no_more_than_is_left),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
