/* The charge of a tenant while a transaction is open, and while dropped databases are being freed. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "atomdb/store/drop.h"
#include "atomdb/store/keyspace.h"
#include "atomdb/store/pin.h"
#include "atomdb/store/relocate.h"
#include "atomdb/store/set_all.h"
#include "atomdb/store/shard.h"
#include "atomdb/store/shard_open.h"
#include "atomdb/store/shard_tenants.h"
#include "atomdb/store/string.h"
#include "atomdb/store/tenant.h"
#include "atomdb/util/error.h"
#include "atomdb/util/number.h"
#include "harness.h"
#include "store/as_string.h"
#include "store/keyspace/quota.h"
#include "store/keyspace/undo.h"

#define MIB ((size_t)1 << 20)
#define NOW 1700000000000

static char *large;

static struct shard *new_shard(int fd) {
	struct shard *s = NULL;
	assert_int_equal(shard_new(&s, &(struct shard_options){.fd = fd, .now_ms = NOW}), 0);
	shard_set_now(s, NOW, 1);
	return s;
}

static void open_tenant(struct shard *s, struct tenant *t, uint64_t quota) {
	struct tenant_limits limits = {.max_memory = quota};
	tenant_init(t, s, &limits);
	shard_set_defaults(s, &limits);
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

static uint64_t bytes_of(const struct tenant *t) {
	return counter_get(&t->counters.bytes);
}

static uint64_t used(const struct shard *s) {
	return counter_get(&arena_counters(s->arena)->used);
}

static struct key key_of(struct tenant *t, const char *name) {
	return keyspace_key(t, 0, slice_of(name));
}

static struct entry *find(struct tenant *t, const char *name) {
	struct key key = key_of(t, name);
	return keyspace_find(t, &key, LOOKUP_PEEK);
}

static int put(struct tenant *t, const char *name, size_t len) {
	struct key key = key_of(t, name);
	return string_set(t, &key, find(t, name), (struct slice){large, len}, DEADLINE_NONE);
}

static void del(struct tenant *t, const char *name) {
	struct key key = key_of(t, name);
	keyspace_delete(t, &key, find(t, name));
}

/* Overwrites a part of a value. */
static int overwrite(struct tenant *t, const char *name, size_t len, struct span span) {
	struct key key = key_of(t, name);
	char *bytes;
	int error = string_resize(t, &key, as_string(find(t, name)), len, span, &bytes);
	if (error == 0)
		keyspace_commit(t->shard);
	return error;
}

static void ignore_written(void *context, const struct key *key) {
	(void)context;
	(void)key;
}

static void test_a_transaction_has_to_fit_with_what_it_replaces(void **state) {
	(void)state;
	struct shard *s = new_shard(-1);
	struct tenant t;
	open_tenant(s, &t, 10 * MIB);
	assert_int_equal(put(&t, "a", 4 * MIB), 0);
	uint64_t before = bytes_of(&t);
	keyspace_begin_transaction(s, 0);
	assert_int_equal(put(&t, "a", 4 * MIB), 0);
	assert_in_range(bytes_of(&t), before + 4 * MIB, before + 5 * MIB);
	assert_int_equal(put(&t, "b", 7 * MIB), ATOMDB_E_OOM);
	/* Replaces the value that the transaction made. */
	for (unsigned i = 0; i < 20; i++)
		assert_int_equal(put(&t, "a", 4 * MIB + i), 0);
	assert_true(used(s) < 12 * MIB);
	keyspace_commit(s);
	assert_in_range(bytes_of(&t), before, before + 64);
	assert_int_equal(put(&t, "b", 4 * MIB), 0);
	close_all(s, &t);
}

static void test_a_single_command_needs_no_room_for_what_it_replaces(void **state) {
	(void)state;
	struct shard *s = new_shard(-1);
	struct tenant t;
	open_tenant(s, &t, 10 * MIB);
	assert_int_equal(put(&t, "a", 7 * MIB), 0);
	assert_int_equal(put(&t, "a", 8 * MIB), 0);
	assert_int_equal(overwrite(&t, "a", 8 * MIB, (struct span){0, 8 * MIB}), 0);
	assert_true(bytes_of(&t) <= 10 * MIB);
	close_all(s, &t);
}

