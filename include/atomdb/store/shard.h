/* A shard: a partition of all tenants, with one arena and one wheel. Owned by one worker.
 *
 * The worker tells it the time at each turn and lets it work when it asks for it: expiring what is due, freeing what
 * was dropped, moving tables, evicting down to lowered quotas, moving entries together where slabs are sparse, giving
 * pages back. Each slice of work is bounded.
 *
 * A shard outlives the process in its memfd: shard_fd is handed on, shard_new takes it over. After shard_save it goes
 * on where it was, at once; after a crash it is rebuilt from the headers of its blocks. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "atomdb/store/shard_counters.h"

struct shard;
struct tenant;

/* Lays some more of the shard's memory on huge pages, where it is full: a cheaper way to the same bytes. Takes some
 * milliseconds where there is something to do. For one thread, which need not be the owner's. */
void shard_collapse(struct shard *s);

/* Lets the tenant's keys stay, unseen, as they expire until `end_ms` by CLOCK_MONOTONIC; 0: removes them again as they
 * expire. While they stay, nothing may be written to the tenant but by keys found with LOOKUP_WRITE. */
void shard_hold_expired(struct tenant *t, int64_t end_ms);

unsigned shard_worker(const struct shard *s);
const struct shard_counters *shard_counters(const struct shard *s);

/* By so much the clock may be set back without the shard's time following: it stands still until the clock is there. */
#define SHARD_CLOCK_JITTER_MS 50

/* The time of this turn: milliseconds since 1970 and monotonic nanoseconds. Time may run back, as the clock is set:
 * then entries that are not due yet stay, or are visible again if they have not been removed. */
void shard_set_now(struct shard *s, int64_t realtime_ms, uint64_t monotonic_ns);
int64_t shard_now(const struct shard *s);

/* Counts memory that no tenant is charged among what all tenants together have, or counts it no more. */
void shard_hold_memory(struct shard *s, uint64_t bytes);
void shard_release_memory(struct shard *s, uint64_t bytes);

/* Does a slice of work, about `units` entries' worth; returns whether there is more to do now. */
bool shard_work(struct shard *s, unsigned units);
/* When shard_work is next needed, in milliseconds since 1970; INT64_MAX for never. */
int64_t shard_deadline(const struct shard *s);
