/* The state of a tenant: identity, counters, limits, and the state of its clients. */
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

/* Bits of the fraction of tenant->share_factor. */
#define SHARE_FACTOR_BITS 16

#define TENANT_DIGEST 32

/* Identifies a tenant over restarts. The arena keeps it. */
struct tenant_identity {
	uint8_t digest[TENANT_DIGEST];  /* SHA-256 of its first secret; zeros: it has no secret */
	char name[TENANT_NAME_MAX + 1]; /* its name in the configuration; "": a client's secret opened the tenant */
};

/* The tenant's worker writes these counters. Any thread may read them. */
struct tenant_counters {
	counter keys;
	counter keys_expiring; /* keys that have a TTL */
	counter bytes;         /* all that the tenant is charged: entries, tables, memory of clients, statistics */
	counter client_bytes;  /* the part of `bytes` that clients hold: buffers, subscriptions, queued commands */
	counter clients;       /* clients that are connected now */
	counter connections;   /* clients that have connected so far */
	counter commands;
	counter hits;
	counter misses;
	counter evictions;
	counter expirations;
	counter moved;         /* entries moved by compaction */
	counter throttled;     /* commands refused by commands_per_second */
	counter quota_entries; /* copy of limits.max_entries; 0: no limit */
	counter quota_bytes;   /* copy of limits.max_memory; 0: no limit */
	counter evicts;        /* 1: limits.eviction is not EVICTION_NONE */
	counter input_bytes;
	counter output_bytes;
	counter reads;            /* turns of the loop in which a socket was read */
	counter writes;           /* turns of the loop in which a socket was written */
	counter peak_bytes;       /* the largest `bytes` at a write to a socket */
	counter errors;           /* error replies */
	counter refused;          /* clients refused by max_clients, the tenant's or the server's */
	counter lost_events;      /* keyspace events not matched with all patterns: the matching took too long */
	counter clients_evicted;  /* clients closed because all clients together held too much memory */
	counter cpu_user_ns;      /* CPU time of the work for its clients, in user mode */
	counter cpu_system_ns;    /* and in the kernel */
	counter cpu_throttled_ns; /* time in which its commands waited because of cpu_limit */
	counter db_keys[TENANT_DATABASES];
	counter db_expiring[TENANT_DATABASES];
};

/* The kind of a change of a key. */
enum change {
	CHANGE_NEW,     /* a command wrote a key that did not exist */
	CHANGE_VALUE,   /* a command changed the value or the deadline of a key */
	CHANGE_REMOVED, /* a command removed the key */
	CHANGE_EXPIRED,
	CHANGE_EVICTED,
	CHANGE_MISSED, /* a read did not find the key; nothing changed */
	CHANGE_FLUSH,  /* all keys of a database are about to be removed; TENANT_DATABASES: of all databases */
};

struct command_stats;
struct hotkeys;
struct key;
struct shard;
struct subscriptions;
struct task;
struct tenant;
struct tenant_stats;

/* The store calls it for each change of a key. `name` is valid during the call; it is empty with CHANGE_FLUSH. A key
 * that is removed can no longer be found, but its block is not freed yet. The watcher must not write to the tenant. */
typedef void (*change_watcher)(struct tenant *t, enum change what, unsigned database, struct slice name);

/* The store calls it before it writes an entry of more than tenant->large bytes. The watcher must not access the
 * tenant's keys. */
typedef void (*large_watcher)(struct tenant *t, const struct key *key, size_t bytes);

/* The state of a tenant's clients. It belongs to the floors above the store: the store initializes the list and calls
 * `free_stats`, nothing more. */
struct tenant_clients {
	uint64_t slow_ticks;                 /* a command that takes this long is recorded in `tenant_stats` */
	struct command_stats *command_stats; /* calls and time by command; NULL: none yet */
	uint64_t changes;                    /* changes of keys by commands: Redis's dirty counter */
	uint32_t event_classes;              /* classes of keyspace events that are published: NOTIFY_... */
	uint32_t attention;                  /* reasons to check each command of its sessions before it runs */
	struct subscriptions *subscriptions; /* channels, watched and tracked keys, MONITOR; NULL: none */
	struct list sessions;                /* links struct session.tenant_link */
	struct tenant_stats *tenant_stats;   /* slow log, latency, errors, settings; NULL: none yet */
	struct hotkeys *hotkeys;             /* sample of the most used and the largest keys; NULL: none yet */
	/* Frees and discharges command_stats, tenant_stats and hotkeys. The store calls it when the tenant ends.
	 * NULL: nothing to free. */
	void (*free_stats)(struct tenant *t);
	uint64_t leaving_bytes; /* part of counters.client_bytes: held by clients that close at the end of the turn */
	int64_t pause_end_ms;   /* CLIENT PAUSE: end of the pause by CLOCK_MONOTONIC; 0: no pause */
	struct list pushed;     /* output of its clients that is sent at the end of the turn: see src/net/push.h */
	struct list pushing;    /* link in the worker's list of tenants with such output */
	struct task *task;      /* the command that runs on a fiber, the others wait; NULL: none */
	uint64_t task_end_ns;   /* CLOCK_MONOTONIC of the end of its last command that was suspended; 0: none was */
	uint64_t cpu_paid_ns;   /* CLOCK_MONOTONIC until which its CPU time is paid for: see src/net/cpu_limit.h */
	int64_t cpu_wait_ms;    /* CLOCK_MONOTONIC until which its commands wait because of cpu_limit */
	bool cpu_limited;       /* it has a cpu_limit, counted in `attention` */
	bool pause_all;         /* CLIENT PAUSE: all commands wait; false: only those that may write */
	bool monitored;         /* the operator's MONITOR receives the tenant's commands */
	uint8_t audience;       /* enum audience: see include/atomdb/events/subscriptions.h */
	bool removed;           /* the configuration removed the tenant; it accepts no client, its clients close */
};