static void test_saved_bytes_have_to_fit_into_a_transaction(void **state) {
	(void)state;
	struct shard *s = new_shard(-1);
	struct tenant t;
	open_tenant(s, &t, 10 * MIB);
	assert_int_equal(put(&t, "a", 3 * MIB), 0);
	uint64_t before = bytes_of(&t);
	keyspace_begin_transaction(s, 0);
	/* The same bytes are saved once. */
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(overwrite(&t, "a", 3 * MIB, (struct span){0, 3 * MIB}), 0);
	assert_in_range(bytes_of(&t), before + 3 * MIB, before + 4 * MIB);
	assert_int_equal(overwrite(&t, "a", 3 * MIB, (struct span){1, 3 * MIB - 1}), 0);
	assert_in_range(bytes_of(&t), before + 6 * MIB, before + 7 * MIB);
	assert_int_equal(overwrite(&t, "a", 3 * MIB, (struct span){2, 3 * MIB - 2}), ATOMDB_E_OOM);
	assert_true(bytes_of(&t) <= 10 * MIB);
	keyspace_commit(s);
	assert_int_equal(bytes_of(&t), before);
	close_all(s, &t);
}

/* Fills the tenant up to the last byte of its quota. */
static void fill_up(struct tenant *t) {
	char name[16];
	for (unsigned i = 0, len = 1 << 20; len > 0; len /= 2)
		for (int error = 0; error == 0; i++) {
			snprintf(name, sizeof name, "fill%u", i);
			error = put(t, name, len);
		}
}

static void test_a_patch_takes_no_memory_of_the_tenant(void **state) {
	(void)state;
	struct shard *s = new_shard(-1);
	struct tenant t;
	open_tenant(s, &t, 4 * MIB);
	t.limits.eviction = EVICTION_NONE;
	assert_int_equal(put(&t, "a", PIN_MIN), 0);
	fill_up(&t);
	struct key a = key_of(&t, "a");
	uint64_t before = bytes_of(&t);
	char *bytes;
	keyspace_begin_transaction(s, 0);
	assert_true(string_patch(&t, &a, as_string(find(&t, "a")), (struct span){8, 8}, &bytes));
	memcpy(bytes + 8, "patched!", 8);
	keyspace_commit(s);
	keyspace_commit(s);
	char text[STRING_TEXT];
	struct slice value = string_value(as_string(find(&t, "a")), text);
	assert_memory_equal(value.data + 8, "patched!", 8);
	assert_int_equal(bytes_of(&t), before);
	/* A pinned value would have to be copied. */
	struct pin *pin = pin_take(&t, find(&t, "a"));
	assert_false(string_patch(&t, &a, as_string(find(&t, "a")), (struct span){8, 8}, &bytes));
	pin_release(pin);
	assert_int_equal(s->scope.depth, 0);
	close_all(s, &t);
}

static int set_pairs(struct tenant *t, const struct slice *pairs, size_t count) {
	return string_set_all(t, 0, pairs, count, ignore_written, NULL);
}

/* Runs each command of a short transaction in a tenant that is nearly full. */
static void run_short_transaction(struct shard *s, struct tenant *t) {
	struct key a = key_of(t, "a"), b = key_of(t, "b"), moved = key_of(t, "c");
	const struct slice pairs[] = {SLICE("a"), {large, 1000}, SLICE("b"), {large, 1000}};
	/* the queued commands */
	assert_int_equal(tenant_charge(t, 500), 0);
	uint64_t before = bytes_of(t), keys = counter_get(&t->counters.keys);
	keyspace_begin_transaction(s, 500);
	assert_int_equal(put(t, "a", 1000), 0);
	assert_int_equal(put(t, "a", 1000), 0);
	assert_int_equal(overwrite(t, "b", 1000, (struct span){0, 1000}), 0);
	assert_int_equal(set_pairs(t, pairs, 2), 0);
	assert_int_equal(keyspace_move(t, &b, find(t, "b"), &moved, NULL), 0);
	assert_int_equal(keyspace_copy(t, find(t, "c"), &a, find(t, "a")), 0);
	assert_int_equal(keyspace_move(t, &moved, find(t, "c"), &b, NULL), 0);
	keyspace_commit(s);
	assert_int_equal(bytes_of(t), before);
	assert_int_equal(counter_get(&t->counters.keys), keys);
	tenant_discharge(t, 500);
}

