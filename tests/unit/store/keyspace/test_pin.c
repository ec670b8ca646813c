/* Pins: a pinned value is unchanged whatever happens to its key. The tenant is charged for it once the key has lost it,
 * and the last release frees it. */
#include <stdlib.h>
#include <unistd.h>

#include "atomdb/store/drop.h"
#include "atomdb/store/keyspace.h"
#include "atomdb/store/shard.h"
#include "atomdb/store/shard_open.h"
#include "atomdb/store/shard_tenants.h"
#include "atomdb/store/string.h"
#include "atomdb/store/tenant.h"
#include "atomdb/store/undo.h"
#include "harness.h"
#include "store/as_string.h"
#include "store/keyspace/evict.h"
#include "store/keyspace/pin.h"

enum { SIZE = 3 << 20 };

struct fixture {
	struct shard *shard;
	struct tenant tenant;
	struct key key;
	char *value; /* owned */
};

static void start(struct fixture *f) {
	const struct tenant_limits limits = {0};
	assert_int_equal(shard_new(&f->shard, &(struct shard_options){.id = 0}), 0);
	shard_set_now(f->shard, 1700000000000, 1);
	tenant_init(&f->tenant, f->shard, &limits);
	shard_set_defaults(f->shard, &limits);
	assert_int_equal(shard_open_tenant(f->shard, &f->tenant), 0);
	f->key = keyspace_key(&f->tenant, keyspace_db_slot(&f->tenant, 0), slice_of("key"));
	f->value = malloc(SIZE);
	assert_non_null(f->value);
	for (size_t i = 0; i < SIZE; i++)
		f->value[i] = (char)(i * 31 >> 3);
}

static void stop(struct fixture *f) {
	shard_close_tenant(f->shard, &f->tenant);
	while (shard_work(f->shard, 1000)) {
	}
	assert_int_equal(counter_get(&arena_counters(f->shard->arena)->used_by_kind[ARENA_ENTRY]), 0);
	shard_free(f->shard);
	free(f->value);
}

static struct entry *find(struct fixture *f) {
	return keyspace_find(&f->tenant, &f->key, LOOKUP_PEEK);
}

static void set(struct fixture *f) {
	const struct slice value = {f->value, SIZE};
	assert_int_equal(string_set(&f->tenant, &f->key, find(f), value, DEADLINE_NONE), 0);
}

static void overwrite(struct fixture *f) {
	assert_int_equal(string_set(&f->tenant, &f->key, find(f), SLICE("small"), DEADLINE_NONE), 0);
}

static void remove_key(struct fixture *f) {
	keyspace_delete(&f->tenant, &f->key, find(f));
}

static void delete_in_undo_scope(struct fixture *f) {
	keyspace_begin(f->shard);
	remove_key(f);
	keyspace_commit(f->shard);
}

static void flush(struct fixture *f) {
	keyspace_flush(&f->tenant, TENANT_DATABASES);
	while (shard_work(f->shard, 1000)) {
	}
}

static void evict(struct fixture *f) {
	assert_true(evict_oldest(&f->tenant, 0));
}

static void expire(struct fixture *f) {
	assert_int_equal(keyspace_expire(&f->tenant, &f->key, find(f), shard_now(f->shard) + 5), 0);
	shard_set_now(f->shard, shard_now(f->shard) + 10, 2);
	while (shard_work(f->shard, 1000)) {
	}
	assert_null(find(f));
}

static void write_in_place(struct fixture *f) {
	char *bytes;
	assert_int_equal(string_resize(&f->tenant, &f->key, as_string(find(f)), SIZE, (struct span){7, 3}, &bytes), 0);
	memcpy(bytes + 7, "new", 3);
	keyspace_commit(f->shard);
}

static uint64_t charged(const struct fixture *f) {
	return counter_get(&f->tenant.counters.bytes);
}

