/* The histograms of a shard: delays of expiry, and ages of evicted entries. */
#pragma once

#include "atomdb/store/shard_counters.h"
#include "store/keyspace/entry.h"

_Static_assert(AGE_TICK_MS == 1 << ENTRY_TICK_SHIFT, "ages are counted in the ticks of entries");
_Static_assert(ENTRY_USED_MAX < 1u << (AGE_BUCKETS - 1), "the last bucket takes the longest age");

static inline unsigned age_histogram_bit_length(uint64_t n) {
	return n == 0 ? 0 : 64 - (unsigned)__builtin_clzll(n);
}

/* Counts an entry that was removed `late_ms` milliseconds after its deadline. */
static inline void age_histogram_add_expired(struct shard_counters *f, uint64_t late_ms) {
	unsigned bucket = late_ms <= 1 ? 0 : (age_histogram_bit_length(late_ms - 1) + 1) / 2;
	counter_add(&f->lags[bucket < LAG_BUCKETS ? bucket : LAG_BUCKETS - 1], 1);
	counter_add(&f->lag_ms_total, late_ms);
}

/* Counts an entry that is evicted now. `now` is entry_used_at() of the present time. */
static inline void age_histogram_add_evicted(struct shard_counters *f, uint32_t now, const struct entry *e) {
	uint32_t ticks = ((now >> ENTRY_USED_SHIFT) - (e->sizes >> ENTRY_USED_SHIFT)) & ENTRY_USED_MAX;
	counter_add(&f->eviction_ages[age_histogram_bit_length(ticks)], 1);
	counter_add(&f->eviction_age_ticks, ticks);
}