static void test_a_short_transaction_needs_no_room_for_what_it_replaces(void **state) {
	(void)state;
	struct shard *s = new_shard(-1);
	struct tenant t;
	open_tenant(s, &t, 4 * MIB);
	t.limits.eviction = EVICTION_NONE;
	assert_int_equal(put(&t, "a", 1000), 0);
	assert_int_equal(put(&t, "b", 1000), 0);
	assert_int_equal(put(&t, "spare", 100), 0);
	fill_up(&t);
	del(&t, "spare"); /* for the table */
	run_short_transaction(s, &t);
	t.limits.eviction = EVICTION_LRU;
	run_short_transaction(s, &t);
	close_all(s, &t);
}

static void test_a_long_transaction_needs_room_for_what_it_replaces(void **state) {
	(void)state;
	struct shard *s = new_shard(-1);
	struct tenant t;
	char name[16];
	unsigned replaced = 0, error = 0;
	open_tenant(s, &t, 4 * MIB);
	t.limits.eviction = EVICTION_NONE;
	for (unsigned i = 0; i < 1000; i++) {
		snprintf(name, sizeof name, "k%u", i);
		assert_int_equal(put(&t, name, 1000), 0);
	}
	fill_up(&t);
	uint64_t before = bytes_of(&t);
	keyspace_begin_transaction(s, 0);
	for (; error == 0; replaced += error == 0) {
		snprintf(name, sizeof name, "k%u", replaced);
		error = put(&t, name, 1000) != 0;
	}
	/* 1/64 of the quota. */
	assert_in_range(replaced, 40, 70);
	assert_true(bytes_of(&t) <= before + 4 * MIB / 64 + 2048);
	/* Both at once do not fit. */
	struct slice *pairs = malloc(2000 * sizeof *pairs);
	static char names[1000][16];
	for (unsigned i = 0; i < 1000; i++) {
		snprintf(names[i], sizeof names[i], "k%u", i);
		pairs[2 * i] = slice_of(names[i]);
		pairs[2 * i + 1] = (struct slice){large, 1000};
	}
	keyspace_commit(s);
	keyspace_begin_transaction(s, 0);
	assert_int_equal(set_pairs(&t, pairs, 1000), ATOMDB_E_OOM);
	assert_int_equal(set_pairs(&t, pairs, 40), 0);
	keyspace_commit(s);
	free(pairs);
	assert_int_equal(bytes_of(&t), before);
	close_all(s, &t);
}

static void test_keys_may_be_set_in_the_transaction_that_flushes(void **state) {
	(void)state;
	struct shard *s = new_shard(-1);
	struct tenant t;
	open_tenant(s, &t, 4 * MIB);
	t.limits.eviction = EVICTION_NONE;
	fill_up(&t);
	keyspace_begin_transaction(s, 0);
	keyspace_flush(&t, 0);
	assert_int_equal(put(&t, "a", 1000), 0);
	assert_int_equal(put(&t, "b", 1000), 0);
	assert_int_equal(put(&t, "c", 128 << 10), ATOMDB_E_OOM);
	keyspace_commit(s);
	assert_int_equal(put(&t, "c", 128 << 10), 0);
	close_all(s, &t);
}

static void test_moved_and_removed_values_stay_charged(void **state) {
	(void)state;
	struct shard *s = new_shard(-1);
	struct tenant t;
	open_tenant(s, &t, 10 * MIB);
	assert_int_equal(put(&t, "a", 4 * MIB), 0);
	keyspace_begin_transaction(s, 0);
	struct key a = key_of(&t, "a"), b = key_of(&t, "b"), c = key_of(&t, "c");
	assert_int_equal(keyspace_move(&t, &a, find(&t, "a"), &b, NULL), 0);
	assert_true(bytes_of(&t) > 8 * MIB);
	assert_int_equal(keyspace_move(&t, &b, find(&t, "b"), &c, NULL), 0); /* the transaction made b */
	del(&t, "c");
	assert_in_range(bytes_of(&t), 4 * MIB, 5 * MIB);
	assert_int_equal(put(&t, "d", 6 * MIB), ATOMDB_E_OOM);
	keyspace_commit(s);
	assert_true(bytes_of(&t) < MIB);
	assert_int_equal(put(&t, "d", 6 * MIB), 0);
	close_all(s, &t);
}

