/* Applies a changed configuration.
 *
 * First, each configured tenant is matched with an existing one, by name or else by one of its secrets, so that a
 * renamed tenant keeps its keys and its clients. Then the loss is computed. If a tenant with keys would go that
 * `removed` does not name, the reload changes nothing.
 *
 * A worker may write keys between this and the end of a tenant. Therefore a tenant without keys first becomes an
 * orphan. Its worker, the only thread that writes to it, closes its clients and ends it, unless it has keys by then. */
#include "atomdb/store/registry_reload.h"

#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "atomdb/store/shard.h"
#include "atomdb/store/tenant.h"
#include "atomdb/util/error.h"
#include "store/keyspace/record.h"
#include "store/tenant/registry_lifecycle.h"
#include "store/tenant/registry_limits.h"
#include "store/tenant/registry_table.h"

/* ---- which tenants stay ---- */

static int compare_names(const void *a, const void *b) {
	return strcmp(a, b);
}

static bool is_in_removed(const struct tenants_config *config, const char *name) {
	return config->removed_count != 0 &&
	       bsearch(name, config->removed, config->removed_count, sizeof config->removed[0], compare_names) != NULL;
}

/* Returns whether the configuration gives up the keys of a tenant. */
static bool is_given_up(const struct tenants_config *config, const struct registered *g) {
	if (g->matched)
		return false;
	return is_in_removed(config, tenant_name(&g->tenant)) ||
	       (!registered_listed(g) && !config->open && is_in_removed(config, TENANT_ALL_OPENED));
}

static struct registered *match(struct registered *g) {
	if (g != NULL)
		g->matched = g->wanted = true;
	return g;
}

/* Returns the tenant that one of the secrets opens so far, if the configuration does not name it otherwise, or NULL.
 * The operator's tenant never becomes another one. */
static struct registered *match_secret(struct registry *r, const struct tenants_config *config,
				       const struct tenant_config *c) {
	for (unsigned i = 0; i < c->secret_count; i++) {
		struct registered *g = registry_find_secret(r, &c->secrets[i]);
		if (g != NULL && !g->matched && !g->tenant.is_operator &&
		    !is_in_removed(config, tenant_name(&g->tenant)))
			return match(g);
	}
	return NULL;
}

/* Matches each tenant of the configuration with an existing one. */
static void match_all(struct registry *r, const struct tenants_config *config, struct registered **matches) {
	list_for_each (node, &r->tenants) {
		struct registered *g = list_entry(node, struct registered, link);
		g->matched = g->wanted = g->weighed = false;
	}
	if (config->admin != NULL)
		match(registry_find_listed(r, TENANT_OPERATOR));
	if (config->anonymous[0] != '\0')
		match(registry_find_listed(r, config->anonymous));
	for (size_t i = 0; i < config->tenant_count; i++)
		matches[i] = match(registry_find_listed(r, config->tenants[i].name));
	for (size_t i = 0; i < config->tenant_count; i++)
		if (matches[i] == NULL)
			matches[i] = match_secret(r, config, &config->tenants[i]);
	list_for_each (node, &r->tenants) {
		struct registered *g = list_entry(node, struct registered, link);
		g->wanted |= config->open && !registered_listed(g);
	}
}

/* Returns the tenant that clients opened with a secret that `g` (NULL: a new tenant) is about to get, or NULL. */
static struct registered *find_rival(struct registry *r, const struct secret *secret, const struct registered *g) {
	struct registered *rival = registry_find_secret(r, secret);
	return rival == NULL || rival == g || registered_listed(rival) ? NULL : rival;
}

/* ---- keys that would be lost ---- */

static void weigh(struct registry_loss *loss, struct registered *g) {
	g->weighed = true;
	loss->opened |= !registered_listed(g);
	registry_count_loss(loss, &g->tenant, KEY_LIMITS, 0);
}

/* Returns whether a tenant would lose keys that the configuration does not give up. An orphan keeps its keys. */
static bool would_be_lost(const struct tenants_config *config, const struct registered *g) {
	return !g->weighed && !tenant_orphaned(&g->tenant) && registered_has_keys(g) && !is_given_up(config, g);
}

