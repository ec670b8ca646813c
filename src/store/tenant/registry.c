#include "atomdb/store/registry.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "atomdb/store/registry_reload.h"
#include "atomdb/store/shard.h"
#include "atomdb/store/shard_open.h"
#include "atomdb/store/shard_tenants.h"
#include "atomdb/store/tenant.h"
#include "atomdb/util/error.h"
#include "store/keyspace/pin.h"
#include "store/keyspace/record.h"
#include "store/tenant/registry_private.h"
#include "store/tenant/registry_shares.h"
#include "store/tenant/registry_table.h"
#include "store/tenant/saved_limits.h"

/* Sets the identity of a tenant that a client opened: its secret, and a fingerprint as its name. */
static int identify_by_secret(struct registry *r, struct registered *g, const struct secret *secret) {
	uint8_t hash[crypto_generichash_BYTES];
	crypto_generichash(hash, sizeof hash, secret->digest, sizeof secret->digest, r->fingerprint_key,
			   sizeof r->fingerprint_key);
	sodium_bin2hex(g->tenant.fingerprint, sizeof g->tenant.fingerprint, hash, TENANT_FINGERPRINT / 2);
	return registry_set_identity(r, g, "", secret);
}

/* The argument of restore_tenant(). */
struct restoration {
	struct registry *registry;
	unsigned shard;
	int error;
};

static void restore_tenant(void *context, uint32_t slot, const struct tenant_identity *identity) {
	struct restoration *restoration = context;
	struct registry *r = restoration->registry;
	struct secret secret;
	memcpy(secret.digest, identity->digest, sizeof secret.digest);
	bool named = identity->name[0] != '\0', known = sodium_is_zero(secret.digest, sizeof secret.digest) == 0;
	const struct registered *other = registry_find_secret(r, &secret);
	/* A client may have opened this tenant with a secret that a named tenant has now. */
	bool duplicate = named ? registry_find_listed(r, identity->name) != NULL
			       : !known || (other != NULL && !registered_listed(other));
	struct registered *g = restoration->error != 0 ? NULL : registry_place(r, restoration->shard, &r->defaults);
	if (g == NULL) {
		restoration->error = -ENOMEM;
		return;
	}
	int error = named && !duplicate ? registry_set_identity(r, g, identity->name, &secret)
					: identify_by_secret(r, g, &secret);
	if (error != 0) {
		restoration->error = error;
		registry_discard(r, g);
		return;
	}
	g->restored = &g->identities->identity;
	g->tenant.is_operator = named && strcmp(identity->name, TENANT_OPERATOR) == 0;
	shard_adopt_tenant(r->shards[restoration->shard], slot, &g->tenant);
	saved_limits_read(g->tenant.record->limits, &g->limits);
	registry_show(r, g);
	if (!duplicate)
		registry_add_own_secret(r, g);
	/* A tenant that a client opened ends with its last key and its last pinned value. */
	if (duplicate || (!named && !registered_has_keys(g) && !pins_has_tenant(r->shards[restoration->shard], slot))) {
		registry_unlist(r, g);
		registry_close(r, g);
	}
}

/* Adds the tenants of all adopted shards. */
static int restore(struct registry *r) {
	struct restoration restoration = {r, 0, 0};
	for (; restoration.shard < r->shard_count; restoration.shard++)
		shard_each_tenant(r->shards[restoration.shard], restore_tenant, &restoration);
	return restoration.error;
}

