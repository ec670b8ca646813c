/* How a shard begins, ends, and goes from one process to the next. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "atomdb/store/shard_counters.h"

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
