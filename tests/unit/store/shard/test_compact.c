/* Compaction against a model: random entries of all sizes are set and deleted, then the others are compacted.
 * Everything that a client can see must be unchanged: values, deadlines, the order of use, charges. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "atomdb/store/drop.h"
#include "atomdb/store/keyspace.h"
#include "atomdb/store/shard.h"
#include "atomdb/store/shard_open.h"
#include "atomdb/store/shard_tenants.h"
#include "atomdb/store/string.h"
#include "atomdb/store/tenant.h"
#include "harness.h"
#include "store/as_string.h"
#include "store/random.h"
#include "store/shard/compact.h"

#define KEYS  100000
#define VALUE 3000
#define START 1000000

struct model {
	bool there;
	uint32_t len;
	int64_t deadline;
};

static struct model model[KEYS];
static struct shard *shard;
static struct tenant tenant;
static int64_t now;
static uint64_t seed;

static uint64_t draw(uint64_t below) {
	return random_next(&seed) % below;
}

static struct key key_of(unsigned n) {
	static char name[400];
	int len = snprintf(name, sizeof name, "key:%0*u", n % 1000 == 0 ? 300 : 1, n);
	return keyspace_key(&tenant, n % 3, (struct slice){name, (size_t)len});
}

static void fill(char *value, unsigned n, size_t len) {
	for (size_t i = 0; i < len; i++)
		value[i] = (char)('A' + (n + i * 7) % 57);
}

static void set(unsigned n, size_t len, int64_t deadline) {
	static char value[VALUE];
	struct key key = key_of(n);
	fill(value, n, len);
	struct entry *old = keyspace_find(&tenant, &key, LOOKUP_WRITE);
	assert_int_equal(string_set(&tenant, &key, old, (struct slice){value, len}, deadline), 0);
	model[n] = (struct model){true, (uint32_t)len, deadline};
}

static void del(unsigned n) {
	struct key key = key_of(n);
	struct entry *e = keyspace_find(&tenant, &key, LOOKUP_PEEK);
	assert_int_equal(e != NULL, model[n].there);
	if (e != NULL)
		keyspace_delete(&tenant, &key, e);
	model[n].there = false;
}

static void check(void) {
	static char value[VALUE];
	char text[STRING_TEXT];
	uint64_t keys = 0, bytes = arena_block_size(sizeof(struct tenant_record)), blocks = 0;
	for (unsigned n = 0; n < KEYS; n++) {
		struct key key = key_of(n);
		const struct entry *e = keyspace_find(&tenant, &key, LOOKUP_PEEK);
		assert_int_equal(e != NULL, model[n].there);
		if (e == NULL)
			continue;
		struct slice found = string_value(as_string(e), text);
		fill(value, n, model[n].len);
		assert_int_equal(found.len, model[n].len);
		assert_memory_equal(found.data, value, found.len);
		assert_int_equal(keyspace_deadline(e), model[n].deadline);
		blocks += keyspace_memory(&tenant, e);
		keys++;
	}
	for (unsigned db_slot = 0; db_slot < TENANT_DATABASES; db_slot++)
		bytes += tenant_database(&tenant, db_slot) != NULL ? tenant_database(&tenant, db_slot)->bytes : 0;
	assert_int_equal(counter_get(&tenant.counters.keys), keys);
	assert_int_equal(counter_get(&tenant.counters.bytes), bytes);
	assert_int_equal(counter_get(&arena_counters(shard->arena)->used_by_kind[ARENA_ENTRY]), blocks);
}

/* Returns the keys in the order of use. Both directions of the list must agree. */
static unsigned *order(unsigned *count) {
	unsigned *numbers = calloc(KEYS, sizeof *numbers);
	ref before = 0;
	*count = 0;
	for (ref r = tenant.record->lru.newest; r != 0; r = entry_at(shard, r)->lru_next) {
		const struct slice name = entry_key(entry_at(shard, r));
		assert_int_equal(entry_at(shard, r)->lru_prev, before);
		assert_true(*count < KEYS);
		numbers[(*count)++] = (unsigned)strtoul(name.data + 4, NULL, 10);
		before = r;
	}
	assert_int_equal(tenant.record->lru.oldest, before);
	return numbers;
}

static uint64_t resident(void) {
	return counter_get(&arena_counters(shard->arena)->resident);
}
static uint64_t used(void) {
	return counter_get(&arena_counters(shard->arena)->used);
}
static uint64_t moved(void) {
	return counter_get(&shard_counters(shard)->moved);
}

static void turn(void) {
	shard_set_now(shard, now, 1);
}

static void work_to_the_end(void) {
	unsigned slices = 0;
	turn();
	while (shard_work(shard, 64 + (unsigned)draw(600)))
		assert_true(++slices < 200000);
	assert_false(compact_under_way(shard));
}

static int setup(void **state) {
	(void)state;
	now = START;
	memset(model, 0, sizeof model);
	assert_int_equal(shard_new(&shard, &(struct shard_options){0}), 0);
	turn();
	tenant_init(&tenant, shard, &(struct tenant_limits){0});
	assert_int_equal(shard_open_tenant(shard, &tenant), 0);
	tenant_set_limits(&tenant, &(struct tenant_limits){0}, 0);
	return 0;
}