int registry_new(struct registry **out, struct shard *const *shards, size_t shard_count,
		 const struct tenants_config *config, const struct registry_hooks *hooks,
		 const struct log_sink *events) {
	struct registry *r = calloc(1, sizeof *r);
	if (r == NULL)
		return -ENOMEM;
	pthread_mutex_init(&r->mutex, NULL);
	pthread_mutex_init(&r->visiting, NULL);
	list_init(&r->tenants);
	list_init(&r->leaving);
	r->shards = shards;
	r->shard_count = shard_count;
	r->assigned = calloc(shard_count, sizeof *r->assigned);
	for (size_t i = 0; i < shard_count; i++) {
		shard_set_defaults(shards[i], &config->defaults);
		shards[i]->fair_share.measure = registry_measure_shares;
		shards[i]->fair_share.context = r;
	}
	shard_secret_key(shards[0], "fingerprint", r->fingerprint_key);
	r->starting = true;
	r->events = events;
	r->defaults = config->defaults;
	int error = r->assigned == NULL ? -ENOMEM : restore(r);
	if (error == 0)
		error = registry_reload(r, config, NULL);
	r->starting = false;
	if (error != 0) {
		registry_free(r);
		return error;
	}
	if (hooks != NULL)
		r->hooks = *hooks;
	*out = r;
	return 0;
}

static void free_all(struct list *tenants) {
	list_for_each (node, tenants) {
		struct registered *g = list_entry(node, struct registered, link);
		list_remove(node);
		tenant_deinit(&g->tenant);
		registry_free_tenant(g);
	}
}

void registry_free(struct registry *r) {
	if (r == NULL)
		return;
	for (size_t i = 0; i < r->shard_count; i++)
		r->shards[i]->fair_share.measure = NULL;
	free_all(&r->tenants);
	free_all(&r->leaving);
	sodium_memzero(r->fingerprint_key, sizeof r->fingerprint_key);
	free(r->assigned);
	free(r->demands);
	pthread_mutex_destroy(&r->mutex);
	pthread_mutex_destroy(&r->visiting);
	free(r);
}

/* Adds a tenant for a new secret. Returns 0, ATOMDB_E_FULL or -ENOMEM. */
static int open_tenant(struct registry *r, const struct secret *secret, struct registered **out) {
	if (r->max_tenants != 0 && r->opened >= r->max_tenants)
		return ATOMDB_E_FULL;
	struct registered *g = registry_add(r, &r->defaults);
	if (g == NULL)
		return -ENOMEM;
	int error = identify_by_secret(r, g, secret);
	if (error != 0) {
		registry_discard(r, g);
		return error;
	}
	registry_show(r, g);
	registry_add_secrets(r, g, secret, 1);
	*out = g;
	return 0;
}

static bool has_name(const struct registered *g, struct slice name) {
	return registered_listed(g) && slice_equal(name, slice_of(tenant_name(&g->tenant)));
}

/* Returns the kind of a secret that opens `g` (NULL: no tenant), if it is sent with `name`. */
static enum secret_kind kind_of(const struct registry *r, const struct registered *g, struct slice name) {
	bool any_name = slice_equal(name, SLICE("default"));
	if (g == NULL)
		return r->open && any_name ? SECRET_NEW : SECRET_WRONG;
	return !tenant_orphaned(&g->tenant) && (any_name || has_name(g, name)) ? SECRET_KNOWN : SECRET_WRONG;
}

enum secret_kind registry_kind(struct registry *r, struct slice name, struct slice secret) {
	struct secret digest;
	if (secret.len > SECRET_MAX)
		return SECRET_WRONG;
	secret_digest(secret, &digest);
	pthread_mutex_lock(&r->mutex);
	enum secret_kind kind = kind_of(r, registry_find_secret(r, &digest), name);
	pthread_mutex_unlock(&r->mutex);
	sodium_memzero(&digest, sizeof digest);
	return kind;
}

int registry_authenticate(struct registry *r, struct slice name, struct slice secret, struct tenant **out,
			  unsigned *worker) {
	struct secret digest;
	struct registered *g;
	bool opened = false;
	int error = 0;
	if (secret.len > SECRET_MAX)
		return ATOMDB_E_WRONGPASS;
	secret_digest(secret, &digest);
	pthread_mutex_lock(&r->mutex);
	g = registry_find_secret(r, &digest);
	enum secret_kind kind = kind_of(r, g, name);
	if (kind == SECRET_WRONG)
		error = ATOMDB_E_WRONGPASS;
	else if (kind == SECRET_NEW)
		opened = (error = open_tenant(r, &digest, &g)) == 0;
	if (error == 0) {
		*out = &g->tenant;
		*worker = shard_worker(g->tenant.shard);
		if (opened)
			registry_report(r, LOG_EVENT_TENANT_CREATED, g);
	}
	pthread_mutex_unlock(&r->mutex);
	if (error == ATOMDB_E_FULL)
		log_report(r->events, &(struct log_event){.id = LOG_EVENT_TENANTS_FULL});
	sodium_memzero(&digest, sizeof digest);
	return error;
}

