/* The inside of the registry, for its four files: registry.c finds and adds tenants, registry_reload.c puts a
 * configuration in force, registry_limits.c watches over limits that take keys, registry_end.c ends tenants and lists
 * them. */
#pragma once

#include <pthread.h>

#include "atomdb/store/registry.h"
#include "atomdb/store/shard.h"
#include "atomdb/store/shard_open.h"
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
	const struct tenant_identity *restored; /* what the process before knew it by; NULL: that had no such tenant */
	struct tenant_limits limits;            /* in force, or about to be; those that an orphan had before */
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
	/* Held by who looks at all tenants, so that none of them is freed. Workers only try to take it. */
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
	size_t opened;          /* of them, by clients */
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

/* registry.c; all of these with the mutex. */

struct registered *registry_find_secret(struct registry *r, const struct secret *secret);
struct registered *registry_find_listed(struct registry *r, const char *name);
void registry_forget_secrets(struct registry *r, struct registered *g);
void registry_learn_secrets(struct registry *r, struct registered *g, const struct secret *secrets, unsigned count);
/* Lets the secret of the tenant's identity open it, or keep others out where it is an orphan, if nothing else has it
 * and it has none; whether it does. */
bool registry_learn_own(struct registry *r, struct registered *g);
/* Where the tenants whose names have this one's hash begin. */
struct registered **registry_named(struct registry *r, const char *name);
/* Gives a tenant a name, or another one, and a digest. 0 or -ENOMEM. */
int registry_know_as(struct registry *r, struct registered *g, const char *name, const struct secret *digest);
/* A new tenant in the shard with the least load, not shown yet; NULL for want of memory. */
struct registered *registry_add(struct registry *r, const struct tenant_limits *limits);
/* Takes back registry_add. */
void registry_discard(struct registry *r, struct registered *g);
/* Lets those who look at all tenants find it: it is complete. */
void registry_show(struct registry *r, struct registered *g);

/* registry_limits.c */

/* Counts a tenant that would lose keys by that limit, or end: KEY_LIMITS. */
void registry_count_loss(struct registry_loss *loss, const struct registered *g, enum key_limit limit,
			 uint64_t becomes);
/* Counts the tenant if `wanted` would take keys from it by a limit that the configuration does not write, or writes no
 * longer where it did. */
void registry_weigh_limits(const struct registry *r, struct registered *g, const struct tenant_limits *wanted,
			   struct registry_loss *loss);
/* Decides which of the limits that the tenant is about to get are in force, and which former ones it keeps. */
void registry_take_limits(struct registry *r, struct registered *g, const struct tenant_limits *limits);
/* Lets the tenant, which becomes an orphan, keep no limit. The former ones stay known. */
void registry_keep_no_limits(struct registered *g);
/* Reports the tenants that keep limits, or lose keys by lowered ones, since the last call. */
void registry_report_limits(struct registry *r);

/* registry_end.c */

/* The shards' share.measure; `context` is the registry. From any worker's thread. */
void registry_measure_shares(void *context, struct memory_budget *b, uint64_t wanted);

/* Takes the tenant out of the hash table of names. */
void registry_forget_name(struct registry *r, const struct registered *g);
/* Reports an event with the tenant's keys and bytes. */
void registry_report_keys(const struct registry *r, enum log_event_id id, const struct registered *g);
void registry_set_orphaned(struct registry *r, struct registered *g, bool orphaned);
/* Makes a tenant an orphan, which nobody opens. Without keys it ends, as soon as its worker has seen that. */
void registry_orphan(struct registry *r, struct registered *g);
/* Takes a tenant out of all that finds it by secret or name; its worker may still use it. */
void registry_unlist(struct registry *r, struct registered *g);
/* Ends a tenant: its worker closes its clients and frees it. */
void registry_end(struct registry *r, struct registered *g);
/* Frees the struct. */
void registry_free_tenant(struct registered *g);
/* Closes and frees what was unlisted. */
void registry_close(struct registry *r, struct registered *g);