static int teardown(void **state) {
	(void)state;
	shard_close_tenant(shard, &tenant);
	work_to_the_end();
	assert_int_equal(counter_get(&arena_counters(shard->arena)->used_by_kind[ARENA_ENTRY]), 0);
	shard_free(shard);
	return 0;
}

static size_t random_len(void) {
	return draw(20) == 0 ? draw(VALUE) : 10 + draw(100);
}

static void populate(void) {
	for (unsigned n = 0; n < KEYS; n++)
		set(n, random_len(), draw(3) == 0 ? START + 1000 + (int64_t)draw(1000000) : 0);
}

/* Deletes random keys. */
static void thin_out(unsigned one_in) {
	for (unsigned n = 0; n < KEYS; n++)
		if (draw(one_in) != 0)
			del(n);
}

static void test_compaction_changes_nothing_that_a_client_sees(void **state) {
	(void)state;
	populate();
	thin_out(4);
	unsigned before, after;
	unsigned *numbers = order(&before);
	uint64_t bytes = used();
	assert_true(resident() > bytes * 2);
	work_to_the_end();
	assert_true(moved() > 0);
	assert_int_equal(counter_get(&tenant.counters.moved), moved());
	unsigned *again = order(&after);
	assert_int_equal(before, after);
	assert_memory_equal(numbers, again, before * sizeof *numbers);
	free(numbers);
	free(again);
	assert_true(used() <= bytes);
	/* The slack, and half a slab of each class. */
	assert_true(resident() <= used() + used() / 4 + 2 * MIB + CLASSES * SLAB_PAGES * ARENA_PAGE / 2);
	check();
}

static void test_a_purge_leaves_almost_no_free_memory(void **state) {
	(void)state;
	populate();
	thin_out(2);
	shard_purge(shard);
	work_to_the_end();
	/* No class has a slab to spare. */
	for (unsigned class = 0; class < CLASSES; class ++) {
		uint64_t spare = 0;
		for (uint32_t page = shard->arena->header->partial[ARENA_ENTRY][class]; page != 0;
		     page = descriptor(shard->arena, page)->next)
			spare += SLAB_UNITS / (arena_class_size(class) / ARENA_UNIT) -
				 descriptor(shard->arena, page)->used;
		assert_true(spare < SLAB_UNITS / (arena_class_size(class) / ARENA_UNIT));
	}
	assert_int_equal(shard->arena->header->dirty, 0);
	assert_true(resident() <= used() + CLASSES * SLAB_PAGES * ARENA_PAGE);
	check();
}

static void test_commands_run_during_a_compaction(void **state) {
	(void)state;
	populate();
	thin_out(3);
	turn();
	unsigned slices = 0;
	for (; shard_work(shard, 1 + (unsigned)draw(200)) && slices < 100000; slices++) {
		for (uint64_t i = draw(4); i > 0; i--) {
			unsigned n = (unsigned)draw(KEYS);
			if (draw(3) == 0)
				set(n, random_len(), draw(3) == 0 ? START + 100000 : 0);
			else
				del(n);
		}
		turn();
	}
	assert_true(slices > 50 && moved() > 0);
	assert_false(compact_under_way(shard));
	check();
}

static void test_moved_entries_keep_their_deadlines(void **state) {
	(void)state;
	populate();
	thin_out(4);
	work_to_the_end();
	assert_true(moved() > 0);
	for (unsigned step = 0; step < 20; step++) {
		now += 1 + (int64_t)draw(70000);
		work_to_the_end();
		for (unsigned n = 0; n < KEYS; n++)
			model[n].there &= model[n].deadline == 0 || model[n].deadline > now;
		check();
	}
}

static void test_a_steady_state_starts_no_compaction(void **state) {
	(void)state;
	populate();
	work_to_the_end();
	assert_int_equal(moved(), 0);
	/* New entries fill the gaps of deleted ones. */
	for (unsigned i = 0; i < 3 * KEYS; i++) {
		unsigned n = (unsigned)draw(KEYS);
		set(n, random_len(), 0);
		if (i % 100 == 0)
			work_to_the_end();
	}
	assert_true(moved() < KEYS / 4);
	/* No other compaction follows at once. */
	thin_out(4);
	work_to_the_end();
	uint64_t before = moved();
	for (unsigned i = 0; i < 10; i++)
		work_to_the_end();
	assert_int_equal(moved(), before);
}

static void test_entries_of_dropped_databases_do_not_move(void **state) {
	(void)state;
	populate();
	thin_out(3);
	keyspace_flush(&tenant, 1);
	for (unsigned n = 1; n < KEYS; n += 3)
		model[n].there = false;
	shard_purge(shard);
	turn();
	while (shard_work(shard, 7))
		assert_true(shard->root->dropped == 0 || moved() == 0);
	assert_true(moved() > 0);
	check();
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_compaction_changes_nothing_that_a_client_sees, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_purge_leaves_almost_no_free_memory, setup, teardown),
		cmocka_unit_test_setup_teardown(test_commands_run_during_a_compaction, setup, teardown),
		cmocka_unit_test_setup_teardown(test_moved_entries_keep_their_deadlines, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_steady_state_starts_no_compaction, setup, teardown),
		cmocka_unit_test_setup_teardown(test_entries_of_dropped_databases_do_not_move, setup, teardown),
	};
	seed = random_seed();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
