/* Drafts of entries: their deadlines, room and publication. */
#include <stdio.h>
#include <stdlib.h>

#include "atomdb/store/shard.h"
#include "atomdb/store/shard_open.h"
#include "atomdb/store/shard_tenants.h"
#include "atomdb/util/error.h"
#include "atomdb/util/fiber.h"
#include "store/as_string.h"
#include "store/keyspace/check.h"
#include "store/keyspace/draft.h"
#include "store/keyspace/record.h"
#include "store/store.h"

static void test_the_limits_of_a_tenant_bound_every_deadline(void **state) {
	(void)state;
	struct shard *s = store_shard(NULL);
	struct tenant t;
	store_open(s, &t, &(struct tenant_limits){.default_ttl = 5000, .max_ttl = 60000});
	int64_t now = shard_now(s);
	struct key key = store_key(&t, 0, "k");
	assert_int_equal(store_put(&t, 0, "k", "v", DEADLINE_NONE), 0);
	assert_int_equal(keyspace_deadline(keyspace_find(&t, &key, LOOKUP_PEEK)), now + 5000);
	assert_int_equal(store_put(&t, 0, "k", "v", now + 600000), 0);
	assert_int_equal(keyspace_deadline(keyspace_find(&t, &key, LOOKUP_PEEK)), now + 60000);
	assert_int_equal(keyspace_expire(&t, &key, keyspace_find(&t, &key, LOOKUP_PEEK), DEADLINE_NONE), 0);
	assert_int_equal(keyspace_deadline(keyspace_find(&t, &key, LOOKUP_PEEK)), now + 60000);
	assert_int_equal(keyspace_expire(&t, &key, keyspace_find(&t, &key, LOOKUP_PEEK), INT64_MAX), 0);
	assert_int_equal(keyspace_deadline(keyspace_find(&t, &key, LOOKUP_PEEK)), now + 60000);
	assert_int_equal(shard_deadline(s) <= now + 60000, true);
	shard_set_now(s, now + 60000, 1);
	assert_false(store_has(&t, 0, "k"));
	shard_close_tenant(s, &t);
	shard_free(s);
}

static void test_a_deadline_follows_the_limits(void **state) {
	(void)state;
	static const struct {
		int64_t default_ttl, max_ttl, asked, expected; /* relative to now; 0: none */
	} cases[] = {
		{0, 0, 0, 0},         {0, 0, 500, 500},     {5000, 0, 0, 5000},       {5000, 0, 500, 500},
		{0, 60000, 0, 60000}, {0, 60000, 500, 500}, {0, 60000, 90000, 60000}, {90000, 60000, 0, 60000},
	};
	struct shard *s = store_shard(NULL);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct tenant t;
		int64_t asked = cases[i].asked == 0 ? DEADLINE_NONE : STORE_NOW + cases[i].asked;
		int64_t expected = cases[i].expected == 0 ? 0 : STORE_NOW + cases[i].expected;
		store_open(s, &t,
			   &(struct tenant_limits){.default_ttl = cases[i].default_ttl, .max_ttl = cases[i].max_ttl});
		assert_int_equal(draft_deadline(&t, NULL, asked), expected);
		shard_close_tenant(s, &t);
	}
	shard_free(s);
}

static void test_an_entry_keeps_its_deadline_if_asked(void **state) {
	(void)state;
	struct shard *s = store_shard(NULL);
	struct tenant t;
	store_open(s, &t, &(struct tenant_limits){0});
	assert_int_equal(store_put(&t, 0, "k", "value", STORE_NOW + 700), 0);
	assert_int_equal(draft_deadline(&t, store_find(&t, 0, "k"), DEADLINE_KEEP), STORE_NOW + 700);
	assert_int_equal(draft_deadline(&t, NULL, DEADLINE_KEEP), 0);
	store_close(s, &t);
}

/* Writes `value` with a draft. */
static void write_draft(struct tenant *t, const char *name, const char *value) {
	struct key key = store_key(t, 0, name);
	struct entry *old = keyspace_find(t, &key, LOOKUP_PEEK);
	struct database *d = draft_database(t, &key, strlen(value), 0);
	struct draft draft;
	assert_non_null(d);
	assert_int_equal(draft_make(t, d, &key, old, strlen(value), 0, 0, 0, &draft), 0);
	assert_int_equal(draft.size, draft_size(&key, strlen(value), 0, 0));
	/* The key has the old value until the new one is published. */
	assert_ptr_equal(keyspace_find(t, &key, LOOKUP_PEEK), old);
	memcpy(draft.value, value, strlen(value));
	draft_seal(&draft);
	draft_publish(t, d, &key, old, &draft);
	assert_ptr_equal(keyspace_find(t, &key, LOOKUP_PEEK), draft.entry);
	assert_true(check_fits(draft.entry));
}

