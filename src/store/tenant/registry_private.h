/* The structs of the registry, for its own files.
 *
 * registry_table.c finds tenants by name and secret, registry_limits.c protects keys from lower limits,
 * registry_lifecycle.c ends tenants, registry_reload.c applies a configuration, registry_walk.c and registry_shares.c
 * visit all tenants. */
#pragma once

#include <pthread.h>

#include "atomdb/store/registry_hooks.h"
#include "atomdb/store/registry_loss.h"
#include "atomdb/store/shard.h"
#include "atomdb/store/shard_open.h"
#include "atomdb/store/tenant_config.h"
#include "atomdb/util/log.h"
#include "store/keyspace/fair_share.h"

#define BUCKETS 16384

struct registered;

/* A secret in the hash table. The first bytes of its digest, which is uniform, are the hash. */
struct opener {
	struct secret secret;
	struct registered *tenant;
	struct opener *next;
};

/* An identity that the tenant has or had. Other threads may still read a former one. */
struct identity_node {
	struct tenant_identity identity;
	struct identity_node *before; /* owned */
};

/* A tenant in the registry. */
struct registered {
	struct tenant tenant;
	struct identity_node *identities;       /* owned; the latest is first; NULL: none yet */
	const struct tenant_identity *restored; /* its identity in the process before; NULL: it is new */
	struct tenant_limits limits;            /* in force, or sent to the worker; of an orphan: its former limits */
	unsigned untold; /* calls of registry_orphan_told() and registry_limits_told() that are missing */
	struct opener openers[TENANT_SECRETS];
	unsigned opener_count;
	unsigned shard;   /* index */
	bool matched;     /* in a reload: the configuration names it */
	bool wanted;      /* in a reload: the configuration names it, or lets clients open it */
	bool weighed;     /* in a reload: it has been counted as a loss */
	bool leaving;     /* removed; its worker has yet to call registry_remove_done() */
	struct list link; /* in one of the registry's lists */
	struct registered *next_named;
	bool done;                       /* registry_remove_done() was called, but could not free it */
	bool postponed;                  /* its worker has to try again to end it */
	struct registered *shown_before; /* in registry->shown */
	_Atomic(struct registered *) shown_next;
};

struct registry {
	pthread_mutex_t mutex;
	/* Held by a thread that visits all tenants, so that none of them is freed. Workers only try to lock it. */
	pthread_mutex_t visiting;
	/* All tenants. A thread locks the mutex to add one, and also `visiting` to remove one. */
	_Atomic(struct registered *) shown;
	struct registered *shown_last;
	_Atomic unsigned postponed; /* number of postponed tenants */
	struct shard *const *shards;
	size_t shard_count;
	size_t *assigned; /* owned: number of tenants by shard */
	struct registry_hooks hooks;
	const struct log_sink *events;
	uint8_t fingerprint_key[SHARD_KEY];
	bool open;
	uint32_t max_tenants;
	struct tenant_limits defaults;
	bool held;                    /* no tenant ends any more: see registry_hold() */
	bool renamed;                 /* a tenant of the process before got another name at the start */
	bool starting;                /* no worker runs yet: no hook is called, and tenants end at once */
	struct registry_loss lifted;  /* in a reload: tenants that keep their former limit */
	struct registry_loss lowered; /* in a reload: tenants that lose keys by a limit in the configuration */
	struct registered *anonymous;
	struct list tenants;
	struct fair_share_demand *demands; /* owned: of all tenants; guarded by `visiting` */
	size_t demand_room;
	struct list leaving; /* removed tenants, until their workers call registry_remove_done() */
	size_t count;
	size_t opened;          /* tenants that clients opened, which have no name */
	_Atomic size_t orphans; /* written with the mutex locked */
	struct opener *buckets[BUCKETS];
	struct registered *named[BUCKETS]; /* hash table of the tenants with a name */
};

static inline bool registered_listed(const struct registered *g) {
	return tenant_listed(&g->tenant);
}

static inline bool registered_has_keys(const struct registered *g) {
	return counter_get(&g->tenant.counters.keys) != 0;
}

static inline void registry_report(const struct registry *r, enum log_event_id id, const struct registered *g) {
	log_report(r->events, &(struct log_event){.id = id, .tenant = tenant_name(&g->tenant)});
}
