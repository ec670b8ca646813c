/* A shard: a partition of all tenants, with one arena and one wheel. One worker owns it.
 *
 * The worker tells the shard the time at each turn, and calls shard_work() when the shard needs it: to expire due
 * entries, free dropped databases, resize tables, evict down to lowered quotas, compact slabs, and give pages back to
 * the kernel. Each slice of work is bounded.
 *
 * A shard outlives the process in its memfd (shard_fd()), which shard_new() takes over. A shard that was saved by
 * shard_save() continues at once. After a crash it is rebuilt from the headers of its blocks. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "atomdb/store/shard_counters.h"

struct shard;
struct tenant;
struct work_account;

/* Puts a few more full ranges of the shard's memory on huge pages, which makes access cheaper. Takes some milliseconds
 * if there are such ranges. One thread may call it, which need not be the owner. */
void shard_collapse(struct shard *s);

/* Keeps the tenant's expired keys, invisible to commands, until `end_ms` milliseconds by CLOCK_MONOTONIC. If `end_ms`
 * is 0, the shard removes keys as they expire. While expired keys stay, the caller may write only to keys that it found
 * with LOOKUP_WRITE. */
void shard_hold_expired(struct tenant *t, int64_t end_ms);

/* Returns the number of the worker that owns the shard. */
unsigned shard_worker(const struct shard *s);
/* Returns the counters, which the shard owns. */
const struct shard_counters *shard_counters(const struct shard *s);

/* Milliseconds by which the clock may be set back without effect: the shard's time stands still until the clock reaches
 * it again. */
#define SHARD_CLOCK_JITTER_MS 50

/* Sets the time of this turn: milliseconds since 1970, and nanoseconds by CLOCK_MONOTONIC. If the clock is set back,
 * entries that are no longer due stay, and become visible again unless they were removed. */
void shard_set_now(struct shard *s, int64_t realtime_ms, uint64_t monotonic_ns);
/* Returns the time of this turn in milliseconds since 1970. */
int64_t shard_now(const struct shard *s);
/* Replaces the milliseconds until the next turn, and returns those before: a command that goes on later goes on with
 * the time of its start. */
int64_t shard_swap_now(struct shard *s, int64_t now_ms);

/* Charges `bytes` bytes of memory that no tenant is charged for to the budget of all shards. Never fails. */
void shard_hold_memory(struct shard *s, uint64_t bytes);
/* Discharges `bytes` bytes of shard_hold_memory(). */
void shard_release_memory(struct shard *s, uint64_t bytes);

/* Has shard_work() report the tenant that it works for: expiry, eviction above a quota or the fair share, the resizing
 * of tables, and the freeing of dropped databases. Compaction and free pages are work for no tenant. `account` is not
 * owned; NULL: nothing is reported, and slices are bounded by their units alone. */
void shard_set_account(struct shard *s, const struct work_account *account);

/* Removes about `units` due entries, and does no other work: a transaction in its middle catches up with expiry. */
void shard_expire(struct shard *s, unsigned units);
/* Does a slice of each kind of work, for about `units` entries each. Returns whether there is more to do now. */
bool shard_work(struct shard *s, unsigned units);
/* Returns the time at which shard_work() is needed next, in milliseconds since 1970, or INT64_MAX for never. */
int64_t shard_deadline(const struct shard *s);