static void test_entries_that_come_and_go_leave_no_memory_behind(void **state) {
	(void)state;
	struct shard *s = new_shard(-1);
	struct tenant t;
	open_tenant(s, &t, 0);
	keyspace_begin_transaction(s, 0);
	for (unsigned i = 0; i < 100000; i++) {
		char name[16];
		snprintf(name, sizeof name, "k%u", i);
		assert_int_equal(put(&t, name, 10 + i % 200), 0);
		del(&t, name);
		/* The block may be reused for another kind of memory. */
		if (i % 1000 == 0)
			assert_int_equal(put(&t, "large", 20000 + i), 0);
	}
	assert_true(counter_get(&arena_counters(s->arena)->used_by_kind[ARENA_ENTRY]) < 2 * MIB);
	assert_in_range(bytes_of(&t), 100000 * sizeof(struct undo), 8 * MIB); /* the log */
	keyspace_commit(s);
	assert_true(bytes_of(&t) < MIB);
	assert_int_equal(counter_get(&t.counters.keys), 1);
	assert_false(entry_fresh(find(&t, "large")));
	close_all(s, &t);
}

static void test_a_flush_is_no_room_before_the_commit(void **state) {
	(void)state;
	struct shard *s = new_shard(-1);
	struct tenant t;
	open_tenant(s, &t, 10 * MIB);
	assert_int_equal(put(&t, "a", 6 * MIB), 0);
	keyspace_begin_transaction(s, 0);
	keyspace_flush(&t, TENANT_DATABASES);
	assert_true(bytes_of(&t) > 6 * MIB);
	assert_int_equal(put(&t, "b", 6 * MIB), ATOMDB_E_OOM);
	keyspace_commit(s);
	/* After the commit the flushed bytes count as room, before they are freed. */
	for (unsigned i = 0; i < 40; i++) {
		assert_int_equal(put(&t, "b", 6 * MIB), 0);
		keyspace_flush(&t, TENANT_DATABASES);
		assert_true(used(s) < 21 * MIB);
	}
	assert_int_equal(counter_get(&t.counters.evictions), 0);
	while (shard_work(s, 1000)) {
	}
	assert_int_equal(t.dying, 0);
	assert_true(bytes_of(&t) < 1024);
	close_all(s, &t);
}

static void fill(struct tenant *t, unsigned count) {
	for (unsigned i = 0; i < count; i++) {
		char name[16];
		snprintf(name, sizeof name, "k%u", i);
		assert_int_equal(put(t, name, 100), 0);
	}
}

/* Entries that are being freed cause no eviction, and the memory in use does not grow. */
static void test_flushed_entries_make_way_as_others_come(void **state) {
	(void)state;
	struct shard *s = new_shard(-1);
	struct tenant t;
	open_tenant(s, &t, 4 * MIB);
	for (unsigned round = 0; round < 20; round++) {
		fill(&t, 20000);
		assert_int_equal(counter_get(&t.counters.keys), 20000);
		assert_true(used(s) <= 8 * MIB);
		assert_in_range(bytes_of(&t) - t.dying, 2 * MIB, 4 * MIB);
		keyspace_flush(&t, 0);
	}
	assert_int_equal(counter_get(&t.counters.evictions), 0);
	close_all(s, &t);
}

static void adopt(void *context, uint32_t slot, const struct tenant_identity *identity) {
	(void)identity;
	struct tenant *t = context;
	shard_adopt_tenant(t->shard, slot, t);
}

static struct shard *start_again(struct shard *s, struct tenant *t, bool clean) {
	int fd = dup(shard_fd(s));
	assert_true(fd > 0);
	if (clean)
		assert_int_equal(shard_save(s), 0);
	shard_free(s);
	s = new_shard(fd);
	tenant_init(t, s, &(struct tenant_limits){0});
	shard_each_tenant(s, adopt, t);
	return s;
}

static void test_the_charge_of_what_is_being_freed_outlives_a_clean_restart(void **state) {
	(void)state;
	struct shard *s = new_shard(-1);
	struct tenant t;
	open_tenant(s, &t, 0);
	fill(&t, 20000);
	keyspace_flush(&t, 0);
	fill(&t, 100);
	(void)shard_work(s, 1000);
	uint64_t bytes = bytes_of(&t), dying = t.dying;
	assert_true(dying > MIB);
	s = start_again(s, &t, true);
	assert_int_equal(bytes_of(&t), bytes);
	assert_int_equal(t.dying, dying);
	while (shard_work(s, 1000)) {
	}
	assert_int_equal(t.dying, 0);
	assert_int_equal(counter_get(&t.counters.keys), 100);
	close_all(s, &t);
}

