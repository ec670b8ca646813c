/* What is lent stays as it was whatever becomes of its key, is charged once the key has it no more, and is gone with
 * the last who reads it. */
#include <stdlib.h>

#include "harness.h"
#include "store/loan.h"

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
	f->key = keyspace_key(&f->tenant, keyspace_place(&f->tenant, 0), slice_of("key"));
	f->value = malloc(SIZE);
	assert_non_null(f->value);
	for (size_t i = 0; i < SIZE; i++)
		f->value[i] = (char)(i * 31 >> 3);
}

static void stop(struct fixture *f) {
	shard_close_tenant(f->shard, &f->tenant);
	while (shard_work(f->shard, 1000)) {
	}
	assert_int_equal(counter_get(&arena_figures(f->shard->arena)->used_by_kind[ARENA_ENTRY]), 0);
	shard_free(f->shard);
	free(f->value);
}

static struct entry *find(struct fixture *f) {
	return keyspace_find(&f->tenant, &f->key, LOOKUP_PEEK);
}

static void set(struct fixture *f) {
	const struct slice value = {f->value, SIZE};
	assert_int_equal(keyspace_set(&f->tenant, &f->key, find(f), value, DEADLINE_NONE), 0);
}

static void overwrite(struct fixture *f) {
	assert_int_equal(keyspace_set(&f->tenant, &f->key, find(f), SLICE("small"), DEADLINE_NONE), 0);
}

static void remove_key(struct fixture *f) {
	keyspace_delete(&f->tenant, &f->key, find(f));
}

static void delete_in_scope(struct fixture *f) {
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
	assert_true(keyspace_evict(&f->tenant, 0));
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
	assert_int_equal(keyspace_resize(&f->tenant, &f->key, find(f), SIZE, (struct span){7, 3}, &bytes), 0);
	memcpy(bytes + 7, "new", 3);
	keyspace_commit(f->shard);
}

static uint64_t charged(const struct fixture *f) {
	return counter_get(&f->tenant.figures.bytes);
}

static void stays_as_it_was(void **state) {
	static void (*const changes[])(struct fixture *) = {
		overwrite, remove_key, delete_in_scope, flush, evict, expire, write_in_place,
	};
	(void)state;
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		struct fixture f;
		char text[KEYSPACE_TEXT];
		start(&f);
		set(&f);
		uint64_t before = charged(&f);
		struct slice lent = keyspace_value(find(&f), text);
		struct loan *one = loan_take(&f.tenant, find(&f)), *two = loan_take(&f.tenant, find(&f));
		assert_non_null(one);
		assert_ptr_equal(one, two);
		assert_int_equal(charged(&f), before);
		changes[i](&f);
		assert_true(charged(&f) >= SIZE);
		/* Whatever is free is written to. */
		set(&f);
		write_in_place(&f);
		assert_true(charged(&f) >= 2 * SIZE);
		loan_return(one);
		assert_memory_equal(lent.data, f.value, SIZE);
		loan_return(two);
		assert_true(charged(&f) <= before);
		stop(&f);
	}
}

static void costs_nothing_while_it_is_there(void **state) {
	struct fixture f;
	(void)state;
	start(&f);
	set(&f);
	uint64_t before = charged(&f);
	const char *at = entry_stored(find(&f)).data;
	loan_return(loan_take(&f.tenant, find(&f)));
	loan_return(NULL);
	assert_int_equal(charged(&f), before);
	write_in_place(&f);
	assert_ptr_equal(entry_stored(find(&f)).data, at);
	stop(&f);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stays_as_it_was),
		cmocka_unit_test(costs_nothing_while_it_is_there),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
