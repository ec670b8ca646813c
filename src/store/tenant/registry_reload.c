/* A changed configuration comes into force.
 *
 * First each of its tenants is matched with one that is there: by name, or else by one of its secrets, so that a tenant
 * that is renamed keeps its keys and its clients. Then comes a look at what would go: where that has keys, and nobody
 * gave them up, nothing is changed at all.
 *
 * A worker may write keys between that look and the end of a tenant. So a tenant that has none when it is looked at
 * becomes an orphan first. Its worker, which alone writes, closes the clients and then ends it, unless it has keys. */
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

static bool names(const struct tenants_config *y, const char *name) {
	return y->removed_count != 0 &&
	       bsearch(name, y->removed, y->removed_count, sizeof y->removed[0], compare_names) != NULL;
}

/* Whether the keys of a tenant may go. */
static bool is_given_up(const struct tenants_config *y, const struct registered *g) {
	if (g->matched)
		return false;
	return names(y, tenant_name(&g->tenant)) || (!registered_listed(g) && !y->open && names(y, TENANT_ALL_OPENED));
}

static struct registered *match(struct registered *g) {
	if (g != NULL)
		g->matched = g->wanted = true;
	return g;
}

/* The tenant that one of the secrets opened so far and that the configuration does not name otherwise. A tenant that a
 * client opened never becomes the operator's, and the operator's never becomes another one. */
static struct registered *match_secret(struct registry *r, const struct tenants_config *y,
				       const struct tenant_config *c) {
	for (unsigned i = 0; i < c->secret_count; i++) {
		struct registered *g = registry_find_secret(r, &c->secrets[i]);
		if (g != NULL && !g->matched && !g->tenant.is_operator && !names(y, tenant_name(&g->tenant)))
			return match(g);
	}
	return NULL;
}

/* Finds for each tenant of the configuration the one that is there. */
static void match_all(struct registry *r, const struct tenants_config *y, struct registered **matches) {
	list_for_each (node, &r->tenants) {
		struct registered *g = list_entry(node, struct registered, link);
		g->matched = g->wanted = g->weighed = false;
	}
	if (y->admin != NULL)
		match(registry_find_listed(r, TENANT_OPERATOR));
	if (y->anonymous[0] != '\0')
		match(registry_find_listed(r, y->anonymous));
	for (size_t i = 0; i < y->tenant_count; i++)
		matches[i] = match(registry_find_listed(r, y->tenants[i].name));
	for (size_t i = 0; i < y->tenant_count; i++)
		if (matches[i] == NULL)
			matches[i] = match_secret(r, y, &y->tenants[i]);
	list_for_each (node, &r->tenants) {
		struct registered *g = list_entry(node, struct registered, link);
		g->wanted |= y->open && !registered_listed(g);
	}
}

/* The tenant that clients opened with a secret which `g` (NULL: a new tenant) is about to get; NULL: none. */
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

/* An orphan stays one, and holds nothing up. */
static bool would_be_lost(const struct tenants_config *y, const struct registered *g) {
	return !g->weighed && !tenant_orphaned(&g->tenant) && registered_has_keys(g) && !is_given_up(y, g);
}

static void weigh_rivals(struct registry *r, const struct tenants_config *y, const struct tenant_config *c,
			 const struct registered *g, struct registry_loss *loss) {
	for (unsigned i = 0; i < c->secret_count; i++) {
		struct registered *rival = find_rival(r, &c->secrets[i], g);
		if (rival != NULL && would_be_lost(y, rival))
			weigh(loss, rival);
	}
}

static struct tenant_config operator_config(const struct tenants_config *y) {
	return (struct tenant_config){.name = TENANT_OPERATOR, .secrets = {*y->admin}, .secret_count = 1};
}

/* Whether there is an anonymous tenant that is not among the configured ones. */
static bool adds_anonymous(const struct tenants_config *y) {
	for (size_t i = 0; i < y->tenant_count; i++)
		if (strcmp(y->tenants[i].name, y->anonymous) == 0)
			return false;
	return y->anonymous[0] != '\0';
}