static void test_after_a_crash_only_what_came_back_is_charged(void **state) {
	(void)state;
	struct shard *s = new_shard(-1);
	struct tenant t;
	open_tenant(s, &t, 0);
	fill(&t, 2000);
	uint64_t keys = counter_get(&t.counters.keys);
	keyspace_begin_transaction(s, 0);
	assert_int_equal(put(&t, "k1", 5 * MIB), 0);
	keyspace_flush(&t, 0);
	fill(&t, 10);
	s = start_again(s, &t, false);
	assert_int_equal(counter_get(&t.counters.keys), keys);
	assert_int_equal(t.dying, 0);
	assert_true(bytes_of(&t) < MIB);
	close_all(s, &t);
}

/* ---- a log that cannot grow ---- */

#define KEYS 30000

static struct shard *new_full_shard(struct memory_budget *budget, struct tenant *t) {
	struct shard *s = NULL;
	assert_int_equal(shard_new(&s, &(struct shard_options){.budget = budget}), 0);
	shard_set_now(s, NOW, 1);
	open_tenant(s, t, 0);
	fill(t, KEYS);
	return s;
}

/* Deletes keys until the log is full. Returns the number of those that went. */
static unsigned delete_until_full(struct tenant *t) {
	char name[16];
	for (unsigned i = 0; i < KEYS; i++) {
		snprintf(name, sizeof name, "k%u", i);
		struct key key = key_of(t, name);
		int error = keyspace_delete(t, &key, find(t, name));
		if (error != 0) {
			assert_int_equal(error, ATOMDB_E_OOM);
			assert_non_null(find(t, name));
			return i;
		}
	}
	return KEYS;
}

static void expect_refusals(struct tenant *t) {
	struct key number = key_of(t, "number"), text = key_of(t, "k29000"), moved = key_of(t, "moved");
	uint64_t keys = counter_get(&t->counters.keys), bytes = bytes_of(t);
	uint32_t notes = t->shard->root->undo_count;
	const struct slice pairs[] = {SLICE("k29001"), SLICE("x"), SLICE("k29002"), SLICE("x")};
	int64_t sum;
	assert_int_equal(put(t, "k29003", 10), ATOMDB_E_OOM);
	assert_int_equal(put(t, "another", 10), ATOMDB_E_OOM);
	assert_int_equal(string_add(t, &number, as_string(find(t, "number")), 1, &sum), ATOMDB_E_OOM);
	assert_int_equal(overwrite(t, "k29000", 100, (struct span){0, 4}), ATOMDB_E_OOM);
	assert_int_equal(string_make_raw(t, &text, as_string(find(t, "k29000"))), ATOMDB_E_OOM);
	assert_int_equal(keyspace_expire(t, &text, find(t, "k29000"), NOW + 1000), ATOMDB_E_OOM);
	assert_int_equal(keyspace_expire(t, &text, find(t, "k29000"), NOW - 1000), ATOMDB_E_OOM);
	assert_int_equal(keyspace_copy(t, find(t, "k29000"), &moved, NULL), ATOMDB_E_OOM);
	assert_int_equal(keyspace_move(t, &text, find(t, "k29000"), &moved, NULL), ATOMDB_E_OOM);
	assert_int_equal(string_set_all(t, 0, pairs, 2, ignore_written, NULL), ATOMDB_E_OOM);
	assert_int_equal(keyspace_flush(t, 0), ATOMDB_E_OOM);
	assert_int_equal(keyspace_swap(t, 0, 1), ATOMDB_E_OOM);
	assert_int_equal(keyspace_reserve(t, 2), ATOMDB_E_OOM);
	assert_int_equal(counter_get(&t->counters.keys), keys);
	assert_int_equal(bytes_of(t), bytes);
	assert_int_equal(t->shard->root->undo_count, notes);
	assert_non_null(find(t, "k29000"));
	assert_int_equal(keyspace_deadline(find(t, "k29000")), 0);
}

