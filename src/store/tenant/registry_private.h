/* The structs of the registry, for its own files: registry_table.c keeps the tenants by name and secret,
 * registry_limits.c watches over limits that take keys, registry_lifecycle.c ends tenants, registry_reload.c puts a
 * configuration in force, registry_walk.c and registry_shares.c visit all tenants. */
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

/* A secret in the hash table: its digest is uniform, so its first bytes are the hash. */
struct opener {
	struct secret secret;
	struct registered *tenant;
	struct opener *next;
};

/* An identity that the tenant has, or had: others may still read it. */
struct known_as {
	struct tenant_identity identity;
	struct known_as *before; /* owned */
};

struct registered {
	struct tenant tenant;
	struct known_as *known_as;              /* owned: the latest first; NULL: none yet */
	const struct tenant_identity *restored; /* its identity in the process before; NULL: that had no such tenant */
	struct tenant_limits limits;            /* in force, or about to be; of an orphan: the former ones */
	unsigned untold;                        /* calls of registry_orphan_told that are to come */
	struct opener openers[TENANT_SECRETS];
	unsigned opener_count;
	unsigned shard;   /* index */
	bool matched;     /* of the running reload: the configuration names it */
	bool wanted;      /* likewise: it names it, or lets clients open it */
	bool weighed;     /* likewise: it is among what would be lost */
	bool leaving;     /* removed by a reload: its worker has been told, and will say when it is done */
	struct list link; /* in one of the registry's lists */
	struct registered *next_named;
	bool done;                       /* leaving, and its worker said so, but could not free it yet */
	bool postponed;                  /* its worker is to try again to end it */
	struct registered *shown_before; /* in registry->shown */
	_Atomic(struct registered *) shown_next;
};

struct registry {
	pthread_mutex_t mutex;
	/* A thread that visits all tenants holds it, so that none of them is freed. Workers only try to take it. */
	pthread_mutex_t looking;
	_Atomic(struct registered *) shown; /* all tenants: longer with the mutex, shorter with `looking` too */
	struct registered *shown_last;
	_Atomic unsigned postponed; /* tenants that are */
	struct shard *const *shards;
	size_t shard_count;
	size_t *assigned; /* owned: tenants of each shard */
	struct registry_hooks hooks;
	const struct log_sink *events;
	uint8_t fingerprint_key[SHARD_KEY];
	bool open;
	uint32_t max_tenants;
	struct tenant_limits defaults;
	bool held;                    /* tenants do not end any more */
	bool renamed;                 /* a tenant of the process before has another identity since the start */
	bool starting;                /* no worker runs yet: nothing is posted, and what goes goes at once */
	struct registry_loss lifted;  /* of the running change: tenants that keep the former limit */
	struct registry_loss lowered; /* likewise: tenants that lose keys by a limit that the configuration writes */
	struct registered *anonymous;
	struct list tenants;
	struct fair_share_demand *demands; /* owned: of all tenants, with `looking` */
	size_t demand_room;
	struct list leaving; /* removed by a reload, until their workers are done with them */
	size_t count;
	size_t opened;          /* of them, those without a name: clients opened them */
	_Atomic size_t orphans; /* of them; written under the mutex */
	struct opener *buckets[BUCKETS];
	struct registered *named[BUCKETS]; /* those with a name of their own, which only the operator gives */
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
