#include "store/tenant/registry_table.h"

#include <assert.h>
#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "atomdb/store/shard.h"
#include "atomdb/store/shard_tenants.h"
#include "atomdb/store/tenant.h"
#include "store/keyspace/record.h"

/* The load that a tenant without keys adds to its shard, in bytes, when a shard is chosen for a new tenant. */
#define TENANT_WEIGHT 4096

static struct opener **bucket_of(struct registry *r, const struct secret *secret) {
	uint16_t hash;
	memcpy(&hash, secret->digest, sizeof hash);
	return &r->buckets[hash % BUCKETS];
}

struct registered *registry_find_secret(struct registry *r, const struct secret *secret) {
	struct registered *found = NULL;
	for (struct opener *o = *bucket_of(r, secret); o != NULL; o = o->next)
		if (secret_equal(&o->secret, secret))
			found = o->tenant;
	return found;
}

struct registered **registry_named(struct registry *r, const char *name) {
	static const struct hash_seed seed = {0, 0};
	return &r->named[hash_bytes(&seed, name, strlen(name)) % BUCKETS];
}

struct registered *registry_find_listed(struct registry *r, const char *name) {
	struct registered *g = *registry_named(r, name);
	while (g != NULL && strcmp(tenant_identity(&g->tenant)->name, name) != 0)
		g = g->next_named;
	return g;
}

void registry_remove_secrets(struct registry *r, struct registered *g) {
	for (unsigned i = 0; i < g->opener_count; i++) {
		struct opener **link = bucket_of(r, &g->openers[i].secret);
		while (*link != &g->openers[i])
			link = &(*link)->next;
		*link = g->openers[i].next;
	}
	sodium_memzero(g->openers, sizeof g->openers);
	g->opener_count = 0;
}

void registry_add_secrets(struct registry *r, struct registered *g, const struct secret *secrets, unsigned count) {
	assert(g->opener_count == 0 && count <= TENANT_SECRETS);
	for (unsigned i = 0; i < count; i++) {
		struct opener **bucket = bucket_of(r, &secrets[i]);
		g->openers[i] = (struct opener){secrets[i], g, *bucket};
		*bucket = &g->openers[i];
	}
	g->opener_count = count;
}

bool registry_add_own_secret(struct registry *r, struct registered *g) {
	struct secret own;
	memcpy(own.digest, tenant_identity(&g->tenant)->digest, sizeof own.digest);
	bool free = g->opener_count == 0 && sodium_is_zero(own.digest, sizeof own.digest) == 0 &&
		    registry_find_secret(r, &own) == NULL;
	if (free)
		registry_add_secrets(r, g, &own, 1);
	sodium_memzero(&own, sizeof own);
	return free;
}

static unsigned lightest_shard(const struct registry *r) {
	unsigned best = 0;
	uint64_t least = UINT64_MAX;
	for (unsigned i = 0; i < r->shard_count; i++) {
		uint64_t load = counter_get(&shard_counters(r->shards[i])->used) + r->assigned[i] * TENANT_WEIGHT;
		if (load < least) {
			least = load;
			best = i;
		}
	}
	return best;
}

struct registered *registry_place(struct registry *r, unsigned shard, const struct tenant_limits *limits) {
	struct registered *g = malloc(sizeof *g);
	if (g == NULL)
		return NULL;
	*g = (struct registered){.shard = shard, .limits = *limits};
	tenant_init(&g->tenant, r->shards[g->shard], limits);
	list_push_back(&r->tenants, &g->link);
	r->assigned[g->shard]++;
	r->count++;
	r->opened++;
	return g;
}

void registry_show(struct registry *r, struct registered *g) {
	struct registered *last = r->shown_last;
	g->shown_before = last;
	atomic_store_explicit(&g->shown_next, NULL, memory_order_relaxed);
	atomic_store_explicit(last == NULL ? &r->shown : &last->shown_next, g, memory_order_release);
	r->shown_last = g;
}

struct registered *registry_add(struct registry *r, const struct tenant_limits *limits) {
	return registry_place(r, lightest_shard(r), limits);
}

void registry_remove_name(struct registry *r, const struct registered *g) {
	struct registered **link = registry_named(r, tenant_name(&g->tenant));
	while (*link != g)
		link = &(*link)->next_named;
	*link = g->next_named;
}

int registry_set_identity(struct registry *r, struct registered *g, const char *name, const struct secret *digest) {
	struct identity_node *k = calloc(1, sizeof *k);
	if (k == NULL)
		return -ENOMEM;
	memcpy(k->identity.digest, digest->digest, sizeof k->identity.digest);
	memcpy(k->identity.name, name, strnlen(name, TENANT_NAME_MAX));
	if (registered_listed(g))
		registry_remove_name(r, g);
	else
		r->opened -= name[0] != '\0';
	k->before = g->identities;
	g->identities = k;
	atomic_store_explicit(&g->tenant.identity, &k->identity, memory_order_release);
	if (name[0] == '\0')
		return 0;
	struct registered **place = registry_named(r, name);
	g->next_named = *place;
	*place = g;
	return 0;
}

void registry_unlist(struct registry *r, struct registered *g) {
	registry_remove_secrets(r, g);
	if (registered_listed(g))
		registry_remove_name(r, g);
	list_remove(&g->link);
	r->assigned[g->shard]--;
	r->count--;
	r->orphans -= tenant_orphaned(&g->tenant);
	if (!registered_listed(g))
		r->opened--;
	if (r->anonymous == g)
		r->anonymous = NULL;
}

/* Removes a tenant from the list that registry_each() visits. No thread visits the list meanwhile. */
static void hide(struct registry *r, struct registered *g) {
	struct registered *next = atomic_load_explicit(&g->shown_next, memory_order_relaxed);
	if (g->shown_before != NULL)
		atomic_store_explicit(&g->shown_before->shown_next, next, memory_order_relaxed);
	else
		atomic_store_explicit(&r->shown, next, memory_order_relaxed);
	if (next != NULL)
		next->shown_before = g->shown_before;
	else
		r->shown_last = g->shown_before;
}

void registry_free_tenant(struct registered *g) {
	for (struct identity_node *k = g->identities, *before; k != NULL; k = before) {
		before = k->before;
		sodium_memzero(k, sizeof *k);
		free(k);
	}
	sodium_memzero(g->openers, sizeof g->openers);
	free(g);
}

void registry_close(struct registry *r, struct registered *g) {
	hide(r, g);
	shard_close_tenant(g->tenant.shard, &g->tenant);
	registry_free_tenant(g);
}

void registry_discard(struct registry *r, struct registered *g) {
	registry_unlist(r, g);
	registry_free_tenant(g);
}
