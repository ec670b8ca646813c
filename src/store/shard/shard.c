#include "atomdb/store/shard.h"

#include <assert.h>

#include "atomdb/store/keyspace.h"
#include "atomdb/util/error.h"
#include "store/arena/hugepages.h"
#include "store/arena/pages.h"
#include "store/keyspace/account.h"
#include "store/keyspace/drop.h"
#include "store/keyspace/evict.h"
#include "store/keyspace/fair_share.h"
#include "store/keyspace/quota.h"
#include "store/keyspace/remove.h"
#include "store/keyspace/work.h"
#include "store/shard/compact.h"

/* Due entries taken from the wheel at a time. Their buckets are prefetched together, so that the cache misses overlap.
 */
#define SWEEP_BATCH 16
/* Bytes of free pages that a slice of work gives back to the kernel. */
#define TRIM_SLICE ((size_t)256 << 10)

unsigned shard_worker(const struct shard *s) {
	return s->worker;
}

const struct shard_counters *shard_counters(const struct shard *s) {
	return &s->counters;
}

static void publish_memory(struct shard *s) {
	const struct arena_counters *a = arena_counters(s->arena);
	counter_set(&s->counters.resident, counter_get(&a->resident));
	counter_set(&s->counters.used, counter_get(&a->used));
	counter_set(&s->counters.used_by_entries, counter_get(&a->used_by_kind[ARENA_ENTRY]));
	counter_set(&s->counters.compacting, compact_under_way(s));
}

/* Milliseconds between comparisons of the two clocks, which detect a small step forward. */
#define CLOCK_COMPARE_MS 1000

/* Follows a clock that was set, forward or back, or that is read for the first time. */
static void set_clock(struct shard *s, int64_t realtime_ms, int64_t skew_ms) {
	s->skew_ms = skew_ms;
	s->now_ms = s->stepped_ms = realtime_ms;
	if (s->root->used_skew == 0)
		s->root->used_skew = skew_ms;
	wheel_rewind(&s->root->wheel, realtime_ms);
}

/* Follows the clock. If the clock runs back by no more than SHARD_CLOCK_JITTER_MS, the shard's time stands still. */
static void follow_clock(struct shard *s, int64_t realtime_ms, int64_t monotonic_ms) {
	int64_t off = realtime_ms - monotonic_ms - s->skew_ms;
	if (off > SHARD_CLOCK_JITTER_MS || off < -SHARD_CLOCK_JITTER_MS ||
	    realtime_ms < s->now_ms - SHARD_CLOCK_JITTER_MS)
		set_clock(s, realtime_ms, realtime_ms - monotonic_ms);
	else if (realtime_ms > s->now_ms)
		s->now_ms = realtime_ms;
}

void shard_set_now(struct shard *s, int64_t realtime_ms, uint64_t monotonic_ns) {
	s->now_ns = monotonic_ns;
	if (__builtin_expect(realtime_ms >= s->now_ms && realtime_ms < s->compare_ms, 1)) {
		s->now_ms = realtime_ms;
	} else {
		follow_clock(s, realtime_ms, (int64_t)(monotonic_ns / 1000000));
		s->used_now = entry_used_at(shard_used_ms(s));
		s->compare_ms = s->now_ms + CLOCK_COMPARE_MS;
	}
	s->clock_ms = s->now_ms;
	publish_memory(s);
	fair_share_read_level(s);
	compact_watch(s);
}

int64_t shard_now(const struct shard *s) {
	return s->now_ms;
}

int64_t shard_swap_now(struct shard *s, int64_t now_ms) {
	int64_t before = s->now_ms;
	s->now_ms = now_ms;
	return before;
}

static int64_t monotonic_ms(const struct shard *s) {
	return (int64_t)(s->now_ns / 1000000);
}

static void hold(struct shard *s, ref due, int64_t end_ms) {
	if (s->root->wheel.held == 0 || end_ms < s->held_ms)
		s->held_ms = end_ms;
	wheel_hold(s->arena, &s->root->wheel, due);
}

