/* The keyspace against a brute-force model. It compares every value, deadline, count, charge and the exact LRU order
 * under random operations of two tenants, while time passes and the shard works in slices of random size. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "atomdb/store/drop.h"
#include "atomdb/store/keyspace.h"
#include "atomdb/store/relocate.h"
#include "atomdb/store/shard.h"
#include "atomdb/store/shard_open.h"
#include "atomdb/store/shard_tenants.h"
#include "atomdb/store/string.h"
#include "atomdb/store/tenant.h"
#include "atomdb/store/undo.h"
#include "atomdb/store/walk.h"
#include "atomdb/util/error.h"
#include "harness.h"
#include "store/as_string.h"
#include "store/keyspace/record.h"
#include "store/random.h"

#define KEYS      48
#define DATABASES 3
#define VALUE     6000

struct model_key {
	bool there;
	char *value;
	size_t len;
	int64_t deadline;
	uint64_t used; /* larger: used more recently */
};

struct model {
	struct tenant tenant;
	struct model_key keys[DATABASES][KEYS];
	uint64_t clock;
	uint64_t evictions;
};

static uint64_t random_state;

static uint64_t draw(uint64_t below) {
	return random_next(&random_state) % below;
}

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

static struct key key_of(struct tenant *t, unsigned database, const char *name) {
	return keyspace_key(t, database, slice_of(name));
}

static int put(struct tenant *t, unsigned database, const char *name, const char *value, int64_t deadline) {
	struct key key = key_of(t, database, name);
	struct entry *old = keyspace_find(t, &key, LOOKUP_PEEK);
	return string_set(t, &key, old, slice_of(value), deadline);
}

static bool has(struct tenant *t, unsigned database, const char *name) {
	struct key key = key_of(t, database, name);
	return keyspace_find(t, &key, LOOKUP_PEEK) != NULL;
}

static void model_drop(struct model_key *k) {
	free(k->value);
	*k = (struct model_key){0};
}

static void model_put(struct model_key *k, const char *value, size_t len) {
	char *copy = malloc(len + 1);
	assert_non_null(copy);
	memcpy(copy, value, len);
	free(k->value);
	k->value = copy;
	k->len = len;
	k->there = true;
}

static struct model_key *model_oldest(struct model *m) {
	struct model_key *oldest = NULL;
	for (unsigned d = 0; d < DATABASES; d++)
		for (unsigned i = 0; i < KEYS; i++) {
			struct model_key *k = &m->keys[d][i];
			if (k->there && (oldest == NULL || k->used < oldest->used))
				oldest = k;
		}
	return oldest;
}

static uint64_t model_count(const struct model *m) {
	uint64_t count = 0;
	for (unsigned d = 0; d < DATABASES; d++)
		for (unsigned i = 0; i < KEYS; i++)
			count += m->keys[d][i].there;
	return count;
}

/* Due keys leave the model at once. The keyspace may still hold them, so the shard works until it does not. */
static void settle(struct model *models, unsigned count, struct shard *s) {
	while (shard_work(s, 1 + (unsigned)draw(64))) {
	}
	for (unsigned i = 0; i < count; i++)
		for (unsigned d = 0; d < DATABASES; d++)
			for (unsigned k = 0; k < KEYS; k++)
				if (models[i].keys[d][k].deadline != 0 && models[i].keys[d][k].deadline <= shard_now(s))
					model_drop(&models[i].keys[d][k]);
}

/* Sets the clock back by up to ten years. A part of the entries that change their place in the wheel moves. */
static void set_back(struct shard *s) {
	static const uint64_t most[] = {10, 1000, 100000, 86400000, 315360000000};
	int64_t by = (int64_t)draw(most[draw(5)]), now = shard_now(s);
	if (by > now - 1000000000000)
		return;
	shard_set_now(s, now - by, 1);
	/* If the shard's time may stand still, it may have been ahead of the clock before. */
	assert_true(shard_now(s) == now - by || (shard_now(s) == now && by <= 2 * SHARD_CLOCK_JITTER_MS));
	for (unsigned slices = (unsigned)draw(3); slices > 0; slices--)
		(void)shard_work(s, 1 + (unsigned)draw(8));
}

