/* Values of any type: the store handles a second type by its row. The crash is a shard that is opened again without
 * having been saved. */
#include <unistd.h>

#include "atomdb/store/drop.h"
#include "atomdb/store/pin.h"
#include "atomdb/store/relocate.h"
#include "atomdb/store/undo.h"
#include "store/arena/adopt.h"
#include "store/as_string.h"
#include "store/box.h"
#include "store/keyspace/value_type.h"
#include "store/shard/compact.h"
#include "store/store.h"

struct fixture {
	struct shard *shard;
	struct tenant tenant;
};

static void set_up(struct fixture *f, const struct tenant_limits *limits) {
	memset(boxes, 0, sizeof(boxes));
	f->shard = NULL;
	assert_int_equal(shard_new(&f->shard, &(struct shard_options){.types = box_types()}), 0);
	shard_set_now(f->shard, STORE_NOW, 1);
	store_open(f->shard, &f->tenant, limits);
}

static void tear_down(struct fixture *f) {
	store_close(f->shard, &f->tenant);
	assert_int_equal(boxes_used(), 0);
}

static void put_box(struct fixture *f, const char *name, const char *content, int64_t deadline) {
	struct key key = store_key(&f->tenant, 0, name);
	assert_int_equal(box_set(&f->tenant, &key, store_find(&f->tenant, 0, name), slice_of(content), deadline), 0);
}

static bool holds(struct fixture *f, const char *name, const char *content) {
	const struct entry *e = store_find(&f->tenant, 0, name);
	return e != NULL && strcmp(value_type_of(&f->tenant, e)->name, "box") == 0 &&
	       slice_equal(box_content(e), slice_of(content));
}

static void delete (struct fixture *f, const char *name) {
	struct key key = store_key(&f->tenant, 0, name);
	keyspace_delete(&f->tenant, &key, store_find(&f->tenant, 0, name));
}

static void test_every_form_of_a_string_is_a_string(void **state) {
	struct fixture f;
	struct key key;
	char *bytes;
	(void)state;
	set_up(&f, &(struct tenant_limits){0});
	key = store_key(&f.tenant, 0, "k");
	const struct value_type *string = &value_types.rows[ENTRY_TAG_DIGITS];
	assert_int_equal(string_set(&f.tenant, &key, NULL, SLICE("text"), 0), 0);
	assert_string_equal(value_type_of(&f.tenant, store_find(&f.tenant, 0, "k"))->name, string->name);
	assert_int_equal(string_set(&f.tenant, &key, store_find(&f.tenant, 0, "k"), SLICE("1234567890"), 0), 0);
	assert_string_equal(value_type_of(&f.tenant, store_find(&f.tenant, 0, "k"))->name, string->name);
	assert_int_equal(string_set_text(&f.tenant, &key, store_find(&f.tenant, 0, "k"), SLICE("12"), 0), 0);
	assert_string_equal(value_type_of(&f.tenant, store_find(&f.tenant, 0, "k"))->name, string->name);
	assert_int_equal(string_resize(&f.tenant, &key, as_string(store_find(&f.tenant, 0, "k")), 3,
				       (struct span){0, 1}, &bytes),
			 0);
	keyspace_commit(f.shard);
	assert_string_equal(value_type_of(&f.tenant, store_find(&f.tenant, 0, "k"))->name, string->name);
	tear_down(&f);
}

static void test_a_string_lookup_refuses_a_value_of_another_type(void **state) {
	struct fixture f;
	struct string *found = NULL;
	(void)state;
	set_up(&f, &(struct tenant_limits){0});
	struct key key = store_key(&f.tenant, 0, "k");
	put_box(&f, "k", "content", 0);
	assert_int_equal(string_find(&f.tenant, &key, LOOKUP_READ, &found), ATOMDB_E_WRONGTYPE);
	assert_null(found);
	assert_int_equal(counter_get(&f.tenant.counters.hits), 1);
	tear_down(&f);
}

