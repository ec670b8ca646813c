/* The inside of the registry, for its two files: registry.c finds, adds and changes tenants, registry_end.c ends them
 * and shows them to who looks at all. */
#pragma once

#include <pthread.h>

#include "atomdb/store/registry.h"
#include "store/share.h"

#define BUCKETS 16384

struct registered;

/* A secret in the hash table: its digest is uniform, so its first bytes are the hash. */
struct opener {
	struct secret secret;
	struct registered *tenant;
	struct opener *next;
};

struct registered {
	struct tenant tenant;
	struct opener openers[TENANT_SECRETS];
	unsigned opener_count;
	unsigned shard;   /* index */
	bool wanted;      /* of the running reload: the configuration names it */
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
	const struct event_sink *events;
	bool open;
	uint32_t max_tenants;
	struct tenant_limits defaults;
	bool held;     /* tenants do not end any more */
	bool starting; /* no worker runs yet: nothing is posted, and what goes goes at once */
	struct registered *anonymous;
	struct list tenants;
	struct share_demand *demands; /* owned: of all tenants, with `looking` */
	size_t demand_room;
	struct list leaving; /* removed by a reload, until their workers are done with them */
	size_t count;
	size_t opened; /* of them, by clients */
	struct opener *buckets[BUCKETS];
	struct registered *named[BUCKETS]; /* those with a name of their own, which only the operator gives */
};

static inline bool registered_listed(const struct registered *g) {
	return atomic_load_explicit(&g->tenant.listed, memory_order_relaxed);
}

static inline void registry_report(const struct registry *r, enum event_id id, const struct registered *g) {
	event_report(r->events, &(struct event){.id = id, .tenant = tenant_name(&g->tenant)});
}

/* registry.c; all of these with the mutex. */

void registry_forget_secrets(struct registry *r, struct registered *g);
/* Where the tenants whose names have this one's hash begin. */
struct registered **registry_named(struct registry *r, const char *name);

/* registry_end.c */

/* The shards' share.measure; `context` is the registry. From any worker's thread. */
void registry_measure_shares(void *context, struct arena_budget *b, uint64_t wanted);

/* Takes a tenant out of all that finds it by secret or name; its worker may still use it. */
void registry_unlist(struct registry *r, struct registered *g);
/* Ends a tenant: its worker closes its clients and frees it. */
void registry_end(struct registry *r, struct registered *g);
/* Closes and frees what was unlisted. */
void registry_close(struct registry *r, struct registered *g);
