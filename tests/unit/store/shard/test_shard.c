/* A shard's turns: its time, and its work in slices. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "atomdb/store/drop.h"
#include "atomdb/store/shard.h"
#include "atomdb/store/shard_open.h"
#include "atomdb/store/shard_tenants.h"
#include "atomdb/store/tenant.h"
#include "atomdb/store/work_account.h"
#include "store/store.h"

/* The clock is wrong by ten years for a moment. Removed entries are lost; the others follow the right time. */
static void test_a_clock_that_is_years_ahead_for_a_moment_costs_only_what_was_removed(void **state) {
	(void)state;
	enum { MANY = 2000 };
	struct shard *s = store_shard(NULL);
	struct tenant t;
	store_open(s, &t, &(struct tenant_limits){0});
	int64_t now = shard_now(s), years = 315360000000;
	char name[16];
	for (unsigned i = 0; i < MANY; i++) {
		snprintf(name, sizeof name, "k%u", i);
		assert_int_equal(store_put(&t, 0, name, "v", now + 60000 + i), 0);
	}
	assert_int_equal(store_put(&t, 0, "far", "v", now + 2 * years), 0);
	shard_set_now(s, now + years, 1);
	assert_false(store_has(&t, 0, "k0"));
	(void)shard_work(s, 100);
	uint64_t left = counter_get(&t.counters.keys);
	assert_in_range(left, MANY / 2, MANY);
	/* New deadlines follow the wrong clock meanwhile. */
	assert_int_equal(store_put(&t, 0, "ahead", "v", now + years + 1000), 0);

	shard_set_now(s, now, 1);
	assert_int_equal(store_put(&t, 0, "soon", "v", now + 1000), 0);
	assert_true(store_has(&t, 0, "soon"));
	assert_true(shard_deadline(s) <= now);
	while (shard_work(s, 100)) {
	}
	assert_int_equal(counter_get(&t.counters.keys), left + 2);
	assert_true(shard_deadline(s) <= now + 1000);
	shard_set_now(s, now + 1000, 1);
	assert_false(store_has(&t, 0, "soon"));
	while (shard_work(s, 100)) {
	}
	assert_int_equal(counter_get(&t.counters.keys), left + 1);
	shard_set_now(s, now + 60000 + MANY, 1);
	while (shard_work(s, 100)) {
	}
	assert_int_equal(counter_get(&t.counters.keys), 2);
	assert_true(store_has(&t, 0, "far"));
	assert_true(store_has(&t, 0, "ahead"));
	/* No entry is years late because the clock was. */
	assert_int_equal(counter_get(&shard_counters(s)->lag_ms_total), 0);
	shard_close_tenant(s, &t);
	shard_free(s);
}

/* A clock that is a little behind was not set: the shard's time stands still. */
static void test_time_stands_still_while_the_clock_is_a_little_behind(void **state) {
	(void)state;
	struct shard *s = store_shard(NULL);
	int64_t now = shard_now(s);
	shard_set_now(s, now - SHARD_CLOCK_JITTER_MS, 1);
	assert_int_equal(shard_now(s), now);
	assert_int_equal(s->root->wheel.closing, 0);
	shard_set_now(s, now + 10, 30000001);
	assert_int_equal(shard_now(s), now + 10);
	shard_set_now(s, now - SHARD_CLOCK_JITTER_MS, 30000001);
	assert_int_equal(shard_now(s), now - SHARD_CLOCK_JITTER_MS);
	shard_free(s);
}

static void adopt_one(void *context, uint32_t slot, const struct tenant_identity *identity) {
	struct tenant *t = context;
	(void)identity;
	shard_adopt_tenant(t->shard, slot, t);
}