static void test_what_an_entry_holds_outside_goes_with_it(void **state) {
	struct fixture f;
	(void)state;
	set_up(&f, &(struct tenant_limits){0});
	put_box(&f, "deleted", "a", 0);
	delete (&f, "deleted");
	assert_int_equal(boxes_used(), 0);
	put_box(&f, "overwritten", "b", 0);
	assert_int_equal(store_put(&f.tenant, 0, "overwritten", "text", 0), 0);
	assert_int_equal(boxes_used(), 0);
	put_box(&f, "expired", "c", STORE_NOW + 5);
	shard_set_now(f.shard, STORE_NOW + 10, 2);
	store_settle(f.shard);
	assert_int_equal(boxes_used(), 0);
	put_box(&f, "flushed", "d", 0);
	put_box(&f, "with a deadline", "e", STORE_NOW + 1000);
	keyspace_flush(&f.tenant, 0);
	store_settle(f.shard);
	assert_int_equal(boxes_used(), 0);
	put_box(&f, "of a closed tenant", "f", 0);
	tear_down(&f);
}

static void test_eviction_frees_what_an_entry_holds_outside(void **state) {
	struct fixture f;
	(void)state;
	set_up(&f, &(struct tenant_limits){.max_entries = 10, .eviction = EVICTION_LRU});
	for (unsigned i = 0; i < 100; i++) {
		char name[16];
		snprintf(name, sizeof(name), "k%u", i);
		put_box(&f, name, name, 0);
		assert_true(holds(&f, name, name));
	}
	assert_int_equal(counter_get(&f.tenant.counters.keys), 10);
	assert_int_equal(boxes_used(), 10);
	tear_down(&f);
}

/* The undo log keeps what a command removed: a crash may still bring it back. */
static void test_a_scope_frees_what_it_removed_at_its_commit(void **state) {
	struct fixture f;
	(void)state;
	set_up(&f, &(struct tenant_limits){0});
	put_box(&f, "deleted", "a", 0);
	put_box(&f, "overwritten", "b", 0);
	put_box(&f, "moved", "c", 0);
	keyspace_begin(f.shard);
	delete (&f, "deleted");
	assert_int_equal(store_put(&f.tenant, 0, "overwritten", "text", 0), 0);
	struct key from = store_key(&f.tenant, 0, "moved"), to = store_key(&f.tenant, 0, "to");
	assert_int_equal(keyspace_move(&f.tenant, &from, store_find(&f.tenant, 0, "moved"), &to, NULL), 0);
	assert_int_equal(boxes_used(), 3);
	keyspace_commit(f.shard);
	assert_int_equal(boxes_used(), 1);
	assert_true(holds(&f, "to", "c"));
	tear_down(&f);
}

static void test_a_copy_shares_nothing_with_its_source(void **state) {
	struct fixture f;
	(void)state;
	set_up(&f, &(struct tenant_limits){0});
	struct key to = store_key(&f.tenant, 0, "to");
	put_box(&f, "from", "content", 0);
	put_box(&f, "to", "replaced", 0);
	assert_int_equal(
		keyspace_copy(&f.tenant, store_find(&f.tenant, 0, "from"), &to, store_find(&f.tenant, 0, "to")), 0);
	assert_int_equal(boxes_used(), 2);
	delete (&f, "from");
	assert_true(holds(&f, "to", "content"));
	tear_down(&f);
}

static void test_a_copy_that_fails_changes_nothing(void **state) {
	struct fixture f;
	(void)state;
	set_up(&f, &(struct tenant_limits){0});
	struct key to = store_key(&f.tenant, 0, "to");
	put_box(&f, "from", "unique", 0);
	assert_int_equal(store_put(&f.tenant, 0, "to", "text", 0), 0);
	uint64_t bytes = counter_get(&f.tenant.counters.bytes),
		 used = counter_get(&arena_counters(f.shard->arena)->used_by_kind[ARENA_ENTRY]);
	assert_int_equal(
		keyspace_copy(&f.tenant, store_find(&f.tenant, 0, "from"), &to, store_find(&f.tenant, 0, "to")),
		ATOMDB_E_OOM);
	assert_int_equal(counter_get(&f.tenant.counters.bytes), bytes);
	assert_int_equal(counter_get(&arena_counters(f.shard->arena)->used_by_kind[ARENA_ENTRY]), used);
	assert_true(holds(&f, "from", "unique"));
	assert_string_equal(value_type_of(&f.tenant, store_find(&f.tenant, 0, "to"))->name, "string");
	tear_down(&f);
}