static void weigh_limits(struct registry *r, const struct tenants_config *y, struct registered *const *matches,
			 struct registry_loss *loss) {
	for (size_t i = 0; i < y->tenant_count; i++)
		if (matches[i] != NULL)
			registry_weigh_limits(r, matches[i], &y->tenants[i].limits, loss);
	struct registered *anonymous = adds_anonymous(y) ? registry_find_listed(r, y->anonymous) : NULL;
	if (anonymous != NULL)
		registry_weigh_limits(r, anonymous, &y->named, loss);
	list_for_each (node, &r->tenants) {
		struct registered *g = list_entry(node, struct registered, link);
		if (y->open && !g->matched && !registered_listed(g) && !is_given_up(y, g))
			registry_weigh_limits(r, g, &y->defaults, loss);
	}
}

static void weigh_all(struct registry *r, const struct tenants_config *y, struct registered *const *matches,
		      struct registry_loss *loss) {
	list_for_each (node, &r->tenants) {
		struct registered *g = list_entry(node, struct registered, link);
		if (!g->wanted && would_be_lost(y, g))
			weigh(loss, g);
	}
	for (size_t i = 0; i < y->tenant_count; i++)
		weigh_rivals(r, y, &y->tenants[i], matches[i], loss);
	if (y->admin != NULL) {
		struct tenant_config c = operator_config(y);
		weigh_rivals(r, y, &c, registry_find_listed(r, TENANT_OPERATOR), loss);
		sodium_memzero(&c, sizeof c);
	}
	weigh_limits(r, y, matches, loss);
}

/* ---- in force ---- */

static void change_limits(struct registry *r, struct registered *g, const struct tenant_limits *limits) {
	if (r->starting)
		tenant_set_limits(&g->tenant, limits, 0);
	if (r->hooks.limits_changed != NULL)
		r->hooks.limits_changed(r->hooks.context, &g->tenant, limits);
}

/* Makes orphans of those that clients opened with secrets that are another tenant's now: they would go on to find that
 * one. */
static void orphan_rivals(struct registry *r, const struct registered *g, const struct tenant_config *c) {
	for (unsigned i = 0; i < c->secret_count; i++) {
		struct registered *rival = find_rival(r, &c->secrets[i], g);
		if (rival != NULL)
			registry_orphan(r, rival);
	}
}

/* Gives a tenant the name and the first secret of the configuration. */
static int know_as_configured(struct registry *r, struct registered *g, const struct tenant_config *c) {
	static const struct secret none;
	const struct tenant_identity *now = tenant_identity(&g->tenant);
	const struct secret *digest = c->secret_count != 0 ? &c->secrets[0] : &none;
	bool renamed = strcmp(now->name, c->name) != 0;
	if (!renamed && memcmp(now->digest, digest->digest, sizeof now->digest) == 0)
		return 0;
	char before[TENANT_NAME_MAX + 16] = "";
	if (renamed && registered_listed(g))
		snprintf(before, sizeof before, "it was %s", now->name);
	int error = registry_know_as(r, g, c->name, digest);
	if (error == 0 && before[0] != '\0')
		log_report(r->events,
			   &(struct log_event){.id = LOG_EVENT_TENANT_RENAMED, .tenant = c->name, .detail = before});
	r->renamed |= renamed && r->starting && g->restored != NULL;
	return error;
}

/* A tenant of the configuration: `g`, which is there already, or NULL. */
static int put_tenant(struct registry *r, const struct tenant_config *c, struct registered *g) {
	bool added = g == NULL;
	if (added && (g = registry_add(r, &c->limits)) == NULL)
		return -ENOMEM;
	if (added)
		g->tenant.is_operator = strcmp(c->name, TENANT_OPERATOR) == 0;
	orphan_rivals(r, g, c);
	if (!added)
		registry_forget_secrets(r, g);
	int error = know_as_configured(r, g, c);
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
	else /* Not before the name is set: change_limits makes the worker write it to the arena. */
		change_limits(r, g, &c->limits);
	registry_learn_secrets(r, g, c->secrets, c->secret_count);
	if (added && !r->starting)
		registry_report(r, LOG_EVENT_TENANT_CREATED, g);
	return 0;
}

/* The operator's tenant has no limits, so that none is in the way. */
static int put_operator(struct registry *r, const struct tenants_config *y) {
	struct tenant_config c = operator_config(y);
	int error = put_tenant(r, &c, registry_find_listed(r, TENANT_OPERATOR));
	sodium_memzero(&c, sizeof c);
	return error;
}

