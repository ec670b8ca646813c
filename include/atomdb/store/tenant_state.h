/* A tenant: its identity, its counters, and its state in the worker. */
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

/* The kind of a change. */
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
struct hotkeys;
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
	struct hotkeys *hotkeys;           /* likewise */
	void (*forget)(struct tenant *t);  /* frees and discharges those three as the tenant ends, or NULL */
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
	uint32_t attention;     /* reasons to look at its sessions before each command: likewise */
	bool monitored;         /* the operator is told of its commands: likewise */
	bool removed;           /* no longer to be used: its clients are being closed */
	uint64_t leaving_bytes; /* of client_bytes: of clients that are closed at the end of the turn */
};

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