static void check_key(struct model *m, unsigned database, unsigned number) {
	struct model_key *k = &m->keys[database][number];
	char name[32], text[STRING_TEXT];
	snprintf(name, sizeof name, "key:%u", number);
	struct key key = key_of(&m->tenant, database, name);
	struct entry *e = keyspace_find(&m->tenant, &key, LOOKUP_PEEK);
	assert_int_equal(e != NULL, k->there);
	if (e == NULL)
		return;
	struct slice value = string_value(as_string(e), text);
	assert_int_equal(value.len, k->len);
	assert_true(memcmp(value.data, k->value, k->len) == 0);
	assert_int_equal(keyspace_deadline(e), k->deadline);
	assert_true(slice_equal(keyspace_name(e), slice_of(name)));
}

/* The list from the most recent to the oldest entry must have the model's order of use, and every key. */
static void check_order(struct model *m) {
	struct shard *s = m->tenant.shard;
	uint64_t last = UINT64_MAX, count = 0;
	for (ref r = m->tenant.record->lru.newest; r != 0; r = entry_at(s, r)->lru_next) {
		struct entry *e = entry_at(s, r);
		if (tenant_database(&m->tenant, entry_database(e)) == NULL)
			continue;
		struct slice name = entry_key(e);
		unsigned number = 0;
		for (size_t i = 4; i < name.len; i++)
			number = number * 10 + (unsigned)(name.data[i] - '0');
		struct model_key *k = &m->keys[entry_database(e)][number];
		assert_true(k->there);
		assert_true(k->used < last);
		last = k->used;
		count++;
	}
	assert_int_equal(count, model_count(m));
}

static void check_all(struct model *m) {
	uint64_t bytes = arena_block_size(sizeof(struct tenant_record));
	for (unsigned d = 0; d < DATABASES; d++) {
		uint64_t keys = 0, expiring = 0, there = 0, deadlines = 0;
		for (unsigned i = 0; i < KEYS; i++) {
			check_key(m, d, i);
			there += m->keys[d][i].there;
			deadlines += m->keys[d][i].deadline != 0;
		}
		assert_int_equal(keyspace_size(&m->tenant, d, &keys, &expiring), 0);
		assert_int_equal(keys, there);
		assert_int_equal(expiring, deadlines);
		assert_int_equal(counter_get(&m->tenant.counters.db_keys[d]), there);
		if (tenant_database(&m->tenant, d) != NULL)
			bytes += tenant_database(&m->tenant, d)->bytes;
	}
	assert_int_equal(counter_get(&m->tenant.counters.bytes), bytes);
	assert_int_equal(counter_get(&m->tenant.counters.evictions), m->evictions);
	check_order(m);
}

static void model_set(struct model *m, unsigned d, unsigned number, const struct key *key) {
	struct model_key *k = &m->keys[d][number];
	struct shard *s = m->tenant.shard;
	static char value[VALUE];
	size_t len = draw(4) == 0 ? draw(VALUE) : draw(40);
	memset(value, (int)('a' + draw(26)), len);
	if (draw(3) == 0)
		len = (size_t)snprintf(value, sizeof value, "%lld", (long long)draw(UINT64_MAX) >> draw(63));
	int64_t deadline = draw(3) == 0 ? shard_now(s) + (int64_t)draw(5000) - 100
			   : draw(2)    ? DEADLINE_NONE
					: DEADLINE_KEEP;
	struct entry *old = keyspace_find(&m->tenant, key, LOOKUP_PEEK);
	if (deadline > 0 && deadline <= shard_now(s)) {
		assert_int_equal(string_set(&m->tenant, key, old, (struct slice){value, len}, deadline), 0);
		model_drop(k);
		return;
	}
	if (!k->there && model_count(m) == m->tenant.limits.max_entries && m->tenant.limits.max_entries != 0) {
		if (m->tenant.limits.eviction == EVICTION_NONE) {
			assert_int_equal(string_set(&m->tenant, key, old, (struct slice){value, len}, deadline),
					 ATOMDB_E_OOM);
			return;
		}
		model_drop(model_oldest(m));
		m->evictions++;
	}
	assert_int_equal(string_set(&m->tenant, key, old, (struct slice){value, len}, deadline), 0);
	k->deadline = deadline == DEADLINE_KEEP ? k->deadline : deadline;
	k->used = ++m->clock;
	model_put(k, value, len);
}