static void weigh_rivals(struct registry *r, const struct tenants_config *config, const struct tenant_config *c,
			 const struct registered *g, struct registry_loss *loss) {
	for (unsigned i = 0; i < c->secret_count; i++) {
		struct registered *rival = find_rival(r, &c->secrets[i], g);
		if (rival != NULL && would_be_lost(config, rival))
			weigh(loss, rival);
	}
}

static struct tenant_config operator_config(const struct tenants_config *config) {
	return (struct tenant_config){.name = TENANT_OPERATOR, .secrets = {*config->admin}, .secret_count = 1};
}

/* Returns whether the anonymous tenant is set but not among the configured tenants. */
static bool adds_anonymous(const struct tenants_config *config) {
	for (size_t i = 0; i < config->tenant_count; i++)
		if (strcmp(config->tenants[i].name, config->anonymous) == 0)
			return false;
	return config->anonymous[0] != '\0';
}

static void weigh_limits(struct registry *r, const struct tenants_config *config, struct registered *const *matches,
			 struct registry_loss *loss) {
	for (size_t i = 0; i < config->tenant_count; i++)
		if (matches[i] != NULL)
			registry_weigh_limits(r, matches[i], &config->tenants[i].limits, loss);
	struct registered *anonymous = adds_anonymous(config) ? registry_find_listed(r, config->anonymous) : NULL;
	if (anonymous != NULL)
		registry_weigh_limits(r, anonymous, &config->named, loss);
	list_for_each (node, &r->tenants) {
		struct registered *g = list_entry(node, struct registered, link);
		if (config->open && !g->matched && !registered_listed(g) && !is_given_up(config, g))
			registry_weigh_limits(r, g, &config->defaults, loss);
	}
}

static void weigh_all(struct registry *r, const struct tenants_config *config, struct registered *const *matches,
		      struct registry_loss *loss) {
	list_for_each (node, &r->tenants) {
		struct registered *g = list_entry(node, struct registered, link);
		if (!g->wanted && would_be_lost(config, g))
			weigh(loss, g);
	}
	for (size_t i = 0; i < config->tenant_count; i++)
		weigh_rivals(r, config, &config->tenants[i], matches[i], loss);
	if (config->admin != NULL) {
		struct tenant_config c = operator_config(config);
		weigh_rivals(r, config, &c, registry_find_listed(r, TENANT_OPERATOR), loss);
		sodium_memzero(&c, sizeof c);
	}
	weigh_limits(r, config, matches, loss);
}

/* ---- application ---- */

/* Gives the worker of a tenant that the configuration names the limits that were taken. */
static void change_limits(struct registry *r, struct registered *g) {
	if (r->starting)
		tenant_set_limits(&g->tenant, &g->limits, 0);
	if (r->hooks.limits_changed != NULL)
		r->hooks.limits_changed(r->hooks.context, &g->tenant, &g->limits);
}

/* Gives a tenant that clients opened the defaults, except for the limits that it keeps. The worker takes those from a
 * message of their own, before the defaults, which are one message for all such tenants. */
static void give_defaults(struct registry *r, struct registered *g) {
	bool was_orphan = tenant_orphaned(&g->tenant), kept = g->limits.kept != 0;
	registry_take_limits(r, g, &r->defaults);
	registry_set_orphaned(r, g, false);
	if (r->starting)
		tenant_set_limits(&g->tenant, &g->limits, 0);
	if (r->hooks.opened_limits_changed == NULL || !(was_orphan || kept || g->limits.kept != 0))
		return;
	g->untold++;
	r->hooks.opened_limits_changed(r->hooks.context, &g->tenant, &g->limits);
}

/* Makes orphans of the tenants that clients opened with a secret of the configuration, which now opens another tenant.
 */
static void orphan_rivals(struct registry *r, const struct registered *g, const struct tenant_config *c) {
	for (unsigned i = 0; i < c->secret_count; i++) {
		struct registered *rival = find_rival(r, &c->secrets[i], g);
		if (rival != NULL)
			registry_orphan(r, rival);
	}
}