static void test_a_value_that_moves_is_neither_copied_nor_freed(void **state) {
	struct fixture f;
	(void)state;
	set_up(&f, &(struct tenant_limits){0});
	put_box(&f, "from", "unique", 0); /* a copy would fail */
	put_box(&f, "to", "replaced", 0);
	struct key from = store_key(&f.tenant, 0, "from"), to = store_key(&f.tenant, 0, "to"),
		   away = store_key(&f.tenant, 3, "to");
	assert_int_equal(
		keyspace_move(&f.tenant, &from, store_find(&f.tenant, 0, "from"), &to, store_find(&f.tenant, 0, "to")),
		0);
	assert_true(holds(&f, "to", "unique"));
	assert_int_equal(boxes_used(), 1);
	assert_int_equal(keyspace_expire(&f.tenant, &to, store_find(&f.tenant, 0, "to"), STORE_NOW + 1000), 0);
	assert_int_equal(keyspace_expire(&f.tenant, &to, store_find(&f.tenant, 0, "to"), STORE_NOW + 2000), 0);
	assert_true(holds(&f, "to", "unique"));
	assert_int_equal(keyspace_expire(&f.tenant, &to, store_find(&f.tenant, 0, "to"), DEADLINE_NONE), 0);
	assert_true(holds(&f, "to", "unique"));
	assert_true(compact_move(f.shard, entry_ref(f.shard, store_find(&f.tenant, 0, "to"))));
	assert_true(holds(&f, "to", "unique"));
	assert_int_equal(keyspace_move(&f.tenant, &to, store_find(&f.tenant, 0, "to"), &away, NULL), 0);
	assert_int_equal(boxes_used(), 1);
	tear_down(&f);
}

/* In a long transaction the entry that moves stays charged, and its value has two entries until the commit. */
static void test_a_value_moves_in_a_transaction_that_fills_the_quota(void **state) {
	struct fixture f;
	(void)state;
	set_up(&f, &(struct tenant_limits){.max_memory = 1 << 20});
	struct key key = store_key(&f.tenant, 0, "k"), big = store_key(&f.tenant, 0, "big");
	static char value[100000];
	put_box(&f, "k", "unique", 0);
	assert_int_equal(string_set(&f.tenant, &big, NULL, (struct slice){value, sizeof(value)}, 0), 0);
	keyspace_begin_transaction(f.shard, 0);
	assert_int_equal(
		string_set(&f.tenant, &big, store_find(&f.tenant, 0, "big"), (struct slice){value, sizeof(value)}, 0),
		0);
	struct key to = store_key(&f.tenant, 0, "to");
	assert_int_equal(keyspace_move(&f.tenant, &key, store_find(&f.tenant, 0, "k"), &to, NULL), 0);
	keyspace_commit(f.shard);
	assert_true(holds(&f, "to", "unique"));
	tear_down(&f);
}

static void test_memory_includes_what_lies_outside_the_entry(void **state) {
	struct fixture f;
	(void)state;
	set_up(&f, &(struct tenant_limits){0});
	put_box(&f, "k", "0123456789", 0);
	const struct entry *e = store_find(&f.tenant, 0, "k");
	assert_int_equal(keyspace_memory(&f.tenant, e), entry_block_size(e) + 10);
	tear_down(&f);
}

/* Opens the shard again as after a crash, with these types. */
static void crash(struct fixture *f, const struct value_types *types) {
	struct shard *s = NULL;
	int fd = dup(shard_fd(f->shard));
	assert_int_equal(shard_new(&s, &(struct shard_options){.fd = fd, .now_ms = STORE_NOW, .types = types}), 0);
	assert_int_equal(shard_recovery(s)->kind, RECOVERY_CRASHED);
	arena_disown(f->shard->arena);
	shard_free(f->shard);
	f->shard = s;
	shard_set_now(s, STORE_NOW, 1);
}

