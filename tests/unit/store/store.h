/* A shard with tenants, for tests of the store. */
#pragma once

#include <stdio.h>

#include "atomdb/store/keyspace.h"
#include "atomdb/store/shard.h"
#include "atomdb/store/shard_open.h"
#include "atomdb/store/shard_tenants.h"
#include "atomdb/store/string.h"
#include "atomdb/store/tenant.h"
#include "harness.h"
#include "store/keyspace/record.h"

#define STORE_NOW 1700000000000

static inline struct shard *store_shard(struct memory_budget *budget) {
	struct shard *s = NULL;
	assert_int_equal(shard_new(&s, &(struct shard_options){.budget = budget}), 0);
	shard_set_now(s, STORE_NOW, 1);
	return s;
}

static inline void store_open(struct shard *s, struct tenant *t, const struct tenant_limits *limits) {
	tenant_init(t, s, limits);
	shard_set_defaults(s, limits);
	assert_int_equal(shard_open_tenant(s, t), 0);
}

/* Lets the shard do all work that is due. Returns the number of slices. */
static inline unsigned store_settle(struct shard *s) {
	unsigned slices = 0;
	while (shard_work(s, 100))
		slices++;
	return slices;
}

/* Closes the tenant and the shard, and asserts that every block of an entry is free. */
static inline void store_close(struct shard *s, struct tenant *t) {
	shard_close_tenant(s, t);
	assert_int_equal(counter_get(&t->counters.bytes), 0);
	store_settle(s);
	assert_int_equal(counter_get(&arena_counters(s->arena)->used_by_kind[ARENA_ENTRY]), 0);
	shard_free(s);
}

static inline struct key store_key(const struct tenant *t, unsigned database, const char *name) {
	return keyspace_key(t, keyspace_db_slot(t, database), slice_of(name));
}

static inline struct entry *store_find(struct tenant *t, unsigned database, const char *name) {
	struct key key = store_key(t, database, name);
	return keyspace_find(t, &key, LOOKUP_PEEK);
}

static inline bool store_has(struct tenant *t, unsigned database, const char *name) {
	return store_find(t, database, name) != NULL;
}

static inline int store_put(struct tenant *t, unsigned database, const char *name, const char *value,
			    int64_t deadline) {
	struct key key = store_key(t, database, name);
	return string_set(t, &key, keyspace_find(t, &key, LOOKUP_PEEK), slice_of(value), deadline);
}

/* Sets `count` keys k0, k1, … in a database. */
static inline void store_fill(struct tenant *t, unsigned database, unsigned count, int64_t deadline) {
	for (unsigned i = 0; i < count; i++) {
		char name[16];
		snprintf(name, sizeof name, "k%u", i);
		assert_int_equal(store_put(t, database, name, "value", deadline), 0);
	}
}