static void a_pinned_value_is_unchanged(void **state) {
	static void (*const changes[])(struct fixture *) = {
		overwrite, remove_key, delete_in_undo_scope, flush, evict, expire, write_in_place,
	};
	(void)state;
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		struct fixture f;
		char text[STRING_TEXT];
		start(&f);
		set(&f);
		uint64_t before = charged(&f);
		struct slice pinned = string_value(as_string(find(&f)), text);
		struct pin *one = pin_take(&f.tenant, find(&f)), *two = pin_take(&f.tenant, find(&f));
		assert_non_null(one);
		assert_ptr_equal(one, two);
		assert_int_equal(charged(&f), before);
		changes[i](&f);
		assert_true(charged(&f) >= SIZE);
		/* Writes to all free memory. */
		set(&f);
		write_in_place(&f);
		assert_true(charged(&f) >= 2 * SIZE);
		pin_release(one);
		assert_memory_equal(pinned.data, f.value, SIZE);
		pin_release(two);
		assert_true(charged(&f) <= before);
		stop(&f);
	}
}

static void a_pin_costs_nothing_while_its_key_has_the_value(void **state) {
	struct fixture f;
	(void)state;
	start(&f);
	set(&f);
	uint64_t before = charged(&f);
	const char *at = entry_stored(find(&f)).data;
	pin_release(pin_take(&f.tenant, find(&f)));
	pin_release(NULL);
	assert_int_equal(charged(&f), before);
	write_in_place(&f);
	assert_ptr_equal(entry_stored(find(&f)).data, at);
	stop(&f);
}

/* ---- hand-over ---- */

static void adopt(void *context, uint32_t slot, const struct tenant_identity *identity) {
	struct fixture *f = context;
	(void)identity;
	shard_adopt_tenant(f->shard, slot, &f->tenant);
}

static void next_process(struct fixture *f, bool clean) {
	int fd = dup(shard_fd(f->shard));
	assert_true(fd > 0);
	if (clean)
		assert_int_equal(shard_save(f->shard), 0);
	shard_free(f->shard);
	assert_int_equal(shard_new(&f->shard, &(struct shard_options){.fd = fd, .now_ms = 1700000000000}), 0);
	shard_set_now(f->shard, 1700000000000, 1);
	tenant_init(&f->tenant, f->shard, &(struct tenant_limits){0});
	shard_each_tenant(f->shard, adopt, f);
	f->key = keyspace_key(&f->tenant, keyspace_db_slot(&f->tenant, 0), slice_of("key"));
}

/* Hands over half of the value: a client has read the other half. */
static struct pin_place leave_half(struct fixture *f, unsigned readers) {
	char text[STRING_TEXT];
	struct slice value = string_value(as_string(find(f)), text);
	struct pin *l = NULL;
	for (unsigned i = 0; i < readers; i++)
		l = pin_take(&f->tenant, find(f));
	return pin_place(l, (struct slice){value.data + SIZE / 2, SIZE - SIZE / 2});
}

static void leave(struct fixture *f, const struct pin_place *place, unsigned readers) {
	struct slice bytes;
	struct pin *l = pin_claim(&f->tenant, place, &bytes);
	assert_non_null(l);
	pin_release(l);
	pins_keep(f->shard);
	for (unsigned i = 0; i < readers; i++)
		pin_release(l);
}

static struct pin *claim_half(struct fixture *f, const struct pin_place *place) {
	struct slice bytes;
	struct pin *l = pin_claim(&f->tenant, place, &bytes);
	assert_non_null(l);
	assert_int_equal(bytes.len, SIZE - SIZE / 2);
	assert_memory_equal(bytes.data, f->value + SIZE / 2, bytes.len);
	return l;
}