static void test_recovery_keeps_a_type_that_it_knows_and_drops_another(void **state) {
	for (unsigned known = 0; known < 2; known++) {
		struct fixture f;
		(void)state;
		set_up(&f, &(struct tenant_limits){0});
		put_box(&f, "box", "content", 0);
		assert_int_equal(store_put(&f.tenant, 0, "text", "value", 0), 0);
		struct key digits = store_key(&f.tenant, 0, "digits");
		assert_int_equal(string_set_text(&f.tenant, &digits, NULL, SLICE("12"), 0), 0);
		crash(&f, known ? box_types() : NULL);
		assert_int_equal(shard_recovery(f.shard)->entries, 2 + known);
		assert_int_equal(shard_recovery(f.shard)->dropped, 1 - known);
		shard_free(f.shard);
	}
}

/* As after a downgrade that was not a crash. */
static void test_an_unknown_tag_is_no_string_and_cannot_be_copied_or_dumped(void **state) {
	struct fixture f;
	struct string *found = NULL;
	struct buffer out;
	(void)state;
	set_up(&f, &(struct tenant_limits){0});
	put_box(&f, "k", "content", 0);
	f.shard->types = &value_types;
	struct key key = store_key(&f.tenant, 0, "k"), to = store_key(&f.tenant, 0, "to");
	struct entry *e = store_find(&f.tenant, 0, "k");
	const struct value_type *type = value_type_of(&f.tenant, e);
	buffer_init(&out);
	assert_int_equal(string_find(&f.tenant, &key, LOOKUP_READ, &found), ATOMDB_E_WRONGTYPE);
	assert_string_equal(type->name, "unknown");
	assert_string_equal(type->encoding(e), "unknown");
	assert_false(type->is_sound(e));
	assert_int_equal(type->dump(&f.tenant, e, (struct value_room){&out, SIZE_MAX}), ATOMDB_E_WRONGTYPE);
	assert_int_equal(keyspace_copy(&f.tenant, e, &to, NULL), ATOMDB_E_WRONGTYPE);
	assert_int_equal(keyspace_memory(&f.tenant, e), entry_block_size(e));
	assert_null(value_type_for_rdb(&f.tenant, BOX_RDB_TYPE));
	assert_null(value_type_for_rdb(&f.tenant, 255));
	f.shard->types = box_types();
	assert_ptr_equal(value_type_for_rdb(&f.tenant, BOX_RDB_TYPE), &f.shard->types->rows[BOX_TAG]);
	tear_down(&f);
}

static void test_bytes_of_a_tagged_value_cannot_be_claimed_by_a_reader(void **state) {
	struct fixture f;
	struct slice bytes;
	(void)state;
	set_up(&f, &(struct tenant_limits){0});
	struct key key = store_key(&f.tenant, 0, "k");
	struct database *d = draft_database(&f.tenant, &key, 2 * PIN_MIN, 0);
	struct draft draft;
	assert_int_equal(draft_make(&f.tenant, d, &key, NULL, 2 * PIN_MIN, ENTRY_FORM, 0, 0, &draft), 0);
	memset(draft.value, BOX_TAG + 1, 2 * PIN_MIN);
	draft_seal(&draft);
	draft_publish(&f.tenant, d, &key, NULL, &draft);
	assert_null(pin_claim(&f.tenant, &(struct pin_place){draft.block, PIN_MIN, 10}, &bytes));
	tear_down(&f);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_form_of_a_string_is_a_string),
		cmocka_unit_test(test_a_string_lookup_refuses_a_value_of_another_type),
		cmocka_unit_test(test_what_an_entry_holds_outside_goes_with_it),
		cmocka_unit_test(test_eviction_frees_what_an_entry_holds_outside),
		cmocka_unit_test(test_a_scope_frees_what_it_removed_at_its_commit),
		cmocka_unit_test(test_a_copy_shares_nothing_with_its_source),
		cmocka_unit_test(test_a_copy_that_fails_changes_nothing),
		cmocka_unit_test(test_a_value_that_moves_is_neither_copied_nor_freed),
		cmocka_unit_test(test_a_value_moves_in_a_transaction_that_fills_the_quota),
		cmocka_unit_test(test_memory_includes_what_lies_outside_the_entry),
		cmocka_unit_test(test_recovery_keeps_a_type_that_it_knows_and_drops_another),
		cmocka_unit_test(test_an_unknown_tag_is_no_string_and_cannot_be_copied_or_dumped),
		cmocka_unit_test(test_bytes_of_a_tagged_value_cannot_be_claimed_by_a_reader),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
