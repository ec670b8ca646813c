/* Creates, adopts, saves and frees shards. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "atomdb/store/shard_counters.h"

struct memory_budget;
struct shard;
struct value_types;

struct shard_options {
	unsigned id;                  /* 0, 1, …: a part of the memfd's name */
	unsigned worker;              /* the worker that owns the shard */
	struct memory_budget *budget; /* not owned; NULL: no limit */
	int fd;            /* the memfd to adopt, which the shard owns if shard_new() succeeds; <= 0: a new one */
	int64_t now_ms;    /* for an adoption: the present time in milliseconds since 1970 */
	counter *progress; /* for an adoption after a crash: counts entries, twice each; not owned; or NULL */
	const struct value_types *types; /* not owned; NULL: those of src/store/value/types.def */
};

/* Creates a shard, or adopts the shard of a memfd. Several threads may each create a shard at the same time. The caller
 * frees `*out` with shard_free(), and passes an adopted shard to registry_new() before it uses it. Returns 0 or -errno.
 * For a memfd that cannot be adopted, which is left unchanged, returns ATOMDB_E_FORMAT (not an arena), _VERSION
 * (another format), _CHECKSUM (damaged header), _TRUNCATED (too short) or _SEED (damaged hash seed). */
int shard_new(struct shard **out, const struct shard_options *options);
/* Frees the shard and closes its memfd. `s` may be NULL. */
void shard_free(struct shard *s);

/* Returns the memfd, which the shard owns. */
int shard_fd(const struct shard *s);
/* Returns the result of the recovery, which the shard owns. */
const struct shard_recovery *shard_recovery(const struct shard *s);
/* Saves the shard, so that the next process can adopt it without a rebuild. The caller calls it once, after the worker
 * has stopped and before registry_free(), and calls only shard_fd() and shard_free() after it. Returns 0 or -errno;
 * after an error the next process rebuilds the shard. -EBUSY: a command is suspended in a scope, which the rebuild
 * rolls back. */
int shard_save(struct shard *s);
/* Sets whether the worker is adopting clients of the former process. Meanwhile their memory is charged even beyond a
 * limit, because they had it before. The shard evicts no key and closes no client for it. */
void shard_restore_clients(struct shard *s, bool on);
bool shard_restores_clients(const struct shard *s);

/* The bytes of a secret key. */
#define SHARD_KEY 32
/* Sets `key` to a secret key of this shard for `purpose`, the BLAKE2b hash of its seed. The seed is drawn when the
 * arena is made, and outlives the process in it. The key does not reveal the seed. */
void shard_secret_key(const struct shard *s, const char *purpose, uint8_t key[SHARD_KEY]);
