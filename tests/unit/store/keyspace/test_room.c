/* Writes that evict for a large block. They run on a fiber that is suspended at each check point: neighbours write
 * then. */
#include <string.h>

#include "atomdb/store/relocate.h"
#include "atomdb/store/suspend.h"
#include "atomdb/util/error.h"
#include "atomdb/util/fiber.h"
#include "store/keyspace/room.h"
#include "store/store.h"

#define SMALL 500 /* bytes of a value: about 120 entries a slab */
#define MIB   ((size_t)1 << 20)

static struct memory_budget budget;
static struct shard *shard;
static struct tenant writer, neighbour, other;
static uint64_t now_ns;
static char value[4 << 20];

static void pass(void) {
	now_ns += 10000000;
	shard_set_now(shard, STORE_NOW + (int64_t)(now_ns / 1000000), now_ns);
}

static void start(void) {
	budget = (struct memory_budget){0};
	now_ns = 0;
	shard = store_shard(&budget);
	pass();
	store_open(shard, &writer, &(struct tenant_limits){0});
	store_open(shard, &neighbour, &(struct tenant_limits){0});
	store_open(shard, &other, &(struct tenant_limits){0});
}

static void end(void) {
	assert_int_equal(writer.room.held, 0);
	shard_close_tenant(shard, &neighbour);
	shard_close_tenant(shard, &other);
	store_close(shard, &writer);
}

static int put(struct tenant *t, const char *name, size_t size) {
	struct key key = store_key(t, 0, name);
	return string_set(t, &key, keyspace_find(t, &key, LOOKUP_WRITE), (struct slice){value, size}, DEADLINE_NONE);
}

static int put_number(struct tenant *t, unsigned number, size_t size) {
	char name[16];
	snprintf(name, sizeof name, "k%u", number);
	return put(t, name, size);
}

static void fill(struct tenant *t, unsigned count) {
	for (unsigned i = 0; i < count; i++)
		assert_int_equal(put_number(t, i, SMALL), 0);
}

/* Sets the limit of the budget so that `left` bytes are free. */
static void fill_budget(uint64_t left) {
	(void)arena_trim(shard->arena, SIZE_MAX, true);
	atomic_store(&budget.limit, atomic_load(&budget.used) + left);
	pass();
}

static uint64_t evictions(const struct tenant *t) {
	return counter_get(&t->counters.evictions);
}

/* ---- a command of the writer on a fiber ---- */

struct write {
	const char *name;
	size_t size;
	int error;
};

static void set(void *context) {
	struct write *w = context;
	w->error = put(&writer, w->name, w->size);
}

static void rename_large(void *context) {
	struct write *w = context;
	struct key from = store_key(&writer, 0, w->name), to = store_key(&writer, 0, "renamed");
	w->error = keyspace_move(&writer, &from, keyspace_find(&writer, &from, LOOKUP_WRITE), &to, NULL);
}

/* Runs the command to its end, and calls `meanwhile` with the number of each suspension. Returns the number of
 * suspensions. */
static unsigned run(void (*command)(void *context), struct write *w, void (*meanwhile)(unsigned turn)) {
	struct fiber_pool pool;
	unsigned suspensions = 0;
	fiber_pool_init(&pool);
	struct fiber *f = fiber_take(&pool);
	assert_non_null(f);
	fiber_start(f, command, w);
	while (!fiber_resume(f, 0)) {
		shard_suspend(&writer);
		meanwhile(suspensions++);
		shard_resume(&writer);
	}
	fiber_put(&pool, f);
	fiber_pool_deinit(&pool);
	return suspensions;
}

static void nothing(unsigned turn) {
	(void)turn;
}

/* ---- tests ---- */

static void test_each_eviction_of_a_tenant_above_its_share_has_a_check_point(void **state) {
	struct write w = {"large", 2 * MIB, -1};
	(void)state;
	start();
	fill(&writer, 8000);
	fill_budget(0);
	unsigned suspensions = run(set, &w, nothing);
	assert_int_equal(w.error, 0);
	assert_true(evictions(&writer) > 3000);
	/* Each entry has a check point in the plan, and one at its eviction. */
	assert_true(suspensions > 2 * evictions(&writer));
	assert_true(atomic_load(&budget.used) <= atomic_load(&budget.limit));
	end();
}

static void test_each_eviction_for_the_quota_has_a_check_point_when_memory_is_short(void **state) {
	struct write w = {"large", 2 * MIB, -1};
	(void)state;
	start();
	fill(&writer, 5000);
	fill(&neighbour, 20000);
	fill_budget(0);
	writer.limits.max_memory = counter_get(&writer.counters.bytes);
	unsigned suspensions = run(set, &w, nothing);
	assert_int_equal(w.error, 0);
	assert_true(suspensions > evictions(&writer) && evictions(&writer) > 3000);
	end();
}

static void take_memory(unsigned turn) {
	if (turn % 16 == 0)
		(void)put_number(&neighbour, 100000 + turn, 20000);
	if (turn % 64 == 0) {
		pass();
		(void)shard_work(shard, 64);
	}
}

static void test_a_neighbour_does_not_take_the_pages_that_were_made_free(void **state) {
	struct write w = {"large", 3 * MIB, -1};
	(void)state;
	start();
	fill(&writer, 8000);
	fill(&neighbour, 1000);
	fill_budget(0);
	(void)run(set, &w, take_memory);
	assert_int_equal(w.error, 0);
	assert_true(store_has(&writer, 0, "large"));
	assert_true(atomic_load(&budget.used) <= atomic_load(&budget.limit));
	end();
}