/* Takes a due entry from the wheel, or returns 0. Parks due entries of suspended tenants, and holds those of tenants
 * that hold them. */
static ref take_due(struct shard *s, unsigned *steps) {
	for (;; --*steps) {
		ref due = wheel_next(s->arena, &s->root->wheel, shard_sweep_ms(s), steps);
		const struct tenant *t = due == 0 ? NULL : s->tenants[entry_tenant(entry_at(s, due))];
		if (t == NULL || (!tenant_suspended(t) && !tenant_holds_expired(t)))
			return due;
		if (tenant_suspended(t))
			wheel_park(s->arena, record_parked(s, t), due);
		else
			hold(s, due, t->hold_end_ms);
		if (*steps == 0)
			return 0;
	}
}

static uint64_t hash_of(const struct shard *s, const struct entry *e) {
	struct slice name = entry_key(e);
	return hash_bytes(&s->context.seed, name.data, name.len);
}

/* Removes an entry that was parked, or puts it back into the wheel if it is not due. */
static void expire_parked(struct shard *s, const struct tenant *t, ref parked) {
	const struct entry *e = entry_at(s, parked);
	if (entry_deadline(e) <= shard_sweep_ms(s) && !tenant_holds_expired(t))
		remove_due(s, parked, hash_of(s, e));
	else
		wheel_add(s->arena, &s->root->wheel, parked);
}

/* Does the work of resumed tenants that waited for their resumption, about `*steps` entries of it. */
static __attribute__((cold, noinline)) void catch_up(struct shard *s, unsigned *steps) {
	list_for_each (node, &s->catch_up) {
		struct tenant *t = list_entry(node, struct tenant, suspension.link);
		ref parked;
		work_for(s, t);
		while (*steps != 0 && (parked = wheel_unpark(s->arena, &s->root->wheel, record_parked(s, t))) != 0) {
			expire_parked(s, t, parked);
			*steps = work_has_time(s) ? *steps - 1 : 0;
		}
		if (!wheel_parks_none(s->arena, record_parked(s, t)))
			return;
		/* New limits may move the record, which notes of an open scope name. */
		if (t->suspension.limits_wait && s->scope.depth != 0)
			continue;
		list_remove(node);
		if (t->suspension.limits_wait)
			t->suspension.set_limits(t);
		else if (!list_linked(&t->over) && quota_over(t, 0, 0))
			list_push_back(&s->over, &t->over);
	}
}

/* Removes entries that were taken from the wheel. If a watcher uses up the slice's time, the others go back into the
 * wheel. Returns the number of removed entries. */
static unsigned remove_taken(struct shard *s, const ref *due, const uint64_t *hashes, unsigned taken) {
	unsigned removed = 0;
	while (removed < taken && (removed == 0 || work_has_time(s))) {
		work_for(s, s->tenants[entry_tenant(entry_at(s, due[removed]))]);
		remove_due(s, due[removed], hashes[removed]);
		removed++;
	}
	for (unsigned i = removed; i < taken; i++)
		wheel_add(s->arena, &s->root->wheel, due[i]);
	return removed;
}

/* Removes about `steps` due entries. */
static void sweep(struct shard *s, unsigned steps) {
	unsigned taken, removed;
	if (__builtin_expect(!list_empty(&s->catch_up), 0))
		catch_up(s, &steps);
	/* All held entries go back first. take_due() holds again those that still have to wait. */
	if (s->root->wheel.held != 0 && s->held_ms <= monotonic_ms(s))
		wheel_release(s->arena, &s->root->wheel, &steps);
	if (s->root->wheel.held != 0 && s->held_ms <= monotonic_ms(s))
		return;
	do {
		ref due[SWEEP_BATCH];
		uint64_t hashes[SWEEP_BATCH];
		for (taken = 0; taken < SWEEP_BATCH; taken++) {
			due[taken] = take_due(s, &steps);
			if (due[taken] == 0)
				break;
			const struct entry *e = entry_at(s, due[taken]);
			struct slice name = entry_key(e);
			struct tenant *t = s->tenants[entry_tenant(e)];
			hashes[taken] = hash_of(s, e);
			if (t != NULL)
				(void)keyspace_fetch_bucket(t, &(struct key){name, hashes[taken], entry_database(e)});
		}
		removed = remove_taken(s, due, hashes, taken);
		steps = steps > removed ? steps - removed : 0;
	} while (removed == SWEEP_BATCH && steps != 0);
}

