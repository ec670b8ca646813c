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
#include "atomdb/store/tenant.h"

struct memory_budget;
struct shard;

struct shard_options {
	unsigned id;                  /* 0, 1, …: part of the memfd's name */
	unsigned worker;              /* the worker that owns it */
	struct memory_budget *budget; /* not owned; NULL: no limit */
	int fd;            /* the memfd to take over: the shard's, once shard_new succeeds; <= 0: a new one */
	int64_t now_ms;    /* of a take-over: milliseconds since 1970 */
	counter *progress; /* of a take-over after a crash: grows as it goes on; not owned, or NULL */
};

/* 0; -errno; of a memfd that cannot be taken over, which is left as it was: ATOMDB_E_FORMAT (not an arena), _VERSION
 * (of another format), _CHECKSUM (its header is damaged), _TRUNCATED (too short for one), _SEED (its hash seed is
 * damaged). Several threads may do it at once, each for a shard of its own. Before a shard that was taken over is used,
 * registry_new must see it: it brings its tenants back. */
int shard_new(struct shard **out, const struct shard_options *options);
void shard_free(struct shard *s);

/* Lays some more of the shard's memory on huge pages, where it is full: a cheaper way to the same bytes. Takes some
 * milliseconds where there is something to do. For one thread, which need not be the owner's. */
void shard_collapse(struct shard *s);

/* The memfd, owned by the shard. */
int shard_fd(const struct shard *s);
const struct shard_recovery *shard_recovery(const struct shard *s);
/* Called once, when the worker has stopped and before registry_free: makes the arena what the next process can take
 * over at once. Nothing but shard_fd and shard_free may follow. 0 or -errno: the next process will have to rebuild it.
 */
int shard_save(struct shard *s);
/* While clients of the process before come back, what they hold is charged without asking: it was there already, and no
 * key and no client goes for it. */
void shard_resume(struct shard *s, bool on);
bool shard_resumes(const struct shard *s);

/* A key of this shard for `purpose`, made from its seed by BLAKE2b: the seed is drawn when the arena is made, outlives
 * the process in it, and does not follow from the key. */
#define SHARD_KEY 32
void shard_secret_key(const struct shard *s, const char *purpose, uint8_t key[SHARD_KEY]);

/* Visits the tenants that came with the arena and have no struct tenant yet. `visit` may adopt them. */
void shard_each_tenant(struct shard *s,
		       void (*visit)(void *context, uint32_t slot, const struct tenant_identity *identity),
		       void *context);
/* Makes `t`, which tenant_init has seen, the tenant of a slot that shard_each_tenant told: its keys and counters. */
void shard_adopt_tenant(struct shard *s, uint32_t slot, struct tenant *t);

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

/* The limits of tenants that are not in the configuration, those that are open and those to come. */
void shard_set_defaults(struct shard *s, const struct tenant_limits *limits);

/* Makes the tenant's record in the arena, at its first use; does nothing when it is open already. 0 or ATOMDB_E_OOM. */
int shard_open_tenant(struct shard *s, struct tenant *t);
/* Adds the tenant's counters to the counters of the retired, and drops all that it has; its slot is reused when the
 * last of it is freed. The struct stays the caller's. */
void shard_close_tenant(struct shard *s, struct tenant *t);

/* Counts memory that no tenant is charged among what all tenants together have, or counts it no more. */
void shard_hold_memory(struct shard *s, uint64_t bytes);
void shard_release_memory(struct shard *s, uint64_t bytes);

/* Asks for compaction to the last page: shard_work does it, in slices. */
void shard_purge(struct shard *s);

/* Does a slice of work, about `units` entries' worth; returns whether there is more to do now. */
bool shard_work(struct shard *s, unsigned units);
/* When shard_work is next needed, in milliseconds since 1970; INT64_MAX for never. */
int64_t shard_deadline(const struct shard *s);