static void restart_at(struct shard **s, struct tenant *t, int64_t now, bool clean) {
	struct shard *next = NULL;
	int fd = dup(shard_fd(*s));
	assert_true(fd > 0);
	if (clean)
		assert_int_equal(shard_save(*s), 0);
	shard_free(*s);
	assert_int_equal(shard_new(&next, &(struct shard_options){.fd = fd, .now_ms = now}), 0);
	assert_int_equal(shard_recovery(next)->kind, clean ? RECOVERY_CLEAN : RECOVERY_CRASHED);
	shard_set_now(next, now, 1);
	tenant_init(t, next, &(struct tenant_limits){0});
	shard_each_tenant(next, adopt_one, t);
	*s = next;
}

/* The clock is wrong between two restarts, one of them clean. */
static void test_deadlines_hold_over_restarts_with_a_wrong_clock(void **state) {
	(void)state;
	static const int64_t steps[] = {-315360000000, -86400000, -1000, 1000, 86400000, 315360000000};
	for (unsigned i = 0; i < 4 * sizeof steps / sizeof *steps; i++) {
		int64_t step = steps[i / 4];
		struct shard *s = store_shard(NULL);
		struct tenant t;
		store_open(s, &t, &(struct tenant_limits){0});
		int64_t now = shard_now(s);
		assert_int_equal(store_put(&t, 0, "near", "v", now + 500), 0);
		assert_int_equal(store_put(&t, 0, "then", "v", now + step + 500), 0);
		assert_int_equal(store_put(&t, 0, "far", "v", now + 400000000000), 0);
		assert_int_equal(store_put(&t, 0, "stays", "v", 0), 0);
		while (shard_work(s, 100)) {
		}
		restart_at(&s, &t, now + step, i % 2 == 0);
		/* The same with a wheel whose entries are half moved. */
		while (shard_work(s, 1) && i % 4 < 2) {
		}
		assert_true(store_has(&t, 0, "near") == (step < 500));
		assert_true(store_has(&t, 0, "then") == (step > 0));
		restart_at(&s, &t, now, i % 2 != 0);
		assert_true(store_has(&t, 0, "far"));
		shard_set_now(s, now + 500, 1);
		while (shard_work(s, 1)) {
		}
		assert_false(store_has(&t, 0, "near"));
		assert_int_equal(counter_get(&t.counters.keys), step > 0 ? 3 : 2);
		shard_set_now(s, now + 400000000000, 1);
		while (shard_work(s, 1)) {
		}
		assert_int_equal(counter_get(&t.counters.keys), 1);
		shard_close_tenant(s, &t);
		shard_free(s);
	}
}

static void test_a_lowered_quota_evicts_the_oldest_in_slices(void **state) {
	(void)state;
	struct shard *s = store_shard(NULL);
	struct tenant t;
	store_open(s, &t, &(struct tenant_limits){0});
	for (unsigned i = 0; i < 5000; i++) {
		char name[16];
		snprintf(name, sizeof name, "k%u", i);
		assert_int_equal(store_put(&t, i % 2, name, "v", 0), 0);
	}
	tenant_set_limits(&t, &(struct tenant_limits){.max_entries = 10}, 1);
	assert_true(counter_get(&t.counters.keys) == 5000);
	unsigned turns = 0;
	while (shard_work(s, 100))
		turns++;
	assert_true(turns >= 10);
	assert_int_equal(counter_get(&t.counters.keys), 10);
	for (unsigned i = 4990; i < 5000; i++) {
		char name[16];
		snprintf(name, sizeof name, "k%u", i);
		assert_true(store_has(&t, i % 2, name));
	}
	shard_close_tenant(s, &t);
	shard_free(s);
}

static void test_expired_entries_go_in_bounded_slices(void **state) {
	(void)state;
	struct shard *s = store_shard(NULL);
	struct tenant t;
	store_open(s, &t, &(struct tenant_limits){0});
	store_fill(&t, 0, 1000, STORE_NOW + 10);
	shard_set_now(s, STORE_NOW + 10, 1);
	assert_int_equal(shard_deadline(s), STORE_NOW + 10);
	assert_true(store_settle(s) >= 5);
	assert_int_equal(counter_get(&t.counters.keys), 0);
	assert_int_equal(counter_get(&shard_counters(s)->swept), 1000);
	store_close(s, &t);
}