static void test_a_write_without_room_in_the_log_is_refused_and_the_scope_stays_whole(void **state) {
	(void)state;
	for (unsigned crashes = 0; crashes < 2; crashes++) {
		struct memory_budget budget = {0};
		struct tenant t;
		struct shard *s = new_full_shard(&budget, &t);
		struct key number = key_of(&t, "number");
		int64_t sum;
		assert_int_equal(string_add(&t, &number, NULL, 1234567890123, &sum), 0);
		uint64_t keys = counter_get(&t.counters.keys);
		keyspace_begin(s);
		assert_int_equal(keyspace_reserve(&t, 1), 0);
		budget.limit = 1;
		unsigned gone = delete_until_full(&t);
		assert_in_range(gone, 64, KEYS - 2000);
		expect_refusals(&t);
		if (crashes) {
			s = start_again(s, &t, false);
			assert_int_equal(counter_get(&t.counters.keys), keys);
		} else {
			keyspace_commit(s);
			assert_int_equal(counter_get(&t.counters.keys), keys - gone);
			budget.limit = 0;
			assert_int_equal(put(&t, "another", 10), 0);
		}
		close_all(s, &t);
	}
}

/* ---- a place is noted once a scope ---- */

static void test_a_number_that_is_counted_up_again_and_again_is_noted_once(void **state) {
	(void)state;
	enum { NUMBERS = 1000 };
	struct shard *s = new_shard(-1);
	struct tenant t;
	open_tenant(s, &t, 0);
	char name[16];
	int64_t sum;
	for (unsigned i = 0; i < NUMBERS; i++) {
		snprintf(name, sizeof name, "n%u", i);
		struct key key = key_of(&t, name);
		assert_int_equal(string_add(&t, &key, NULL, 1234567890123 + i, &sum), 0);
	}
	assert_int_equal(put(&t, "text", 3000), 0);
	uint64_t bytes = bytes_of(&t);
	keyspace_begin_transaction(s, 0);
	for (unsigned round = 0; round < 100; round++) {
		for (unsigned i = 0; i < NUMBERS; i++) {
			snprintf(name, sizeof name, "n%u", i);
			struct key key = key_of(&t, name);
			assert_int_equal(string_add(&t, &key, as_string(find(&t, name)), 1, &sum), 0);
		}
		assert_int_equal(overwrite(&t, "text", 3000, (struct span){100, 2000}), 0);
		assert_int_equal(overwrite(&t, "text", 3000, (struct span){5, 3}), 0);
		struct key key = key_of(&t, "text");
		assert_int_equal(string_make_raw(&t, &key, as_string(find(&t, "text"))), 0);
		assert_int_equal(keyspace_swap(&t, 1, 2), 0);
	}
	/* The numbers, two parts of the text, its header and its lengths, the order. */
	assert_int_equal(s->root->undo_count, NUMBERS + 5);
	assert_true(bytes_of(&t) - bytes < 64 * NUMBERS);
	s = start_again(s, &t, false);
	for (unsigned i = 0; i < NUMBERS; i++) {
		int64_t value;
		char text[STRING_TEXT];
		snprintf(name, sizeof name, "n%u", i);
		assert_true(number_parse(string_value(as_string(find(&t, name)), text), &value));
		assert_int_equal(value, 1234567890123 + i);
	}
	close_all(s, &t);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_transaction_has_to_fit_with_what_it_replaces),
		cmocka_unit_test(test_a_single_command_needs_no_room_for_what_it_replaces),
		cmocka_unit_test(test_saved_bytes_have_to_fit_into_a_transaction),
		cmocka_unit_test(test_a_patch_takes_no_memory_of_the_tenant),
		cmocka_unit_test(test_a_short_transaction_needs_no_room_for_what_it_replaces),
		cmocka_unit_test(test_a_long_transaction_needs_room_for_what_it_replaces),
		cmocka_unit_test(test_keys_may_be_set_in_the_transaction_that_flushes),
		cmocka_unit_test(test_moved_and_removed_values_stay_charged),
		cmocka_unit_test(test_entries_that_come_and_go_leave_no_memory_behind),
		cmocka_unit_test(test_a_flush_is_no_room_before_the_commit),
		cmocka_unit_test(test_flushed_entries_make_way_as_others_come),
		cmocka_unit_test(test_the_charge_of_what_is_being_freed_outlives_a_clean_restart),
		cmocka_unit_test(test_after_a_crash_only_what_came_back_is_charged),
		cmocka_unit_test(test_a_write_without_room_in_the_log_is_refused_and_the_scope_stays_whole),
		cmocka_unit_test(test_a_number_that_is_counted_up_again_and_again_is_noted_once),
	};
	large = malloc(16 * MIB);
	if (large == NULL)
		return 1;
	memset(large, 'x', 16 * MIB);
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	free(large);
	return failed;
}
