#include "atomdb/store/registry.h"

#include <assert.h>
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "atomdb/store/shard.h"
#include "atomdb/util/error.h"
#include "store/record.h"
#include "store/registry_private.h"

/* What a tenant that holds nothing yet weighs against bytes, when a shard is chosen for a new one. */
#define TENANT_WEIGHT 4096

void secret_digest(struct slice text, struct secret *out) {
	crypto_hash_sha256(out->digest, (const unsigned char *)text.data, text.len);
}

bool secret_equal(const struct secret *a, const struct secret *b) {
	return sodium_memcmp(a->digest, b->digest, SECRET_DIGEST) == 0;
}

static struct opener **bucket_of(struct registry *r, const struct secret *secret) {
	uint16_t hash;
	memcpy(&hash, secret->digest, sizeof hash);
	return &r->buckets[hash % BUCKETS];
}

static struct registered *find_secret(struct registry *r, const struct secret *secret) {
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

static struct registered *find_listed(struct registry *r, const char *name) {
	struct registered *g = *registry_named(r, name);
	while (g != NULL && strcmp(g->tenant.name, name) != 0)
		g = g->next_named;
	return g;
}

void registry_forget_secrets(struct registry *r, struct registered *g) {
	for (unsigned i = 0; i < g->opener_count; i++) {
		struct opener **link = bucket_of(r, &g->openers[i].secret);
		while (*link != &g->openers[i])
			link = &(*link)->next;
		*link = g->openers[i].next;
	}
	sodium_memzero(g->openers, sizeof g->openers);
	g->opener_count = 0;
}

static void learn_secrets(struct registry *r, struct registered *g, const struct secret *secrets, unsigned count) {
	assert(g->opener_count == 0 && count <= TENANT_SECRETS);
	for (unsigned i = 0; i < count; i++) {
		struct opener **bucket = bucket_of(r, &secrets[i]);
		g->openers[i] = (struct opener){secrets[i], g, *bucket};
		*bucket = &g->openers[i];
	}
	g->opener_count = count;
}

static unsigned lightest_shard(const struct registry *r) {
	unsigned best = 0;
	uint64_t least = UINT64_MAX;
	for (unsigned i = 0; i < r->shard_count; i++) {
		uint64_t load = counter_get(&shard_figures(r->shards[i])->used) + r->assigned[i] * TENANT_WEIGHT;
		if (load < least) {
			least = load;
			best = i;
		}
	}
	return best;
}

static struct registered *place_tenant(struct registry *r, unsigned shard, const struct tenant_limits *limits) {
	struct registered *g = malloc(sizeof *g);
	if (g == NULL)
		return NULL;
	g->opener_count = 0;
	g->leaving = false;
	g->done = g->postponed = false;
	g->next_named = NULL;
	g->shard = shard;
	tenant_init(&g->tenant, r->shards[g->shard], limits);
	list_push_back(&r->tenants, &g->link);
	r->assigned[g->shard]++;
	r->count++;
	return g;
}

/* Lets those who look at all tenants find it: it is complete. */
static void show_tenant(struct registry *r, struct registered *g) {
	struct registered *last = r->shown_last;
	g->shown_before = last;
	atomic_store_explicit(&g->shown_next, NULL, memory_order_relaxed);
	atomic_store_explicit(last == NULL ? &r->shown : &last->shown_next, g, memory_order_release);
	r->shown_last = g;
}

static struct registered *add_tenant(struct registry *r, const struct tenant_limits *limits) {
	return place_tenant(r, lightest_shard(r), limits);
}

/* What a tenant that a client opened is known by. */
static void name_by_secret(struct registered *g, const struct secret *secret) {
	sodium_bin2hex(g->tenant.fingerprint, sizeof g->tenant.fingerprint, secret->digest, TENANT_FINGERPRINT / 2);
	memcpy(g->tenant.digest, secret->digest, sizeof g->tenant.digest);
}

static void set_name(struct registry *r, struct registered *g, const char *name) {
	memcpy(g->tenant.name, name, sizeof g->tenant.name);
	struct registered **place = registry_named(r, name);
	g->next_named = *place;
	*place = g;
	atomic_store_explicit(&g->tenant.listed, true, memory_order_release);
}

static void change_limits(struct registry *r, struct registered *g, const struct tenant_limits *limits) {
	if (r->starting)
		tenant_set_limits(&g->tenant, limits, 0);
	if (r->hooks.limits_changed != NULL)
		r->hooks.limits_changed(r->hooks.context, &g->tenant, limits);
}

/* The anonymous tenant need not be among the configured ones: it then has the defaults and no secret. */
static int want_anonymous(struct registry *r, const char *name) {
	if (name[0] == '\0')
		return 0;
	r->anonymous = find_listed(r, name);
	if (r->anonymous == NULL) {
		r->anonymous = add_tenant(r, &r->defaults);
		if (r->anonymous == NULL)
			return -ENOMEM;
		char padded[TENANT_NAME_MAX + 1] = "";
		memcpy(padded, name, strnlen(name, TENANT_NAME_MAX));
		set_name(r, r->anonymous, padded);
		show_tenant(r, r->anonymous);
	}
	return 0;
}

/* Ends what clients opened with secrets that are another tenant's now: they would go on to find that one. */
static void remove_rivals(struct registry *r, const struct registered *g, const struct tenant_config *c) {
	for (unsigned i = 0; i < c->secret_count; i++) {
		struct registered *rival = find_secret(r, &c->secrets[i]);
		if (rival != NULL && rival != g)
			registry_end(r, rival);
	}
}

/* A configured tenant: changed if it is there, adopted if clients opened it before with the same secret, else added. */
static int put_tenant(struct registry *r, const struct tenant_config *c) {
	struct registered *g = find_listed(r, c->name);
	bool is_operator = strcmp(c->name, TENANT_OPERATOR) == 0;
	/* What a client opened is never the operator's. */
	for (unsigned i = 0; g == NULL && !is_operator && i < c->secret_count; i++)
		g = find_secret(r, &c->secrets[i]);
	bool added = g == NULL;
	if (added && (g = add_tenant(r, &c->limits)) == NULL)
		return -ENOMEM;
	if (added)
		g->tenant.is_operator = is_operator;
	remove_rivals(r, g, c);
	if (!added)
		registry_forget_secrets(r, g);
	if (!registered_listed(g)) {
		set_name(r, g, c->name);
		r->opened -= !added;
	}
	if (added)
		show_tenant(r, g);
	/* Only now: the worker that is told writes the name to the arena. */
	if (!added)
		change_limits(r, g, &c->limits);
	learn_secrets(r, g, c->secrets, c->secret_count);
	if (added && !r->starting)
		registry_report(r, EVENT_TENANT_CREATED, g);
	return 0;
}

/* The operator's tenant has no limits, so that none is in his way. */
static int put_operator(struct registry *r, const struct secret *secret) {
	struct tenant_config c = {.name = TENANT_OPERATOR, .secrets = {*secret}, .secret_count = 1};
	int error = put_tenant(r, &c);
	sodium_memzero(&c, sizeof c);
	return error;
}

static bool is_wanted(const struct tenancy *y, const struct registered *g) {
	if (!registered_listed(g))
		return y->open;
	if (g->tenant.is_operator)
		return y->admin != NULL;
	return g->wanted || strcmp(y->anonymous, g->tenant.name) == 0;
}

static void mark_wanted(struct registry *r, const struct tenancy *y) {
	list_for_each (node, &r->tenants)
		list_entry(node, struct registered, link)->wanted = false;
	for (size_t i = 0; i < y->tenant_count; i++) {
		struct registered *g = find_listed(r, y->tenants[i].name);
		if (g != NULL)
			g->wanted = true;
	}
}

static void remove_unwanted(struct registry *r, const struct tenancy *y) {
	list_for_each (node, &r->tenants) {
		struct registered *g = list_entry(node, struct registered, link);
		if (!is_wanted(y, g))
			registry_end(r, g);
	}
}

int registry_reload(struct registry *r, const struct tenancy *y) {
	int error = tenancy_check(y);
	if (error != 0)
		return error;
	pthread_mutex_lock(&r->mutex);
	r->open = y->open;
	r->max_tenants = y->max_tenants;
	r->defaults = y->defaults;
	r->anonymous = NULL;
	mark_wanted(r, y);
	remove_unwanted(r, y);
	/* All secrets go before any comes, so that two tenants may exchange theirs. */
	list_for_each (node, &r->tenants) {
		struct registered *g = list_entry(node, struct registered, link);
		if (registered_listed(g))
			registry_forget_secrets(r, g);
		if (registered_listed(g) && !g->tenant.is_operator && !g->wanted)
			change_limits(r, g, &r->defaults);
	}
	if (r->hooks.defaults_changed != NULL)
		r->hooks.defaults_changed(r->hooks.context, &r->defaults);
	error = y->admin == NULL ? 0 : put_operator(r, y->admin);
	for (size_t i = 0; i < y->tenant_count && error == 0; i++)
		error = put_tenant(r, &y->tenants[i]);
	if (error == 0)
		error = want_anonymous(r, y->anonymous);
	pthread_mutex_unlock(&r->mutex);
	return error;
}

int registry_put(struct registry *r, const struct tenant_config *c) {
	pthread_mutex_lock(&r->mutex);
	int error = 0;
	for (unsigned i = 0; i < c->secret_count; i++) {
		const struct registered *g = find_secret(r, &c->secrets[i]);
		if (g != NULL && registered_listed(g) && strcmp(g->tenant.name, c->name) != 0)
			error = ATOMDB_E_RANGE;
	}
	if (error == 0)
		error = put_tenant(r, c);
	pthread_mutex_unlock(&r->mutex);
	return error;
}

int registry_remove(struct registry *r, struct slice name) {
	int error = -ENOENT;
	pthread_mutex_lock(&r->mutex);
	list_for_each (node, &r->tenants) {
		struct registered *g = list_entry(node, struct registered, link);
		if (error != 0 && slice_equal(name, slice_of(tenant_name(&g->tenant)))) {
			registry_end(r, g);
			error = 0;
		}
	}
	pthread_mutex_unlock(&r->mutex);
	return error;
}

/* Where a tenant of an arena that was taken over goes. */
struct restoration {
	struct registry *registry;
	unsigned shard;
	int error;
};

static void restore_tenant(void *context, uint32_t slot, const struct tenant_identity *identity) {
	struct restoration *restoration = context;
	struct registry *r = restoration->registry;
	struct shard *s = r->shards[restoration->shard];
	struct secret secret;
	memcpy(secret.digest, identity->digest, sizeof secret.digest);
	struct registered *g = restoration->error != 0 ? NULL : place_tenant(r, restoration->shard, &r->defaults);
	if (g == NULL) {
		restoration->error = -ENOMEM;
		return;
	}
	bool named = identity->name[0] != '\0', known = sodium_is_zero(secret.digest, sizeof secret.digest) == 0;
	bool twice = named ? find_listed(r, identity->name) != NULL : !known || find_secret(r, &secret) != NULL;
	if (named && !twice)
		set_name(r, g, identity->name);
	else
		name_by_secret(g, &secret);
	g->tenant.is_operator = named && strcmp(identity->name, TENANT_OPERATOR) == 0;
	shard_adopt_tenant(s, slot, &g->tenant);
	show_tenant(r, g);
	if (!named && !twice)
		learn_secrets(r, g, &secret, 1);
	if (!registered_listed(g))
		r->opened++;
	/* One that a client opened lives no longer than its last key. */
	if (twice || (!named && counter_get(&g->tenant.figures.keys) == 0)) {
		registry_unlist(r, g);
		registry_close(r, g);
	}
}

/* Brings back the tenants of all arenas that were taken over. */
static int restore(struct registry *r) {
	struct restoration restoration = {r, 0, 0};
	for (; restoration.shard < r->shard_count; restoration.shard++)
		shard_each_tenant(r->shards[restoration.shard], restore_tenant, &restoration);
	return restoration.error;
}

int registry_new(struct registry **out, struct shard *const *shards, size_t shard_count, const struct tenancy *y,
		 const struct registry_hooks *hooks, const struct event_sink *events) {
	struct registry *r = calloc(1, sizeof *r);
	if (r == NULL)
		return -ENOMEM;
	pthread_mutex_init(&r->mutex, NULL);
	pthread_mutex_init(&r->looking, NULL);
	list_init(&r->tenants);
	list_init(&r->leaving);
	r->shards = shards;
	r->shard_count = shard_count;
	r->assigned = calloc(shard_count, sizeof *r->assigned);
	for (size_t i = 0; i < shard_count; i++) {
		shard_set_defaults(shards[i], &y->defaults);
		shards[i]->share.measure = registry_measure_shares;
		shards[i]->share.context = r;
	}
	r->starting = true;
	r->events = events;
	r->defaults = y->defaults;
	int error = r->assigned == NULL ? -ENOMEM : restore(r);
	if (error == 0)
		error = registry_reload(r, y);
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
		if (g->tenant.forget != NULL)
			g->tenant.forget(&g->tenant);
		sodium_memzero(g->openers, sizeof g->openers);
		free(g);
	}
}

