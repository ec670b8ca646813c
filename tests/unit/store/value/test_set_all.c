/* Several keys at once: all or none are set, with any quota, and whichever allocation fails. */
#include <stdio.h>
#include <stdlib.h>

#include "atomdb/store/drop.h"
#include "atomdb/store/keyspace.h"
#include "atomdb/store/set_all.h"
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

#define PAIRS 40
#define KEYS  60
#define VALUE 40000

static char *bytes;

static struct shard *new_shard(struct memory_budget *budget) {
	struct shard *s = NULL;
	assert_int_equal(shard_new(&s, &(struct shard_options){.budget = budget}), 0);
	shard_set_now(s, 1700000000000, 1);
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
	while (shard_work(s, 10000)) {
	}
	assert_int_equal(counter_get(&arena_counters(s->arena)->used_by_kind[ARENA_ENTRY]), 0);
	shard_free(s);
}

struct told {
	unsigned count;
};

static void written(void *context, const struct key *key) {
	(void)key;
	((struct told *)context)->count++;
}

/* For each key, the length and the letter of its value; -1: the key is absent. */
struct state {
	int64_t length[KEYS];
	char letter[KEYS];
};

static struct state look(struct tenant *t) {
	struct state now;
	for (unsigned i = 0; i < KEYS; i++) {
		char name[16], text[STRING_TEXT];
		snprintf(name, sizeof name, "k%u", i);
		struct key key = keyspace_key(t, 0, slice_of(name));
		const struct entry *e = keyspace_find(t, &key, LOOKUP_PEEK);
		now.length[i] = e == NULL ? -1 : (int64_t)string_value(as_string(e), text).len;
		now.letter[i] = now.length[i] > 0 ? string_value(as_string(e), text).data[0] : 0;
	}
	return now;
}

/* Makes random pairs, some of them with the same name. Returns the values that all keys have after them. */
static struct state draw(uint64_t *seed, struct state now, struct slice *pairs, size_t count) {
	static char names[PAIRS][16];
	for (size_t i = 0; i < count; i++) {
		unsigned k = (unsigned)(random_next(seed) % KEYS);
		size_t letter = random_next(seed) % 26, len = random_next(seed) % 300;
		if (random_next(seed) % 8 == 0)
			len = random_next(seed) % VALUE;
		snprintf(names[i], sizeof names[i], "k%u", k);
		pairs[2 * i] = slice_of(names[i]);
		pairs[2 * i + 1] = (struct slice){bytes + letter * VALUE, len};
		now.length[k] = (int64_t)len;
		now.letter[k] = len > 0 ? (char)('a' + letter) : 0;
	}
	return now;
}

static void expect_same(const struct state *a, const struct state *b) {
	assert_memory_equal(a->length, b->length, sizeof a->length);
	assert_memory_equal(a->letter, b->letter, sizeof a->letter);
}

static void test_all_keys_or_none_are_set(void **state) {
	(void)state;
	uint64_t seed = random_seed();
	struct memory_budget budget = {0};
	struct shard *s = new_shard(&budget);
	struct tenant t;
	open_tenant(s, &t, &(struct tenant_limits){.eviction = EVICTION_NONE});
	unsigned done = 0, refused = 0;
	for (unsigned i = 0; i < 10000; i++) {
		struct slice pairs[2 * PAIRS];
		size_t count = 1 + random_next(&seed) % PAIRS;
		bool transaction = random_next(&seed) % 4 == 0;
		t.limits.max_memory = random_next(&seed) % 3 == 0 ? 0 : 10000 + random_next(&seed) % 600000;
		t.limits.max_entries = random_next(&seed) % 3 == 0 ? 30 + random_next(&seed) % 30 : 0;
		budget.limit = random_next(&seed) % 4 == 0 ? 1 + random_next(&seed) % 3000000 : 0;
		/* The share under the earlier limit is no longer in force. */
		budget.level = 0;
		shard_set_now(s, 1700000000000, 1);
		struct told told = {0};
		struct state before = look(&t), after = draw(&seed, before, pairs, count);
		if (transaction)
			keyspace_begin_transaction(s, 0);
		int error = string_set_all(&t, 0, pairs, count, written, &told);
		if (transaction)
			keyspace_commit(s);
		struct state now = look(&t);
		expect_same(&now, error == 0 ? &after : &before);
		assert_int_equal(told.count, error == 0 ? count : 0);
		done += error == 0;
		refused += error != 0;
		if (i % 50 == 0)
			keyspace_flush(&t, 0);
	}
	assert_in_range(done, 500, 9500);
	assert_in_range(refused, 500, 9500);
	close_all(s, &t);
}

