/* A tenant: what a secret opens. The unit of isolation, quota, ownership and counters.
 *
 * A tenant lives in one shard and is touched by that shard's worker alone, except for its identity (constant), its
 * counters and its limits (posted to the worker as a copy). Made by the registry, opened and closed by its
 * shard. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "atomdb/store/tenant_limits.h"
#include "atomdb/util/counter.h"
#include "atomdb/util/list.h"
#include "atomdb/util/slice.h"
#include "atomdb/util/token_bucket.h"

#define TENANT_NAME_MAX    64
#define TENANT_FINGERPRINT 12 /* hex digits */
#define TENANT_DATABASES   16

#define TENANT_DIGEST 32

/* By which the next process finds a tenant again; kept in the arena. */
struct tenant_identity {
	uint8_t digest[TENANT_DIGEST];  /* SHA-256 of the secret that opens it, of several the first; zeros: none */
	char name[TENANT_NAME_MAX + 1]; /* of the configuration; "": only clients know it */
};

/* In tenant->kept_limits: no limit, or eviction "none". */
#define TENANT_KEPT_NONE UINT64_MAX

/* Written by the tenant's worker, read by anybody. */
struct tenant_counters {
	counter keys;
	counter keys_expiring;
	counter bytes;        /* charged: entries, tables, connections' buffers */
	counter client_bytes; /* of these: what its clients hold: buffers, subscriptions, kept commands */
	counter clients;
	counter connections; /* clients that there were */
	counter commands;
	counter hits;
	counter misses;
	counter evictions;
	counter expirations;
	counter moved;         /* entries that compaction moved */
	counter throttled;     /* commands refused by commands_per_second */
	counter quota_entries; /* the limits in force, for those who may not read `limits`; 0: none */
	counter quota_bytes;
	counter evicts; /* 1: its eviction is not "none" */
	counter input_bytes;
	counter output_bytes;
	counter reads; /* turns in which a client's socket gave something */
	counter writes;
	counter peak_bytes;      /* of `bytes`, as seen when replies went out */
	counter errors;          /* error replies */
	counter refused;         /* clients that found max_clients of others */
	counter lost_events;     /* keyspace events that were not matched with all patterns: that takes too long */
	counter clients_evicted; /* closed because all clients together held too much */
	counter db_keys[TENANT_DATABASES];
	counter db_expiring[TENANT_DATABASES];
};

/* What becomes of a key. */
enum change {
	CHANGE_NEW,     /* written where there was none */
	CHANGE_VALUE,   /* another value or deadline */
	CHANGE_REMOVED, /* by a command */
	CHANGE_EXPIRED,
	CHANGE_EVICTED,
	CHANGE_MISSED, /* nothing: a read did not find it */
	CHANGE_FLUSH,  /* all keys of the database, or of all with TENANT_DATABASES, are about to go */
};

struct shard;
struct tenant_stats;
struct command_stats;
struct tenant;
struct subscriptions;

/* Told of every change of a key, as long as somebody wants to know. `name` is valid during the call, and empty with
 * CHANGE_FLUSH; of a key that goes it is told while the block is still there, but it is no longer found. It must not
 * write to the tenant. */
typedef void (*change_watcher)(struct tenant *t, enum change what, unsigned database, struct slice name);

/* Told of each entry of more than tenant->large bytes that is about to be written, before it is found. It must not
 * touch the tenant's keys. */
struct key;
typedef void (*large_watcher)(struct tenant *t, const struct key *key, size_t bytes);

struct tenant {
	char fingerprint[TENANT_FINGERPRINT + 1]; /* of the secret that a client opened it with, or "" */
	/* Never NULL. The registry replaces it; what it pointed to before stays, unchanged, as long as the tenant. */
	_Atomic(const struct tenant_identity *) identity;
	_Atomic bool orphaned; /* the configuration knows it no longer; it is kept for its keys. The registry's */
	/* By enum key_limit: the limit that is in force instead of the configuration's, which lost a line and would
	 * take keys by it. 0: the configuration's is in force; TENANT_KEPT_NONE: there is no limit. The registry's. */
	_Atomic uint64_t kept_limits[KEY_LIMITS];
	struct shard *shard; /* never changes */
	bool is_operator;    /* what the admin secret opens; never changes */
	struct tenant_counters counters;