static void model_append(struct model *m, unsigned d, unsigned number, const struct key *key) {
	struct model_key *k = &m->keys[d][number];
	struct entry *old = keyspace_find(&m->tenant, key, LOOKUP_PEEK);
	if (old == NULL)
		return;
	size_t more = draw(10) == 0 ? draw(3000) : draw(20);
	if (k->len + more > VALUE)
		more = 0;
	char *bytes, *copy = calloc(1, k->len + more + 1);
	assert_non_null(copy);
	memcpy(copy, k->value, k->len);
	memset(copy + k->len, 'z', more);
	assert_int_equal(string_resize(&m->tenant, key, as_string(old), k->len + more, (struct span){0}, &bytes), 0);
	memset(bytes + k->len, 'z', more);
	keyspace_commit(m->tenant.shard);
	model_put(k, copy, k->len + more);
	k->used = ++m->clock;
	free(copy);
}

static void step(struct model *m) {
	unsigned d = (unsigned)draw(DATABASES), number = (unsigned)draw(KEYS);
	struct model_key *k = &m->keys[d][number];
	struct shard *s = m->tenant.shard;
	char name[32];
	snprintf(name, sizeof name, "key:%u", number);
	struct key key = key_of(&m->tenant, d, name);
	struct entry *e;
	switch (draw(12)) {
	case 0:
		e = keyspace_find(&m->tenant, &key, LOOKUP_PEEK);
		if (e != NULL)
			keyspace_delete(&m->tenant, &key, e);
		model_drop(k);
		break;
	case 1:
		e = keyspace_find(&m->tenant, &key, LOOKUP_WRITE);
		if (e != NULL) {
			k->deadline = draw(3) == 0 ? 0 : shard_now(s) + 1 + (int64_t)draw(100000);
			k->used = ++m->clock;
			assert_int_equal(keyspace_expire(&m->tenant, &key, e, k->deadline), 0);
			/* A new block counts as a use, and this lookup too, so the order is the same. */
		}
		break;
	case 2:
	case 3:
		e = keyspace_find(&m->tenant, &key, LOOKUP_READ);
		assert_int_equal(e != NULL, k->there);
		if (e != NULL)
			k->used = ++m->clock;
		break;
	case 4:
		model_append(m, d, number, &key);
		break;
	case 5:
		if (draw(40) == 0) {
			keyspace_flush(&m->tenant, d);
			for (unsigned i = 0; i < KEYS; i++)
				model_drop(&m->keys[d][i]);
		}
		break;
	default:
		model_set(m, d, number, &key);
	}
}

static void model_close(struct model *m) {
	for (unsigned d = 0; d < DATABASES; d++)
		for (unsigned i = 0; i < KEYS; i++)
			model_drop(&m->keys[d][i]);
	shard_close_tenant(m->tenant.shard, &m->tenant);
}

static void meet(void *context, uint32_t slot, const struct tenant_identity *identity) {
	struct model *models = context;
	assert_true(slot == 1 || slot == 2);
	assert_string_equal(identity->name, "");
	shard_adopt_tenant(models[0].tenant.shard, slot, &models[slot - 1].tenant);
}

/* The next process continues with exactly the state of this one. */
static struct shard *hand_over(struct shard *s, struct model *models, int64_t now) {
	struct tenant_limits limits[2] = {models[0].tenant.limits, models[1].tenant.limits};
	struct shard *next = NULL;
	int fd = dup(shard_fd(s));
	assert_true(fd > 0);
	assert_int_equal(shard_save(s), 0);
	shard_free(s);
	assert_int_equal(shard_new(&next, &(struct shard_options){.fd = fd, .now_ms = now}), 0);
	assert_int_equal(shard_recovery(next)->kind, RECOVERY_CLEAN);
	assert_int_equal(shard_recovery(next)->dropped, 0);
	shard_set_now(next, now, 1);
	for (unsigned i = 0; i < 2; i++)
		tenant_init(&models[i].tenant, next, &limits[i]);
	shard_each_tenant(next, meet, models);
	for (unsigned i = 0; i < 2; i++)
		tenant_set_limits(&models[i].tenant, &limits[i], 1);
	return next;
}