void registry_free(struct registry *r) {
	if (r == NULL)
		return;
	for (size_t i = 0; i < r->shard_count; i++)
		r->shards[i]->share.measure = NULL;
	free_all(&r->tenants);
	free_all(&r->leaving);
	free(r->assigned);
	free(r->demands);
	pthread_mutex_destroy(&r->mutex);
	pthread_mutex_destroy(&r->looking);
	free(r);
}

/* A tenant for a secret that nobody has used before. */
static int open_tenant(struct registry *r, const struct secret *secret, struct registered **out) {
	if (r->max_tenants != 0 && r->opened >= r->max_tenants)
		return ATOMDB_E_FULL;
	struct registered *g = add_tenant(r, &r->defaults);
	if (g == NULL)
		return -ENOMEM;
	name_by_secret(g, secret);
	show_tenant(r, g);
	learn_secrets(r, g, secret, 1);
	r->opened++;
	*out = g;
	return 0;
}

int registry_authenticate(struct registry *r, struct slice name, struct slice secret, struct tenant **out,
			  unsigned *worker) {
	struct secret digest;
	struct registered *g;
	bool any_name = slice_equal(name, SLICE("default"));
	bool opened = false;
	int error = 0;
	secret_digest(secret, &digest);
	pthread_mutex_lock(&r->mutex);
	g = find_secret(r, &digest);
	if (g != NULL && !any_name && (!registered_listed(g) || !slice_equal(name, slice_of(g->tenant.name))))
		error = ATOMDB_E_WRONGPASS;
	else if (g == NULL && (!r->open || !any_name))
		error = ATOMDB_E_WRONGPASS;
	else if (g == NULL)
		opened = (error = open_tenant(r, &digest, &g)) == 0;
	if (error == 0) {
		*out = &g->tenant;
		*worker = shard_worker(g->tenant.shard);
		if (opened)
			registry_report(r, EVENT_TENANT_CREATED, g);
	}
	pthread_mutex_unlock(&r->mutex);
	if (error == ATOMDB_E_FULL)
		event_report(r->events, &(struct event){.id = EVENT_TENANTS_FULL});
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

int registry_resume(struct registry *r, const struct tenant_identity *identity, struct tenant **out) {
	struct secret secret;
	struct registered *g = NULL;
	int error = 0;
	memcpy(secret.digest, identity->digest, sizeof secret.digest);
	pthread_mutex_lock(&r->mutex);
	bool has_secret = !sodium_is_zero(secret.digest, sizeof secret.digest);
	if (identity->name[0] != '\0')
		g = find_listed(r, identity->name);
	/* A reload may have named it, or no longer. */
	if (g == NULL && has_secret)
		g = find_secret(r, &secret);
	if (g == NULL)
		error = has_secret && r->open ? open_tenant(r, &secret, &g) : ATOMDB_E_WRONGPASS;
	if (error == 0)
		*out = &g->tenant;
	pthread_mutex_unlock(&r->mutex);
	sodium_memzero(&secret, sizeof secret);
	return error;
}

struct arenas registry_arenas(const struct registry *r) {
	struct arenas sum = {0};
	for (size_t i = 0; i < r->shard_count; i++) {
		sum.used += counter_get(&shard_figures(r->shards[i])->used);
		sum.resident += counter_get(&shard_figures(r->shards[i])->resident);
		sum.compacting |= counter_get(&shard_figures(r->shards[i])->compacting) != 0;
	}
	return sum;
}

size_t registry_count(struct registry *r) {
	pthread_mutex_lock(&r->mutex);
	size_t count = r->count;
	pthread_mutex_unlock(&r->mutex);
	return count;
}