	/* The worker's own. */
	struct tenant_limits limits;
	struct token_bucket commands;
	uint64_t slow_ticks;               /* a command that takes so long is noted; 0 at first. The command floor's */
	struct list over;                  /* in the shard's list of tenants above their quota */
	uint64_t dying;                    /* of counters.bytes: dropped, and being freed in slices */
	struct list sessions;              /* of its clients: struct session's tenant_link */
	uint32_t slot;                     /* number within the shard, part of each entry; 0: not open yet */
	struct tenant_record *record;      /* its part of the arena: see src/store/keyspace/record.h */
	struct command_stats *stats;       /* of its commands, or NULL; the command floor's */
	struct tenant_stats *tenant_stats; /* likewise */
	void (*forget)(struct tenant *t);  /* frees and discharges those two as the tenant ends, or NULL */
	change_watcher watcher;            /* NULL: nobody wants to know */
	large_watcher written_large;       /* of entries too long for the short header; NULL: nobody wants to know */
	uint64_t large;                    /* bytes: see large_watcher */
	struct subscriptions *subscriptions; /* what is between its clients, or NULL; the command floor's */
	uint64_t changes;                    /* of keys by commands, as Redis's dirty counter counts: likewise */
	uint32_t notify;                     /* keyspace events that clients are told of: the command floor's */
	int64_t pause_end_ms; /* until when its clients wait, CLIENT PAUSE, by CLOCK_MONOTONIC; 0: they do not */
	bool pause_all;       /* and not only for what may write: likewise */
	/* Until when its keys do not go as they expire, by CLOCK_MONOTONIC in milliseconds; 0: they go. Nothing writes
	 * to the tenant meanwhile. */
	int64_t hold_end_ms;
	bool attention;         /* its sessions are to be looked at before each command: likewise */
	bool monitored;         /* the operator is told of its commands: likewise */
	bool removed;           /* no longer to be used: its clients are being closed */
	uint64_t leaving_bytes; /* of client_bytes: of clients that are closed at the end of the turn */
};

/* Counts what a client's socket gave, or took. */
static inline void tenant_count_input(struct tenant *t, uint64_t bytes) {
	counter_add(&t->counters.input_bytes, bytes);
	counter_add(&t->counters.reads, 1);
}

static inline void tenant_count_output(struct tenant *t, uint64_t bytes) {
	struct tenant_counters *f = &t->counters;
	counter_add(&f->output_bytes, bytes);
	counter_add(&f->writes, 1);
	if (__builtin_expect(counter_get(&f->bytes) > counter_get(&f->peak_bytes), 0))
		counter_set(&f->peak_bytes, counter_get(&f->bytes));
}

static inline const struct tenant_identity *tenant_identity(const struct tenant *t) {
	return atomic_load_explicit(&t->identity, memory_order_acquire);
}

/* Whether it has a name of the configuration, and was not only opened by a client. */
static inline bool tenant_listed(const struct tenant *t) {
	return tenant_identity(t)->name[0] != '\0';
}

static inline bool tenant_orphaned(const struct tenant *t) {
	return atomic_load_explicit(&t->orphaned, memory_order_relaxed);
}

/* The tenant's name in logs, metrics and replies. Valid as long as the tenant. */
static inline const char *tenant_name(const struct tenant *t) {
	return tenant_listed(t) ? tenant_identity(t)->name : t->fingerprint;
}

/* The next id for a client of an open tenant: 1, 2, … over restarts too, as long as the tenant lives. */
uint64_t tenant_new_client_id(struct tenant *t);
/* A client that was just given `fresh` goes on with `id`, which the process before gave it. */
void tenant_keep_client_id(struct tenant *t, uint64_t fresh, uint64_t id);

/* Bytes that all clients of the tenant together may make it hold; UINT64_MAX: no limit. Without client_memory it is a
 * quarter of max_memory, the tenant's or the server's, whichever is less; 64 KiB at least. */
uint64_t tenant_client_limit(const struct tenant *t);

/* Charges `bytes` of memory outside the store (a connection's buffers) before they are taken: evicts where the quota
 * needs it. 0, or ATOMDB_E_OOM and nothing is charged. */
int tenant_charge(struct tenant *t, uint64_t bytes);
/* The same, but never from the reserve beyond the quota: for what no client needs to free memory. */
int tenant_charge_in_quota(struct tenant *t, uint64_t bytes);
/* The same without asking: for the little that a full tenant's client needs to say what is to go. */
void tenant_charge_anyway(struct tenant *t, uint64_t bytes);
/* Without evicting now: the shard evicts what is above the quota in its next slices of work. 0, or ATOMDB_E_OOM where
 * all tenants together have no room. */
int tenant_charge_later(struct tenant *t, uint64_t bytes);
void tenant_discharge(struct tenant *t, uint64_t bytes);
/* Bytes that a command may take for as long as it runs: half of the quota, and no more than the server's max_memory has
 * left; but always 1 MiB. Nothing is evicted for them. */
uint64_t tenant_scratch_limit(const struct tenant *t);

/* Bytes charged for a database: `*all` of it, and of these `*table` for its table. For the tenant's own worker. */
void tenant_database_bytes(const struct tenant *t, unsigned database, uint64_t *all, uint64_t *table);

/* Replaces those of `limits` for which the tenant keeps others. */
void tenant_use_kept_limits(const struct tenant *t, struct tenant_limits *limits);
/* Puts new limits in force, except for those that the tenant keeps. shard_work evicts the entries above them in slices.
 */
void tenant_set_limits(struct tenant *t, const struct tenant_limits *limits, uint64_t now_ns);