/* Returns the link to the first table whose tenant is not suspended, in the list of resizes. */
static ref *first_resizing(const struct shard *s) {
	ref *link = &s->root->resizing;
	while (*link != 0 && tenant_suspended(s->tenants[database_at(s, *link)->tenant]))
		link = &database_at(s, *link)->next_resizing;
	return link;
}

/* Continues the resize of one table. */
static void move_table(struct shard *s, unsigned units) {
	ref *link = first_resizing(s);
	struct database *d = database_at(s, *link);
	if (d == NULL)
		return;
	work_for(s, s->tenants[d->tenant]);
	bool more = table_step(&s->context, &d->table, units / 8 + 1);
	if (!more) {
		*link = d->next_resizing;
		d->resizing = false;
	}
	account_table(s->tenants[d->tenant], d);
}

/* Evicts up to `units` entries of one tenant whose quota was lowered. */
static void evict_over_quota(struct shard *s, unsigned units) {
	struct tenant *t = list_entry(s->over.next, struct tenant, over);
	work_for(s, t);
	do {
		if (!quota_exceeded(t, 0, 0) || t->limits.eviction == EVICTION_NONE || !evict_oldest(t, 0)) {
			list_remove(&t->over);
			return;
		}
	} while (--units > 0 && work_has_time(s));
}

/* Gives free pages back to the kernel. At the end of a purge, gives back the slack too. */
static void trim(struct shard *s) {
	struct compaction *c = &s->compaction;
	bool all = c->purge && !compact_under_way(s);
	if (!arena_trim(s->arena, TRIM_SLICE, all) && all)
		c->purge = false;
}

void shard_collapse(struct shard *s) {
	arena_collapse(s->arena);
	counter_set(&s->counters.hugepages, counter_get(&arena_counters(s->arena)->hugepages));
}

void shard_hold_memory(struct shard *s, uint64_t bytes) {
	arena_take_heap_anyway(s->arena, bytes);
}

void shard_release_memory(struct shard *s, uint64_t bytes) {
	arena_give_heap(s->arena, bytes);
}

void shard_hold_expired(struct tenant *t, int64_t end_ms) {
	if (end_ms < t->hold_end_ms && t->shard->held_ms > end_ms)
		t->shard->held_ms = end_ms;
	t->hold_end_ms = end_ms;
}

void shard_set_account(struct shard *s, const struct work_account *account) {
	s->account = account;
}

void shard_expire(struct shard *s, unsigned units) {
	struct tenant *before = work_begin(s);
	sweep(s, units);
	work_end(s, before);
}

bool shard_work(struct shard *s, unsigned units) {
	struct tenant *before = work_begin(s);
	sweep(s, units);
	if (!list_empty(&s->over))
		evict_over_quota(s, units);
	fair_share_give_way(s, units);
	move_table(s, units);
	drop_free(s, units);
	work_for(s, NULL);
	compact_work(s, units);
	trim(s);
	work_end(s, before);
	publish_memory(s);
	return shard_deadline(s) <= s->now_ms;
}

int64_t shard_deadline(const struct shard *s) {
	if (s->root->dropped != 0 || *first_resizing(s) != 0 || !list_empty(&s->over) || !list_empty(&s->catch_up) ||
	    compact_under_way(s) || s->compaction.purge || arena_trim(s->arena, 0, false))
		return s->now_ms;
	int64_t due = wheel_deadline(&s->root->wheel), fair_share = fair_share_deadline(s);
	if (s->root->wheel.held != 0) {
		int64_t wait = s->held_ms - monotonic_ms(s), held = s->now_ms + (wait > 0 ? wait : 0);
		due = held < due ? held : due;
	}
	return fair_share < due ? fair_share : due;
}
