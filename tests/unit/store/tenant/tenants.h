/* A registry with some shards, for its tests, which act as the workers. */
#pragma once

#include <sodium.h>
#include <stdio.h>
#include <unistd.h>

#include "atomdb/store/keyspace.h"
#include "atomdb/store/registry.h"
#include "atomdb/store/registry_lifecycle.h"
#include "atomdb/store/registry_reload.h"
#include "atomdb/store/registry_walk.h"
#include "atomdb/store/shard.h"
#include "atomdb/store/shard_open.h"
#include "atomdb/store/shard_tenants.h"
#include "atomdb/store/string.h"
#include "atomdb/store/tenant.h"
#include "atomdb/util/error.h"
#include "harness.h"
#include "store/keyspace/record.h"

#define SHARDS 3

struct world {
	struct shard *shards[SHARDS];
	struct registry *registry;
	unsigned limits_changed, defaults_changed, removed, orphaned;
	struct tenant *last_removed, *last_orphaned;
	bool holds; /* messages with limits stay in `messages` until world_deliver() */
	struct limits_message {
		struct tenant *tenant; /* NULL: defaults */
		struct tenant_limits limits;
	} messages[16];
	unsigned message_count;
	struct tenant *told[16]; /* registry_limits_told() is to be called for these */
	unsigned told_count;
};

static inline void deliver(struct world *w, struct tenant *t, const struct tenant_limits *limits) {
	if (t != NULL) {
		tenant_set_limits(t, limits, 1);
		return;
	}
	for (unsigned i = 0; i < SHARDS; i++)
		shard_set_defaults(w->shards[i], limits);
}

static inline void post(struct world *w, struct tenant *t, const struct tenant_limits *limits) {
	if (!w->holds) {
		deliver(w, t, limits);
		return;
	}
	assert_true(w->message_count < 16);
	w->messages[w->message_count++] = (struct limits_message){t, *limits};
}

/* Has the workers take the oldest `count` messages with limits. */
static inline void world_deliver(struct world *w, unsigned count) {
	assert_true(count <= w->message_count);
	for (unsigned i = 0; i < count; i++)
		deliver(w, w->messages[i].tenant, &w->messages[i].limits);
	w->message_count -= count;
	memmove(w->messages, w->messages + count, w->message_count * sizeof w->messages[0]);
}

static inline void on_limits(void *context, struct tenant *t, const struct tenant_limits *limits) {
	struct world *w = context;
	w->limits_changed++;
	post(w, t, limits);
}

static inline void on_opened_limits(void *context, struct tenant *t, const struct tenant_limits *limits) {
	struct world *w = context;
	assert_true(w->told_count < 16);
	w->told[w->told_count++] = t;
	post(w, t, limits);
}

static inline void on_defaults(void *context, const struct tenant_limits *limits) {
	struct world *w = context;
	w->defaults_changed++;
	post(w, NULL, limits);
}

static inline void on_removed(void *context, struct tenant *t) {
	struct world *w = context;
	w->removed++;
	w->last_removed = t;
}

static inline void on_orphaned(void *context, struct tenant *t) {
	struct world *w = context;
	w->orphaned++;
	w->last_orphaned = t;
}

static inline struct tenant_config tenant_named(const char *name, const char *secret) {
	struct tenant_config c = {.secret_count = 1, .limits = {.max_entries = 5}};
	snprintf(c.name, sizeof c.name, "%s", name);
	secret_digest(slice_of(secret), &c.secrets[0]);
	return c;
}

static inline struct registry_hooks world_hooks(struct world *w) {
	return (struct registry_hooks){
		.limits_changed = on_limits,
		.opened_limits_changed = on_opened_limits,
		.defaults_changed = on_defaults,
		.removed = on_removed,
		.orphaned = on_orphaned,
		.context = w,
	};
}