static void test_a_draft_is_found_once_it_is_published(void **state) {
	(void)state;
	char text[STRING_TEXT];
	struct shard *s = store_shard(NULL);
	struct tenant t;
	store_open(s, &t, &(struct tenant_limits){0});
	write_draft(&t, "k", "one");
	assert_int_equal(counter_get(&t.counters.keys), 1);
	write_draft(&t, "k", "another value");
	assert_int_equal(counter_get(&t.counters.keys), 1);
	assert_true(slice_equal(string_value(as_string(store_find(&t, 0, "k")), text), SLICE("another value")));
	store_close(s, &t);
}

static void test_only_entries_older_than_the_kept_one_make_room(void **state) {
	(void)state;
	struct shard *s = store_shard(NULL);
	struct tenant t;
	store_open(s, &t, &(struct tenant_limits){.max_entries = 3});
	store_fill(&t, 0, 3, DEADLINE_NONE);
	struct key key = store_key(&t, 0, "new");
	struct database *d = draft_database(&t, &key, 5, 0);
	struct draft draft;
	ref oldest = t.record->lru.oldest;
	assert_int_equal(draft_make(&t, d, &key, NULL, 5, 0, 0, oldest, &draft), ATOMDB_E_OOM);
	assert_int_equal(counter_get(&t.counters.evictions), 0);
	assert_int_equal(draft_make(&t, d, &key, NULL, 5, 0, 0, t.record->lru.newest, &draft), 0);
	assert_int_equal(counter_get(&t.counters.evictions), 1);
	arena_free(s->arena, draft.block, draft.size, ARENA_ENTRY);
	store_close(s, &t);
}

#define VALUES 16

/* Makes and discards a draft of 4 MiB. */
static void make_large(void *context) {
	struct tenant *t = context;
	struct key key = store_key(t, 0, "large");
	struct draft draft;
	assert_int_equal(draft_make(t, draft_database(t, &key, 4 * MIB, 0), &key, NULL, 4 * MIB, 0, 0, 0, &draft), 0);
	draft_discard(t->shard, &draft);
}

static void test_free_pages_go_back_in_slices_before_a_large_draft(void **state) {
	(void)state;
	struct shard *s = store_shard(NULL);
	struct tenant t;
	struct fiber_pool pool;
	store_open(s, &t, &(struct tenant_limits){0});
	char *value = calloc(1, MIB), name[] = "a";
	assert_non_null(value);
	for (unsigned i = 0; i < VALUES; i++) {
		struct key key = store_key(&t, 0, name);
		assert_int_equal(string_set(&t, &key, NULL, (struct slice){value, MIB}, DEADLINE_NONE), 0);
		name[0]++;
	}
	/* Each second one: the free pages do not hold a larger block. */
	for (name[0] = 'a'; name[0] < 'a' + VALUES; name[0] += 2) {
		struct key key = store_key(&t, 0, name);
		assert_int_equal(keyspace_delete(&t, &key, store_find(&t, 0, name)), 0);
	}
	uint64_t resident = counter_get(&arena_counters(s->arena)->resident);
	fiber_pool_init(&pool);
	struct fiber *f = fiber_take(&pool);
	assert_non_null(f);
	fiber_start(f, make_large, &t);
	while (!fiber_resume(f, 0)) {
		uint64_t now = counter_get(&arena_counters(s->arena)->resident);
		assert_true(now <= resident && resident - now <= MIB / 2);
		resident = now;
	}
	assert_in_range(f->slices, VALUES / 2, 100);
	fiber_put(&pool, f);
	fiber_pool_deinit(&pool);
	free(value);
	store_close(s, &t);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_limits_of_a_tenant_bound_every_deadline),
		cmocka_unit_test(test_a_deadline_follows_the_limits),
		cmocka_unit_test(test_an_entry_keeps_its_deadline_if_asked),
		cmocka_unit_test(test_a_draft_is_found_once_it_is_published),
		cmocka_unit_test(test_only_entries_older_than_the_kept_one_make_room),
		cmocka_unit_test(test_free_pages_go_back_in_slices_before_a_large_draft),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