int registry_anonymous(struct registry *r, struct tenant **out, unsigned *worker) {
	int error = ATOMDB_E_WRONGPASS;
	pthread_mutex_lock(&r->mutex);
	if (r->anonymous != NULL) {
		*out = &r->anonymous->tenant;
		*worker = shard_worker(r->anonymous->tenant.shard);
		error = 0;
	}
	pthread_mutex_unlock(&r->mutex);
	return error;
}

/* Returns whether two identities belong to one tenant. */
static bool is_same(const struct tenant_identity *a, const struct tenant_identity *b) {
	bool named = a->name[0] != '\0' && b->name[0] != '\0';
	if (named && strcmp(a->name, b->name) == 0)
		return true;
	return sodium_is_zero(a->digest, sizeof a->digest) == 0 && memcmp(a->digest, b->digest, sizeof a->digest) == 0;
}

/* Returns the tenant that had this identity in the process before and has another name now, or NULL. */
static struct registered *find_renamed(struct registry *r, const struct tenant_identity *identity) {
	list_for_each (node, &r->tenants) {
		struct registered *g = list_entry(node, struct registered, link);
		const struct tenant_identity *now = tenant_identity(&g->tenant), *then = g->restored;
		if (then != NULL && then != now && strcmp(then->name, now->name) != 0 && is_same(then, identity))
			return g;
	}
	return NULL;
}

int registry_resume(struct registry *r, const struct tenant_identity *identity, struct tenant **out) {
	struct secret secret;
	struct registered *g = NULL;
	int error = 0;
	memcpy(secret.digest, identity->digest, sizeof secret.digest);
	pthread_mutex_lock(&r->mutex);
	bool has_name = identity->name[0] != '\0', has_secret = !sodium_is_zero(secret.digest, sizeof secret.digest);
	if (r->renamed)
		g = find_renamed(r, identity);
	if (g == NULL && has_name)
		g = registry_find_listed(r, identity->name);
	else if (g == NULL && has_secret)
		g = registry_find_secret(r, &secret);
	/* Another tenant, with keys of its own, may have this name or secret now. */
	if (g != NULL && (tenant_orphaned(&g->tenant) || (g->restored != NULL && !is_same(g->restored, identity))))
		error = ATOMDB_E_WRONGPASS;
	else if (g == NULL)
		error = has_secret && !has_name && r->open ? open_tenant(r, &secret, &g) : ATOMDB_E_WRONGPASS;
	if (error == 0)
		*out = &g->tenant;
	pthread_mutex_unlock(&r->mutex);
	sodium_memzero(&secret, sizeof secret);
	return error;
}

struct arenas registry_arenas(const struct registry *r) {
	struct arenas sum = {0};
	for (size_t i = 0; i < r->shard_count; i++) {
		sum.used += counter_get(&shard_counters(r->shards[i])->used);
		sum.resident += counter_get(&shard_counters(r->shards[i])->resident);
		sum.compacting |= counter_get(&shard_counters(r->shards[i])->compacting) != 0;
	}
	return sum;
}

struct tenant_limits registry_limits(const struct tenant *t) {
	static const struct tenant_limits none;
	return tenant_orphaned(t) ? none : list_entry(t, const struct registered, tenant)->limits;
}

size_t registry_count(struct registry *r) {
	pthread_mutex_lock(&r->mutex);
	size_t count = r->count;
	pthread_mutex_unlock(&r->mutex);
	return count;
}

size_t registry_orphans(struct registry *r) {
	pthread_mutex_lock(&r->mutex);
	size_t count = r->orphans;
	pthread_mutex_unlock(&r->mutex);
	return count;
}