static void test_the_keyspace_agrees_with_a_model(void **state) {
	(void)state;
	random_state = random_seed();
	for (uint64_t round = 1; round <= 6; round++) {
		struct shard *s = new_shard(NULL);
		static struct model models[2];
		memset(models, 0, sizeof models);
		open_tenant(s, &models[0].tenant, &(struct tenant_limits){.max_entries = round % 2 ? 30 : 0});
		open_tenant(s, &models[1].tenant,
			    &(struct tenant_limits){.max_entries = 20,
						    .eviction = round % 3 ? EVICTION_LRU : EVICTION_NONE});
		tenant_set_limits(&models[0].tenant, &(struct tenant_limits){.max_entries = round % 2 ? 30 : 0}, 1);
		int64_t now = shard_now(s);
		for (unsigned i = 0; i < 12000; i++) {
			step(&models[draw(2)]);
			if (draw(8) == 0) {
				now += (int64_t)draw(draw(100) == 0 ? 315360000000 : draw(10) == 0 ? 30000 : 100);
				shard_set_now(s, now, 1);
				settle(models, 2, s);
			}
			if (draw(200) == 0) {
				settle(models, 2, s);
				set_back(s);
				now = shard_now(s);
			}
			if (round > 2 && draw(1000) == 0)
				s = hand_over(s, models, now);
			if (i % 64 == 0) {
				settle(models, 2, s);
				check_all(&models[0]);
				check_all(&models[1]);
			}
		}
		model_close(&models[0]);
		model_close(&models[1]);
		while (shard_work(s, 100)) {
		}
		assert_int_equal(counter_get(&arena_counters(s->arena)->used_by_kind[ARENA_ENTRY]), 0);
		shard_free(s);
	}
}

static void test_the_quota_of_bytes_is_kept_by_eviction(void **state) {
	(void)state;
	struct shard *s = new_shard(NULL);
	struct tenant t;
	open_tenant(s, &t, &(struct tenant_limits){.max_memory = 64 << 10});
	static char big[32 << 10];
	memset(big, 'x', sizeof big - 1);
	for (unsigned i = 0; i < 2000; i++) {
		char name[16];
		snprintf(name, sizeof name, "k%u", i);
		assert_int_equal(put(&t, 0, name, "some value", DEADLINE_NONE), 0);
		assert_true(counter_get(&t.counters.bytes) <= 64 << 10);
	}
	assert_true(counter_get(&t.counters.evictions) > 0);
	assert_true(has(&t, 0, "k1999"));
	assert_false(has(&t, 0, "k0"));
	assert_int_equal(put(&t, 0, "big", big, DEADLINE_NONE), 0);
	assert_true(counter_get(&t.counters.bytes) <= 64 << 10);
	assert_int_equal(tenant_charge(&t, 16 << 10), 0);
	assert_true(counter_get(&t.counters.bytes) <= 64 << 10);
	/* Clients may take a little more than the quota, but not this much. */
	assert_int_equal(tenant_charge(&t, 128 << 10), ATOMDB_E_OOM);
	tenant_discharge(&t, 16 << 10);
	/* A value for which no eviction makes room is refused, and evicts no key. */
	static char huge[80 << 10];
	memset(huge, 'y', sizeof huge - 1);
	assert_int_equal(put(&t, 0, "huge", huge, DEADLINE_NONE), ATOMDB_E_OOM);
	assert_false(has(&t, 0, "huge"));
	shard_close_tenant(s, &t);
	assert_int_equal(counter_get(&t.counters.bytes), 0);
	shard_free(s);
}

static void test_a_full_tenant_without_eviction_refuses_writes(void **state) {
	(void)state;
	struct shard *s = new_shard(NULL);
	struct tenant t;
	open_tenant(s, &t, &(struct tenant_limits){.max_entries = 2, .eviction = EVICTION_NONE});
	assert_int_equal(put(&t, 0, "a", "1", 0), 0);
	assert_int_equal(put(&t, 0, "b", "2", 0), 0);
	assert_int_equal(put(&t, 0, "c", "3", 0), ATOMDB_E_OOM);
	assert_int_equal(put(&t, 0, "a", "11", 0), 0);
	assert_int_equal(counter_get(&t.counters.keys), 2);
	assert_int_equal(counter_get(&t.counters.evictions), 0);
	shard_close_tenant(s, &t);
	shard_free(s);
}