static void test_held_entries_stay_invisible_until_the_hold_ends(void **state) {
	(void)state;
	struct shard *s = store_shard(NULL);
	struct tenant t;
	store_open(s, &t, &(struct tenant_limits){0});
	store_fill(&t, 0, 100, STORE_NOW + 10);
	shard_hold_expired(&t, 50);
	shard_set_now(s, STORE_NOW + 10, 10000000);
	store_settle(s);
	assert_false(store_has(&t, 0, "k0"));
	assert_int_equal(counter_get(&t.counters.keys), 100);
	shard_hold_expired(&t, 0);
	shard_set_now(s, STORE_NOW + 10, 10000000);
	store_settle(s);
	assert_int_equal(counter_get(&t.counters.keys), 0);
	store_close(s, &t);
}

/* An account that counts entries of time instead of time. */
struct counted {
	struct work_account account;
	struct tenant *now;
	struct tenant *worked[64]; /* in the order of the calls */
	unsigned count, checks, most;
};

static struct tenant *count_begin(void *context) {
	struct counted *c = context;
	struct tenant *before = c->now;
	c->now = NULL;
	return before;
}

static void count_work(void *context, struct tenant *t) {
	struct counted *c = context;
	c->now = t;
	if (c->count < 64)
		c->worked[c->count++] = t;
}

static bool count_check(void *context) {
	struct counted *c = context;
	return ++c->checks < c->most;
}

static struct counted *counted_of(struct shard *s, unsigned most) {
	struct counted *c = calloc(1, sizeof(*c));
	assert_non_null(c);
	*c = (struct counted){.account = {count_begin, count_work, count_check, c}, .most = most};
	shard_set_account(s, &c->account);
	return c;
}

static bool worked_for(const struct counted *c, const struct tenant *t) {
	for (unsigned i = 0; i < c->count; i++)
		if (c->worked[i] == t)
			return true;
	return false;
}

static void nothing_changes(struct tenant *t, enum change what, unsigned database, struct slice name) {
	(void)t, (void)what, (void)database, (void)name;
}

/* The account learns of each change of tenant, not of each entry, and of the tenant before in the end. */
static void test_expiry_is_work_for_the_tenants_of_the_entries(void **state) {
	(void)state;
	struct shard *s = store_shard(NULL);
	struct tenant a, b, served;
	store_open(s, &a, &(struct tenant_limits){0});
	store_open(s, &b, &(struct tenant_limits){0});
	store_fill(&a, 0, 100, STORE_NOW + 10);
	store_fill(&b, 0, 50, STORE_NOW + 20);
	struct counted *c = counted_of(s, 1000);
	c->now = &served;
	shard_set_now(s, STORE_NOW + 30, 30000001);
	while (shard_work(s, 1000)) {
	}
	assert_int_equal(counter_get(&a.counters.keys) + counter_get(&b.counters.keys), 0);
	assert_true(c->now == &served);
	assert_true(worked_for(c, &a) && worked_for(c, &b) && worked_for(c, NULL));
	assert_in_range(c->count, 4, 20);
	shard_set_account(s, NULL);
	free(c);
	shard_close_tenant(s, &a);
	shard_close_tenant(s, &b);
	store_settle(s);
	shard_free(s);
}

static void test_freeing_what_a_tenant_dropped_is_work_for_it(void **state) {
	(void)state;
	struct shard *s = store_shard(NULL);
	struct tenant a, b;
	store_open(s, &a, &(struct tenant_limits){0});
	store_open(s, &b, &(struct tenant_limits){0});
	store_fill(&a, 0, 1000, 0);
	assert_int_equal(keyspace_flush(&a, TENANT_DATABASES), 0);
	struct counted *c = counted_of(s, 1000);
	assert_true(shard_work(s, 100));
	assert_true(worked_for(c, &a) && !worked_for(c, &b));
	shard_set_account(s, NULL);
	free(c);
	shard_close_tenant(s, &a);
	shard_close_tenant(s, &b);
	store_settle(s);
	shard_free(s);
}