static void a_pinned_value_continues_in_the_next_process(void **state) {
	static void (*const changes[])(struct fixture *) = {
		NULL, overwrite, remove_key, delete_in_undo_scope, flush, evict, expire, write_in_place,
	};
	(void)state;
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		struct fixture f;
		start(&f);
		uint64_t before = charged(&f);
		set(&f);
		struct pin_place place = leave_half(&f, 2);
		if (changes[i] != NULL)
			changes[i](&f);
		uint64_t whole = charged(&f);
		leave(&f, &place, 2);
		next_process(&f, true);
		struct pin *one = claim_half(&f, &place), *two = claim_half(&f, &place);
		assert_ptr_equal(one, two);
		assert_int_equal(charged(&f), whole);
		pins_drop_unclaimed(f.shard);
		set(&f);
		write_in_place(&f);
		pin_release(one);
		/* Hands the value over once more, and reads it to its end. */
		leave(&f, &place, 1);
		next_process(&f, true);
		one = claim_half(&f, &place);
		pins_drop_unclaimed(f.shard);
		keyspace_delete(&f.tenant, &f.key, find(&f));
		assert_true(charged(&f) >= SIZE);
		pin_release(one);
		assert_true(charged(&f) < before + 65536);
		stop(&f);
	}
}

static void an_unclaimed_block_is_freed(void **state) {
	(void)state;
	for (unsigned clean = 0; clean < 2; clean++) {
		struct fixture f;
		struct slice bytes;
		start(&f);
		set(&f);
		struct pin_place place = leave_half(&f, 1);
		remove_key(&f);
		leave(&f, &place, 1);
		next_process(&f, clean != 0);
		assert_int_equal(counter_get(&arena_counters(f.shard->arena)->used_by_kind[ARENA_ENTRY]) != 0, clean);
		pins_drop_unclaimed(f.shard);
		assert_int_equal(counter_get(&arena_counters(f.shard->arena)->used_by_kind[ARENA_ENTRY]), 0);
		assert_null(pin_claim(&f.tenant, &place, &bytes));
		stop(&f);
	}
}

/* The place that the process before hands over may have any content. */
static void a_wrong_place_is_refused(void **state) {
	struct fixture f;
	struct slice bytes;
	(void)state;
	start(&f);
	set(&f);
	struct tenant other;
	tenant_init(&other, f.shard, &(struct tenant_limits){0});
	assert_int_equal(shard_open_tenant(f.shard, &other), 0);
	const struct pin_place right = leave_half(&f, 1);
	remove_key(&f);
	leave(&f, &right, 1);
	assert_null(pin_claim(&other, &right, &bytes));
	set(&f);
	struct pin_place live = leave_half(&f, 1);
	assert_null(pin_claim(&other, &live, &bytes));
	const struct pin_place wrong[] = {
		{right.block, right.offset, right.length + (1 << 20)},
		{right.block, UINT64_MAX, right.length},
		{right.block, right.offset, UINT64_MAX - right.offset + 1},
		{right.block, right.offset, 0},
		{right.block, 0, 100},
		{live.block, SIZE * 2, 100},
		{live.block, 0, 100},
		{right.block + 1, right.offset, right.length},
		{live.block + 256, right.offset, 100},
		{0, right.offset, 100},
		{UINT32_MAX, right.offset, 100},
	};
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_null(pin_claim(&f.tenant, &wrong[i], &bytes));
	for (uint32_t block = 0; block < 70000; block++)
		if (block != right.block && block != live.block)
			assert_null(pin_claim(&f.tenant, &(struct pin_place){block, 100, 100}, &bytes));
	struct pin *l = claim_half(&f, &live);
	pin_release(l);
	pin_release(l);
	pin_release(claim_half(&f, &right));
	pins_drop_unclaimed(f.shard);
	shard_close_tenant(f.shard, &other);
	stop(&f);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_pinned_value_is_unchanged),
		cmocka_unit_test(a_pin_costs_nothing_while_its_key_has_the_value),
		cmocka_unit_test(a_pinned_value_continues_in_the_next_process),
		cmocka_unit_test(an_unclaimed_block_is_freed),
		cmocka_unit_test(a_wrong_place_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