/* A tenant that reaches the limit of all tenants evicts its own keys, never those of another tenant. */
static void test_a_tenant_at_the_shared_limit_evicts_its_own_keys(void **state) {
	(void)state;
	struct memory_budget budget = {0};
	budget.limit = 4 << 20;
	struct shard *s = new_shard(&budget);
	struct tenant quiet, greedy;
	open_tenant(s, &quiet, &(struct tenant_limits){0});
	open_tenant(s, &greedy, &(struct tenant_limits){0});
	assert_int_equal(put(&quiet, 0, "mine", "v", 0), 0);
	static char value[1000];
	memset(value, 'x', sizeof value - 1);
	for (unsigned i = 0; i < 20000; i++) {
		char name[16];
		snprintf(name, sizeof name, "k%u", i);
		assert_int_equal(put(&greedy, 0, name, value, 0), 0);
	}
	assert_true(budget.used <= budget.limit);
	assert_true(counter_get(&greedy.counters.evictions) > 0);
	assert_int_equal(counter_get(&quiet.counters.evictions), 0);
	assert_true(has(&quiet, 0, "mine"));
	shard_close_tenant(s, &greedy);
	while (shard_work(s, 1000)) {
	}
	assert_true(has(&quiet, 0, "mine"));
	shard_close_tenant(s, &quiet);
	shard_free(s);
}

static void test_small_appends_rarely_copy_a_large_value(void **state) {
	(void)state;
	struct shard *s = new_shard(NULL);
	struct tenant t;
	open_tenant(s, &t, &(struct tenant_limits){0});
	struct key key = key_of(&t, 0, "log");
	char *bytes;
	size_t size = 0;
	/* Small appends must not copy the whole value each time: blocks grow by a share of their size. */
	unsigned moves = 0;
	char *last = NULL;
	while (size < 8 << 20) {
		size += 1000;
		struct entry *e = keyspace_find(&t, &key, LOOKUP_WRITE);
		assert_int_equal(string_resize(&t, &key, as_string(e), size, (struct span){0}, &bytes), 0);
		moves += bytes != last;
		last = bytes;
		bytes[size - 1] = (char)size;
		keyspace_commit(s);
	}
	assert_true(moves < 200);
	struct entry *e = keyspace_find(&t, &key, LOOKUP_PEEK);
	char text[STRING_TEXT];
	struct slice value = string_value(as_string(e), text);
	for (size_t i = 1000; i <= size; i += 1000)
		assert_int_equal(value.data[i - 1], (char)i);
	keyspace_delete(&t, &key, e);
	while (shard_work(s, 100)) {
	}
	assert_int_equal(counter_get(&arena_counters(s->arena)->used_by_kind[ARENA_ENTRY]), 0);
	shard_close_tenant(s, &t);
	shard_free(s);
}

/* The idle time of a key is rounded down to a step. */
static void test_the_idle_time_of_a_key_is_rounded_down(void **state) {
	(void)state;
	struct shard *s = new_shard(NULL);
	struct tenant t;
	open_tenant(s, &t, &(struct tenant_limits){0});
	int64_t begin = shard_now(s);
	struct key key = key_of(&t, 0, "k");
	assert_int_equal(put(&t, 0, "k", "value", 0), 0);
	static const int64_t seconds[] = {0, 1, 600, 3600, 86400, 12 * 86400};
	for (size_t i = 0; i < sizeof seconds / sizeof *seconds; i++) {
		/* The calendar clock has no effect. */
		shard_set_now(s, begin + (i % 2 == 0 ? -1 : 1) * seconds[i] * 100000,
			      1 + (uint64_t)seconds[i] * 1000000000);
		struct entry *e = keyspace_find(&t, &key, LOOKUP_PEEK);
		assert_true(keyspace_idle(&t, e) <= seconds[i]);
		assert_true(keyspace_idle(&t, e) >= seconds[i] - 525);
	}
	struct entry *e = keyspace_find(&t, &key, LOOKUP_READ);
	char text[STRING_TEXT];
	assert_int_equal(keyspace_idle(&t, e), 0);
	assert_true(slice_equal(string_value(as_string(e), text), SLICE("value")));
	keyspace_set_idle(&t, e, 7200);
	assert_in_range(keyspace_idle(&t, e), 7200 - 525, 7200);
	keyspace_set_idle(&t, e, INT64_MAX);
	assert_in_range(keyspace_idle(&t, e), 12 * 86400, 13 * 86400);
	shard_close_tenant(s, &t);
	shard_free(s);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_keyspace_agrees_with_a_model),
		cmocka_unit_test(test_the_quota_of_bytes_is_kept_by_eviction),
		cmocka_unit_test(test_a_full_tenant_without_eviction_refuses_writes),
		cmocka_unit_test(test_a_tenant_at_the_shared_limit_evicts_its_own_keys),
		cmocka_unit_test(test_small_appends_rarely_copy_a_large_value),
		cmocka_unit_test(test_the_idle_time_of_a_key_is_rounded_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