static inline void world_open(struct world *w, const struct tenants_config *y) {
	memset(w, 0, sizeof *w);
	for (unsigned i = 0; i < SHARDS; i++) {
		assert_int_equal(shard_new(&w->shards[i], &(struct shard_options){.id = i, .worker = i}), 0);
		shard_set_now(w->shards[i], 1700000000000, 1);
	}
	struct registry_hooks hooks = world_hooks(w);
	assert_int_equal(registry_new(&w->registry, w->shards, SHARDS, y, &hooks, NULL), 0);
}

static inline void world_close(struct world *w) {
	registry_free(w->registry);
	for (unsigned i = 0; i < SHARDS; i++)
		shard_free(w->shards[i]);
}

static inline int auth(struct world *w, const char *name, const char *secret, struct tenant **t) {
	unsigned worker = 99;
	int error = registry_authenticate(w->registry, slice_of(name), slice_of(secret), t, &worker);
	if (error == 0)
		assert_int_equal(worker, shard_worker((*t)->shard));
	return error;
}

/* Acts as the worker for the first client of a tenant, and for a key. */
static inline void use(struct tenant *t) {
	assert_int_equal(shard_open_tenant(t->shard, t), 0);
}

static inline void put_key(struct tenant *t, const char *name) {
	use(t);
	struct key key = keyspace_key(t, 0, slice_of(name));
	assert_int_equal(string_set(t, &key, keyspace_find(t, &key, LOOKUP_PEEK), slice_of(name), DEADLINE_NONE), 0);
}

static inline bool has_key(struct tenant *t, const char *name) {
	use(t);
	struct key key = keyspace_key(t, 0, slice_of(name));
	return keyspace_find(t, &key, LOOKUP_PEEK) != NULL;
}

/* Ends the process, saved or not. The next process adopts the arenas with other workers. */
static inline void world_restart(struct world *w, const struct tenants_config *y, bool saved) {
	for (unsigned i = 0; i < SHARDS && saved; i++)
		assert_int_equal(shard_save(w->shards[i]), 0);
	registry_free(w->registry);
	w->told_count = 0;
	for (unsigned i = 0; i < SHARDS; i++) {
		int fd = dup(shard_fd(w->shards[i]));
		assert_true(fd > 0);
		shard_free(w->shards[i]);
		struct shard_options options = {.id = i, .worker = i % 2, .fd = fd, .now_ms = 1700000000000};
		assert_int_equal(shard_new(&w->shards[i], &options), 0);
		shard_set_now(w->shards[i], 1700000000000, 1);
	}
	struct registry_hooks hooks = world_hooks(w);
	assert_int_equal(registry_new(&w->registry, w->shards, SHARDS, y, &hooks, NULL), 0);
}

static inline void put_keys(struct tenant *t, unsigned count) {
	for (unsigned i = 0; i < count; i++) {
		char name[16];
		snprintf(name, sizeof name, "k%u", i);
		put_key(t, name);
	}
}

/* Lets the tenant's worker evict all that is above its limits. */
static inline uint64_t keys_left(struct tenant *t) {
	while (shard_work(t->shard, 100))
		;
	return counter_get(&t->counters.keys);
}

static inline void expect_loss(const struct registry_loss *loss, const struct tenant *t, uint64_t keys) {
	assert_int_equal(loss->count, 1);
	assert_string_equal(loss->shown[0].name, tenant_name(t));
	assert_int_equal(loss->shown[0].keys, keys);
	assert_int_equal(loss->shown[0].bytes, counter_get(&t->counters.bytes));
	assert_int_equal(loss->keys, keys);
	assert_int_equal(loss->opened, !tenant_listed(t));
}

/* Returns the bytes of entries in all shards, once dropped databases are freed. */
static inline uint64_t entries(struct world *w) {
	uint64_t count = 0;
	for (unsigned i = 0; i < SHARDS; i++) {
		while (shard_work(w->shards[i], 100)) {
		}
		count += counter_get(&shard_counters(w->shards[i])->keys);
	}
	return count;
}