/* The anonymous tenant need not be among the configured ones: it then has the limits of a named one, and no secret. */
static int put_anonymous(struct registry *r, const struct tenants_config *y) {
	struct tenant_config c = {.limits = y->named};
	memcpy(c.name, y->anonymous, sizeof c.name);
	int error = adds_anonymous(y) ? put_tenant(r, &c, registry_find_listed(r, y->anonymous)) : 0;
	if (error == 0 && y->anonymous[0] != '\0')
		r->anonymous = registry_find_listed(r, y->anonymous);
	return error;
}

/* Whether a client opened it, before the process ended, with a secret that another tenant has. */
static bool is_shut(const struct registered *g) {
	return !registered_listed(g) && g->opener_count == 0;
}

/* Ends the tenants that the configuration gives up. Makes orphans of the others that it does not want. */
static void drop_unwanted(struct registry *r, const struct tenants_config *y) {
	list_for_each (node, &r->tenants) {
		struct registered *g = list_entry(node, struct registered, link);
		if (is_given_up(y, g))
			registry_end(r, g);
		else if (!tenant_orphaned(&g->tenant) && (!g->wanted || is_shut(g)))
			registry_orphan(r, g);
	}
}

/* Opens the orphans again that clients opened, if the configuration lets clients open tenants. The secrets of the other
 * orphans open nothing. */
static void keep_orphans(struct registry *r, const struct tenants_config *y) {
	uint64_t count = 0, keys = 0, bytes = 0;
	list_for_each (node, &r->tenants) {
		struct registered *g = list_entry(node, struct registered, link);
		if (!tenant_orphaned(&g->tenant) || !registered_has_keys(g))
			continue;
		bool own = registry_learn_own(r, g);
		if (own && y->open && !registered_listed(g)) {
			registry_take_limits(r, g, &r->defaults);
			registry_set_orphaned(r, g, false);
			if (r->starting)
				tenant_set_limits(&g->tenant, &r->defaults, 0);
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

/* Gives the tenants that clients opened the defaults. */
static void keep_opened(struct registry *r) {
	list_for_each (node, &r->tenants) {
		struct registered *g = list_entry(node, struct registered, link);
		if (registered_listed(g) || tenant_orphaned(&g->tenant))
			continue;
		registry_take_limits(r, g, &r->defaults);
		if (r->starting)
			tenant_set_limits(&g->tenant, &r->defaults, 0);
	}
}

static int put_in_force(struct registry *r, const struct tenants_config *y, struct registered *const *matches) {
	r->open = y->open;
	r->max_tenants = y->max_tenants;
	r->defaults = y->defaults;
	r->anonymous = NULL;
	drop_unwanted(r, y);
	/* All secrets go before any comes, so that two tenants may exchange theirs; orphans get theirs back last. */
	list_for_each (node, &r->tenants) {
		struct registered *g = list_entry(node, struct registered, link);
		if (registered_listed(g) || tenant_orphaned(&g->tenant))
			registry_forget_secrets(r, g);
	}
	int error = y->admin == NULL ? 0 : put_operator(r, y);
	for (size_t i = 0; i < y->tenant_count && error == 0; i++)
		error = put_tenant(r, &y->tenants[i], matches[i]);
	if (error == 0)
		error = put_anonymous(r, y);
	keep_opened(r);
	keep_orphans(r, y);
	registry_report_limits(r);
	if (r->hooks.defaults_changed != NULL)
		r->hooks.defaults_changed(r->hooks.context, &r->defaults);
	return error;
}

int registry_reload(struct registry *r, const struct tenants_config *y, struct registry_loss *loss) {
	struct registry_loss nobody_asks, *lost = loss != NULL ? loss : &nobody_asks;
	*lost = (struct registry_loss){0};
	int error = tenant_config_check(y);
	if (error != 0)
		return error;
	struct registered **matches = calloc(y->tenant_count + 1, sizeof(struct registered *));
	if (matches == NULL)
		return -ENOMEM;
	pthread_mutex_lock(&r->mutex);
	match_all(r, y, matches);
	if (!r->starting)
		weigh_all(r, y, matches, lost);
	error = lost->count != 0 ? ATOMDB_E_LOSS : put_in_force(r, y, matches);
	pthread_mutex_unlock(&r->mutex);
	free(matches);
	return error;
}

/* ---- one tenant ---- */

/* The tenant that is there already for one that the operator adds or changes. ATOMDB_E_RANGE: it is another's. */
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
	struct registry_loss nobody_asks, *lost = loss != NULL ? loss : &nobody_asks;
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