/* Gives a tenant the name and the first secret that the configuration has for it. */
static int set_configured_identity(struct registry *r, struct registered *g, const struct tenant_config *c) {
	static const struct secret none;
	const struct tenant_identity *now = tenant_identity(&g->tenant);
	const struct secret *digest = c->secret_count != 0 ? &c->secrets[0] : &none;
	bool renamed = strcmp(now->name, c->name) != 0;
	if (!renamed && memcmp(now->digest, digest->digest, sizeof now->digest) == 0)
		return 0;
	char before[TENANT_NAME_MAX + 16] = "";
	if (renamed && registered_listed(g))
		snprintf(before, sizeof before, "it was %s", now->name);
	int error = registry_set_identity(r, g, c->name, digest);
	if (error == 0 && before[0] != '\0')
		log_report(r->events,
			   &(struct log_event){.id = LOG_EVENT_TENANT_RENAMED, .tenant = c->name, .detail = before});
	r->renamed |= renamed && r->starting && g->restored != NULL;
	return error;
}

/* Applies the configuration of one tenant to `g`, or adds the tenant if `g` is NULL. Returns 0 or -ENOMEM. */
static int put_tenant(struct registry *r, const struct tenant_config *c, struct registered *g) {
	bool added = g == NULL;
	if (added && (g = registry_add(r, &c->limits)) == NULL)
		return -ENOMEM;
	if (added)
		g->tenant.is_operator = strcmp(c->name, TENANT_OPERATOR) == 0;
	orphan_rivals(r, g, c);
	if (!added)
		registry_remove_secrets(r, g);
	int error = set_configured_identity(r, g, c);
	if (error != 0) {
		if (added)
			registry_discard(r, g);
		return error;
	}
	if (!added)
		registry_take_limits(r, g, &c->limits);
	registry_set_orphaned(r, g, false);
	if (added)
		registry_show(r, g);
	else /* Only after the name is set: the worker writes it to the arena when it changes the limits. */
		change_limits(r, g);
	registry_add_secrets(r, g, c->secrets, c->secret_count);
	if (added && !r->starting)
		registry_report(r, LOG_EVENT_TENANT_CREATED, g);
	return 0;
}

/* Applies the operator's tenant, which has no limits. */
static int put_operator(struct registry *r, const struct tenants_config *config) {
	struct tenant_config c = operator_config(config);
	int error = put_tenant(r, &c, registry_find_listed(r, TENANT_OPERATOR));
	sodium_memzero(&c, sizeof c);
	return error;
}

/* Applies the anonymous tenant. If it is not among the configured tenants, it has the limits of named tenants, and no
 * secret. */
static int put_anonymous(struct registry *r, const struct tenants_config *config) {
	struct tenant_config c = {.limits = config->named};
	memcpy(c.name, config->anonymous, sizeof c.name);
	int error = adds_anonymous(config) ? put_tenant(r, &c, registry_find_listed(r, config->anonymous)) : 0;
	if (error == 0 && config->anonymous[0] != '\0')
		r->anonymous = registry_find_listed(r, config->anonymous);
	return error;
}

/* Returns whether a client of the former process opened the tenant with a secret that another tenant has now. */
static bool has_lost_its_secret(const struct registered *g) {
	return !registered_listed(g) && g->opener_count == 0;
}

/* Ends the tenants that the configuration gives up, and makes orphans of the others that it does not have. */
static void drop_unwanted(struct registry *r, const struct tenants_config *config) {
	list_for_each (node, &r->tenants) {
		struct registered *g = list_entry(node, struct registered, link);
		if (is_given_up(config, g))
			registry_end(r, g);
		else if (!tenant_orphaned(&g->tenant) && (!g->wanted || has_lost_its_secret(g)))
			registry_orphan(r, g);
	}
}

/* If clients may open tenants, opens the orphans that clients opened before. The secrets of other orphans open no
 * tenant. Reports the orphans that clients opened. */
static void keep_orphans(struct registry *r, const struct tenants_config *config) {
	uint64_t count = 0, keys = 0, bytes = 0;
	list_for_each (node, &r->tenants) {
		struct registered *g = list_entry(node, struct registered, link);
		if (!tenant_orphaned(&g->tenant) || !registered_has_keys(g))
			continue;
		bool own = registry_add_own_secret(r, g);
		if (own && config->open && !registered_listed(g)) {
			give_defaults(r, g);
		} else if (!registered_listed(g)) {
			count++;
			keys += counter_get(&g->tenant.counters.keys);
			bytes += counter_get(&g->tenant.counters.bytes);
		}
	}
	if (!r->starting || count == 0)
		return;
	char detail[128];
	snprintf(detail, sizeof detail, "%" PRIu64 " tenants that clients opened: %" PRIu64 " keys, %" PRIu64 " bytes",
		 count, keys, bytes);
	log_report(r->events, &(struct log_event){.id = LOG_EVENT_TENANT_ORPHANED, .detail = detail});
}