/* With eviction, a refused call evicts no key, and after a call that succeeds all its keys are within the quota. */
static void test_room_is_made_before_the_first_key(void **state) {
	(void)state;
	uint64_t seed = random_seed();
	struct shard *s = new_shard(NULL);
	struct tenant t;
	open_tenant(s, &t, &(struct tenant_limits){0});
	unsigned done = 0, refused = 0;
	for (unsigned i = 0; i < 10000; i++) {
		struct slice pairs[2 * PAIRS];
		size_t count = 1 + random_next(&seed) % PAIRS;
		t.limits.max_memory = 30000 + random_next(&seed) % 400000;
		t.limits.max_entries = random_next(&seed) % 3 == 0 ? 10 + random_next(&seed) % 30 : 0;
		struct told told = {0};
		struct state before = look(&t), after = draw(&seed, before, pairs, count);
		uint64_t evicted = counter_get(&t.counters.evictions);
		int error = string_set_all(&t, 0, pairs, count, written, &told);
		struct state now = look(&t);
		if (error != 0) {
			expect_same(&now, &before);
			assert_int_equal(counter_get(&t.counters.evictions), evicted);
		} else {
			assert_true(counter_get(&t.counters.bytes) <= t.limits.max_memory);
			for (size_t k = 0; k < count; k++) {
				int number = atoi(pairs[2 * k].data + 1);
				assert_int_equal(now.length[number], after.length[number]);
				assert_int_equal(now.letter[number], after.letter[number]);
			}
		}
		done += error == 0;
		refused += error != 0;
	}
	assert_in_range(done, 500, 9900);
	assert_in_range(refused, 100, 9500);
	close_all(s, &t);
}

static void test_many_keys_come_into_a_small_table(void **state) {
	(void)state;
	struct shard *s = new_shard(NULL);
	struct tenant t;
	open_tenant(s, &t, &(struct tenant_limits){0});
	enum { MANY = 50000 };
	static char names[MANY][8];
	static struct slice pairs[2 * MANY];
	struct told told = {0};
	for (unsigned i = 0; i < MANY; i++) {
		snprintf(names[i], sizeof names[i], "%u", i);
		pairs[2 * i] = pairs[2 * i + 1] = slice_of(names[i]);
	}
	for (size_t from = 0, count = 1; from < MANY;
	     from += count, count = count * 5 < MANY - from ? count * 5 : MANY - from)
		assert_int_equal(string_set_all(&t, 3, pairs + 2 * from, count, written, &told), 0);
	assert_int_equal(told.count, MANY);
	assert_int_equal(counter_get(&t.counters.keys), MANY);
	for (unsigned i = 0; i < MANY; i++) {
		struct key key = keyspace_key(&t, 3, slice_of(names[i]));
		assert_non_null(keyspace_find(&t, &key, LOOKUP_PEEK));
	}
	close_all(s, &t);
}

/* The budget has no page left. Eviction gives back blocks for the first value, but none for the last one. */
static void test_a_call_that_the_budget_refuses_evicts_nothing(void **state) {
	(void)state;
	enum { SMALL = 500, OTHER = 5000, MANY = 2000 };
	struct memory_budget budget = {0};
	struct shard *s = new_shard(&budget);
	struct tenant t, fixed;
	open_tenant(s, &fixed, &(struct tenant_limits){.eviction = EVICTION_NONE});
	open_tenant(s, &t, &(struct tenant_limits){0});
	struct told told = {0};
	for (unsigned i = 0; i < MANY; i++) {
		char name[16];
		snprintf(name, sizeof name, "o%04u", i);
		struct slice pair[] = {slice_of(name), {bytes, SMALL}};
		assert_int_equal(string_set_all(&t, 0, pair, 1, written, &told), 0);
		assert_int_equal(string_set_all(&fixed, 0, pair, 1, written, &told), 0);
	}
	size_t size = entry_block_size(entry_at(s, t.record->lru.newest));
	while (arena_has_block(s->arena, size, ARENA_ENTRY))
		(void)arena_alloc(s->arena, size, ARENA_ENTRY);
	(void)arena_trim(s->arena, SIZE_MAX, true);
	atomic_store(&budget.limit, atomic_load(&budget.used));
	shard_set_now(s, 1700000000100, 100000000);
	struct slice pairs[] = {SLICE("a0001"), {bytes, SMALL}, SLICE("a0002"),
				{bytes, SMALL}, SLICE("a0003"), {bytes, OTHER}};
	assert_int_equal(string_set_all(&t, 0, pairs, 3, written, &told), ATOMDB_E_OOM);
	assert_int_equal(counter_get(&t.counters.evictions), 0);
	/* The blocks of evicted entries serve the other two. */
	assert_int_equal(string_set_all(&t, 0, pairs, 2, written, &told), 0);
	assert_in_range(counter_get(&t.counters.evictions), 2, 4);
	shard_close_tenant(s, &fixed);
	shard_close_tenant(s, &t);
	shard_free(s);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_keys_or_none_are_set),
		cmocka_unit_test(test_room_is_made_before_the_first_key),
		cmocka_unit_test(test_many_keys_come_into_a_small_table),
		cmocka_unit_test(test_a_call_that_the_budget_refuses_evicts_nothing),
	};
	bytes = malloc(26 * VALUE);
	if (bytes == NULL)
		return 1;
	for (size_t i = 0; i < 26 * (size_t)VALUE; i++)
		bytes[i] = (char)('a' + i / VALUE);
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	free(bytes);
	return failed;
}