/* Each slab holds entries of a tenant that does not evict. */
static void test_nothing_is_evicted_for_a_write_that_is_refused(void **state) {
	struct write w = {"large", MIB, -1};
	(void)state;
	start();
	tenant_set_limits(&neighbour, &(struct tenant_limits){.eviction = EVICTION_NONE}, 1);
	for (unsigned i = 0; i < 4000; i++) {
		assert_int_equal(put_number(&writer, i, SMALL), 0);
		assert_int_equal(put_number(&neighbour, i, SMALL), 0);
	}
	fill_budget(0);
	for (unsigned i = 0; i < 3; i++) {
		assert_true(run(set, &w, nothing) > 0);
		assert_int_equal(w.error, ATOMDB_E_OOM);
		assert_int_equal(evictions(&writer), 0);
		assert_int_equal(writer.room.held, 0);
		pass();
	}
	end();
}

/* Every 500 suspensions, the neighbour uses two entries at the place of the plan, and removes one. */
static void use_planned(unsigned turn) {
	for (unsigned i = turn; turn % 500 == 0 && i < turn + 3; i++) {
		char name[16];
		snprintf(name, sizeof name, "k%u", i);
		struct key key = store_key(&neighbour, 0, name);
		struct entry *e = keyspace_find(&neighbour, &key, LOOKUP_TOUCH);
		if (e != NULL && i % 3 == 0)
			assert_int_equal(keyspace_delete(&neighbour, &key, e), 0);
	}
}

static void test_a_tenant_below_its_share_takes_from_one_that_goes_on(void **state) {
	struct write w = {"large", MIB, -1};
	(void)state;
	start();
	fill(&neighbour, 20000);
	fill_budget(0);
	assert_true(run(set, &w, use_planned) > 1000);
	assert_int_equal(w.error, 0);
	assert_int_equal(evictions(&writer), 0);
	assert_true(atomic_load(&budget.used) <= atomic_load(&budget.limit));
	end();
}

static unsigned close_at;
static bool reopened;

static void close_neighbour(unsigned turn) {
	if (turn == close_at)
		shard_close_tenant(shard, &neighbour);
	if (turn == close_at + 1)
		(void)store_settle(shard);
	if (turn == close_at + 2) {
		store_open(shard, &neighbour, &(struct tenant_limits){0});
		fill(&neighbour, 3);
		reopened = true;
	}
}

static void test_a_tenant_that_gives_way_may_be_closed(void **state) {
	(void)state;
	for (close_at = 0; close_at < 5000; close_at += 977) {
		struct write w = {"large", MIB, -1};
		start();
		reopened = false;
		fill(&neighbour, 10000);
		fill(&other, 9000);
		fill_budget(0);
		(void)run(set, &w, close_neighbour);
		assert_int_equal(w.error, 0);
		/* The tenant has less than its share after it is open again. */
		assert_true(!reopened || counter_get(&neighbour.counters.keys) == 3);
		end();
	}
}

static uint64_t keys_before;

static void look_at_counts(unsigned turn) {
	assert_null(shard->uncounted);
	assert_true(store_has(&writer, 0, "large"));
	assert_int_equal(counter_get(&writer.counters.keys) + evictions(&writer), keys_before);
	/* Another tenant moves a value meanwhile. */
	if (turn % 100 != 0)
		return;
	struct key from = store_key(&neighbour, 0, turn % 200 == 0 ? "a" : "b"),
		   to = store_key(&neighbour, 0, turn % 200 == 0 ? "b" : "a");
	struct entry *e = keyspace_find(&neighbour, &from, LOOKUP_WRITE);
	assert_true(e == NULL || keyspace_move(&neighbour, &from, e, &to, NULL) == 0);
}

static void test_a_value_that_moves_counts_while_its_command_is_suspended(void **state) {
	struct write w = {"large", MIB, -1};
	(void)state;
	start();
	assert_int_equal(put(&neighbour, "a", SMALL), 0);
	fill(&writer, 8000);
	assert_int_equal(put(&writer, "large", MIB), 0);
	/* The undo log takes a slab. */
	fill_budget(2 * ARENA_SLAB);
	keys_before = counter_get(&writer.counters.keys);
	unsigned suspensions = run(rename_large, &w, look_at_counts);
	assert_int_equal(w.error, 0);
	assert_true(suspensions > 1000);
	assert_true(evictions(&writer) > 1000);
	assert_false(store_has(&writer, 0, "large"));
	assert_true(store_has(&writer, 0, "renamed"));
	assert_int_equal(counter_get(&writer.counters.keys) + evictions(&writer), keys_before);
	end();
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_eviction_of_a_tenant_above_its_share_has_a_check_point),
		cmocka_unit_test(test_each_eviction_for_the_quota_has_a_check_point_when_memory_is_short),
		cmocka_unit_test(test_a_neighbour_does_not_take_the_pages_that_were_made_free),
		cmocka_unit_test(test_nothing_is_evicted_for_a_write_that_is_refused),
		cmocka_unit_test(test_a_tenant_below_its_share_takes_from_one_that_goes_on),
		cmocka_unit_test(test_a_tenant_that_gives_way_may_be_closed),
		cmocka_unit_test(test_a_value_that_moves_counts_while_its_command_is_suspended),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