/* Applies the default limits to the tenants that clients opened. */
static void keep_opened(struct registry *r) {
	list_for_each (node, &r->tenants) {
		struct registered *g = list_entry(node, struct registered, link);
		if (!registered_listed(g) && !tenant_orphaned(&g->tenant))
			give_defaults(r, g);
	}
}

static int put_in_force(struct registry *r, const struct tenants_config *config, struct registered *const *matches) {
	r->open = config->open;
	r->max_tenants = config->max_tenants;
	r->defaults = config->defaults;
	r->anonymous = NULL;
	drop_unwanted(r, config);
	/* Remove all secrets before adding any, so that two tenants can exchange theirs. Orphans get theirs back last.
	 */
	list_for_each (node, &r->tenants) {
		struct registered *g = list_entry(node, struct registered, link);
		if (registered_listed(g) || tenant_orphaned(&g->tenant))
			registry_remove_secrets(r, g);
	}
	int error = config->admin == NULL ? 0 : put_operator(r, config);
	for (size_t i = 0; i < config->tenant_count && error == 0; i++)
		error = put_tenant(r, &config->tenants[i], matches[i]);
	if (error == 0)
		error = put_anonymous(r, config);
	keep_opened(r);
	keep_orphans(r, config);
	registry_report_limits(r);
	if (r->hooks.defaults_changed != NULL)
		r->hooks.defaults_changed(r->hooks.context, &r->defaults);
	return error;
}

int registry_reload(struct registry *r, const struct tenants_config *config, struct registry_loss *loss) {
	struct registry_loss unused, *lost = loss != NULL ? loss : &unused;
	*lost = (struct registry_loss){0};
	int error = tenant_config_check(config);
	if (error != 0)
		return error;
	struct registered **matches = calloc(config->tenant_count + 1, sizeof(struct registered *));
	if (matches == NULL)
		return -ENOMEM;
	pthread_mutex_lock(&r->mutex);
	match_all(r, config, matches);
	if (!r->starting)
		weigh_all(r, config, matches, lost);
	error = lost->count != 0 ? ATOMDB_E_LOSS : put_in_force(r, config, matches);
	pthread_mutex_unlock(&r->mutex);
	free(matches);
	return error;
}

/* ---- one tenant ---- */

/* Finds the existing tenant for one that the operator adds or changes, or NULL. Returns 0, or ATOMDB_E_RANGE if another
 * listed tenant has one of its secrets. */
static int match_one(struct registry *r, const struct tenant_config *c, struct registered **out) {
	struct registered *found = registry_find_listed(r, c->name);
	for (unsigned i = 0; i < c->secret_count; i++) {
		struct registered *g = registry_find_secret(r, &c->secrets[i]);
		if (g == NULL || g == found)
			continue;
		if (registered_listed(g) && !tenant_orphaned(&g->tenant))
			return ATOMDB_E_RANGE;
		if (found == NULL)
			found = g;
	}
	*out = found;
	return 0;
}

int registry_put(struct registry *r, const struct tenant_config *c, struct registry_loss *loss) {
	static const struct tenants_config nothing_given_up = {.open = true};
	struct registry_loss unused, *lost = loss != NULL ? loss : &unused;
	struct registered *g = NULL;
	*lost = (struct registry_loss){0};
	pthread_mutex_lock(&r->mutex);
	list_for_each (node, &r->tenants) {
		struct registered *other = list_entry(node, struct registered, link);
		other->matched = other->weighed = false;
	}
	int error = match_one(r, c, &g);
	if (error == 0)
		weigh_rivals(r, &nothing_given_up, c, g, lost);
	if (lost->count != 0)
		error = ATOMDB_E_LOSS;
	if (error == 0)
		error = put_tenant(r, c, g);
	registry_report_limits(r);
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