/* A change of an entry in place: see src/store/keyspace/check.h. */
struct entry_change {
	size_t from, to; /* the changing bytes, from the start of the entry */
	uint8_t rest;    /* the check without the changing units */
	bool whole;      /* the check is computed from the whole entry */
};

/* An open undo scope, beside its log in the arena: see src/store/keyspace/undo.h. All zeros: none is open. */
struct undo_scope {
	unsigned depth;             /* number of open scopes, one in the other */
	bool transaction;           /* the scope is that of a transaction */
	bool marked;                /* the scope was suspended: it counts in the shard's marked_scopes */
	struct tenant *tenant;      /* the tenant of the scope, from its first note on; or NULL */
	uint64_t bytes;             /* charged to it for the log and the kept blocks */
	uint64_t transaction_bytes; /* charged for the queued commands of the transaction */
	uint32_t dropped_last;      /* ref of the first database that the scope dropped; 0: it dropped none */
	uint32_t dropped_note;      /* the number of the note of the list of dropped databases */
	uint32_t index;             /* ref of the index of the notes of changes in place; 0: none */
	unsigned index_bits;        /* the index has 2^index_bits slots */
	uint32_t indexed;           /* slots in use */
	struct entry_change change;
};

/* The memory that the running command has made free for its blocks: see src/store/keyspace/room.h. */
struct room {
	uint64_t wanted; /* bytes of pages that its blocks need; 0: it makes no room */
	uint64_t held;   /* of these, bytes that it has taken from the shared budget */
	uint64_t used;   /* bytes of the arena's blocks when it last gave free pages back */
	bool reserve;    /* the bytes may come from the reserve of the budget */
};

/* The state of a tenant whose command is suspended: see include/atomdb/store/suspend.h. */
struct suspension {
	bool suspended;
	bool limits_wait;        /* `limits` are to be put in force after the resumption */
	struct undo_scope scope; /* while suspended: the scope of the command */
	uint32_t dropped; /* while suspended: ref of the database that the scope dropped last; 0: it dropped none */
	uint64_t made_up; /* while suspended: the shard's fair_share.made_up */
	struct list link; /* link in the shard's list of tenants that catch up */
	struct tenant_limits limits;
	void (*set_limits)(struct tenant *t); /* puts `limits` in force */
};

struct tenant {
	/* Hex digits of a keyed hash of the secret with which a client opened the tenant; "": none */
	char fingerprint[TENANT_FINGERPRINT + 1];
	/* Never NULL. The registry replaces it. The old identity stays valid as long as the tenant. */
	_Atomic(const struct tenant_identity *) identity;
	_Atomic bool orphaned; /* not in the configuration; kept because it has keys. The registry sets it */
	struct shard *shard;   /* constant */
	bool is_operator;      /* opened by the admin secret; constant */
	struct tenant_counters counters;

	/* Only the tenant's worker accesses the fields below. */
	struct tenant_limits limits;
	struct token_bucket commands; /* enforces limits.commands_per_second */
	struct tenant_clients clients;
	uint64_t share_ns;            /* virtual time of the tenant: see src/net/share.h */
	uint32_t share_factor;        /* virtual nanoseconds per nanosecond, times 2^SHARE_FACTOR_BITS */
	uint32_t slot;                /* index in the shard's directory, part of each entry; 0: not open */
	struct tenant_record *record; /* the tenant's part of the arena: see src/store/keyspace/record.h */
	change_watcher watcher;       /* NULL: changes are not reported */
	large_watcher written_large;  /* NULL: large entries are not reported */
	uint64_t large;               /* bytes: threshold of written_large */
	int64_t hold_end_ms; /* CLOCK_MONOTONIC: no key expires before it; nothing writes to the tenant; 0: not set */
	struct list over;    /* link in the shard's list of tenants above their quota */
	uint64_t dying;      /* part of counters.bytes: unlinked, and freed in slices */
	struct suspension suspension;
	struct room room;
};

static inline const struct tenant_identity *tenant_identity(const struct tenant *t) {
	return atomic_load_explicit(&t->identity, memory_order_acquire);
}

/* Returns whether shard_suspend() has suspended the tenant's command. */
static inline bool tenant_suspended(const struct tenant *t) {
	return t->suspension.suspended;
}

/* Returns whether the configuration names the tenant. */
static inline bool tenant_listed(const struct tenant *t) {
	return tenant_identity(t)->name[0] != '\0';
}

static inline bool tenant_orphaned(const struct tenant *t) {
	return atomic_load_explicit(&t->orphaned, memory_order_relaxed);
}

/* Returns the tenant's name in logs, metrics and replies. It stays valid as long as the tenant. */
static inline const char *tenant_name(const struct tenant *t) {
	return tenant_listed(t) ? tenant_identity(t)->name : t->fingerprint;
}