static void test_evicting_down_to_a_lowered_quota_is_work_for_the_tenant(void **state) {
	(void)state;
	struct shard *s = store_shard(NULL);
	struct tenant t;
	struct tenant_limits limits = {.eviction = EVICTION_LRU};
	store_open(s, &t, &limits);
	store_fill(&t, 0, 100, 0);
	limits.max_entries = 10;
	tenant_set_limits(&t, &limits, 1);
	struct counted *c = counted_of(s, 1000);
	store_settle(s);
	assert_int_equal(counter_get(&t.counters.keys), 10);
	assert_true(worked_for(c, &t));
	shard_set_account(s, NULL);
	free(c);
	store_close(s, &t);
}

/* A watcher may send a message to many clients for each key. The others follow in later slices. */
static void test_a_slice_of_expiry_ends_when_a_watcher_has_used_up_its_time(void **state) {
	(void)state;
	struct shard *s = store_shard(NULL);
	struct tenant t;
	store_open(s, &t, &(struct tenant_limits){0});
	store_fill(&t, 0, 100, STORE_NOW + 10);
	t.watcher = nothing_changes;
	struct counted *c = counted_of(s, 5);
	shard_set_now(s, STORE_NOW + 30, 30000001);
	assert_true(shard_work(s, 1000));
	assert_int_equal(counter_get(&t.counters.keys), 95);
	/* Each slice removes one at least. */
	assert_true(shard_work(s, 1000));
	assert_int_equal(counter_get(&t.counters.keys), 94);
	c->most = 1000;
	while (shard_work(s, 1000)) {
	}
	assert_int_equal(counter_get(&t.counters.keys), 0);
	t.watcher = NULL;
	shard_set_account(s, NULL);
	free(c);
	store_close(s, &t);
}

static void test_a_slice_of_eviction_ends_when_a_watcher_has_used_up_its_time(void **state) {
	(void)state;
	struct shard *s = store_shard(NULL);
	struct tenant t;
	struct tenant_limits limits = {.eviction = EVICTION_LRU};
	store_open(s, &t, &limits);
	store_fill(&t, 0, 100, 0);
	t.watcher = nothing_changes;
	limits.max_entries = 10;
	tenant_set_limits(&t, &limits, 1);
	struct counted *c = counted_of(s, 5);
	assert_true(shard_work(s, 1000));
	assert_int_equal(counter_get(&t.counters.keys), 95);
	assert_true(shard_work(s, 1000));
	assert_int_equal(counter_get(&t.counters.keys), 94);
	t.watcher = NULL;
	shard_set_account(s, NULL);
	free(c);
	store_close(s, &t);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_clock_that_is_years_ahead_for_a_moment_costs_only_what_was_removed),
		cmocka_unit_test(test_time_stands_still_while_the_clock_is_a_little_behind),
		cmocka_unit_test(test_deadlines_hold_over_restarts_with_a_wrong_clock),
		cmocka_unit_test(test_a_lowered_quota_evicts_the_oldest_in_slices),
		cmocka_unit_test(test_expired_entries_go_in_bounded_slices),
		cmocka_unit_test(test_held_entries_stay_invisible_until_the_hold_ends),
		cmocka_unit_test(test_expiry_is_work_for_the_tenants_of_the_entries),
		cmocka_unit_test(test_freeing_what_a_tenant_dropped_is_work_for_it),
		cmocka_unit_test(test_evicting_down_to_a_lowered_quota_is_work_for_the_tenant),
		cmocka_unit_test(test_a_slice_of_expiry_ends_when_a_watcher_has_used_up_its_time),
		cmocka_unit_test(test_a_slice_of_eviction_ends_when_a_watcher_has_used_up_its_time),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
