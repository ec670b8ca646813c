#include "store/tenant/registry_lifecycle.h"

#include <inttypes.h>
#include <stdio.h>

#include "atomdb/store/shard.h"
#include "atomdb/store/tenant.h"
#include "store/tenant/registry_table.h"

/* Returns whether a worker may end tenants now; the caller then calls end_end(). If another thread visits the tenants,
 * marks `g` as postponed and returns false. */
static bool begin_end(struct registry *r, struct registered *g) {
	if (pthread_mutex_trylock(&r->visiting) == 0)
		return true;
	if (!g->postponed)
		atomic_fetch_add_explicit(&r->postponed, 1, memory_order_relaxed);
	g->postponed = true;
	return false;
}

static void end_end(struct registry *r) {
	pthread_mutex_unlock(&r->visiting);
}

void registry_report_keys(const struct registry *r, enum log_event_id id, const struct registered *g) {
	const struct tenant_counters *f = &g->tenant.counters;
	char detail[64];
	snprintf(detail, sizeof detail, "%" PRIu64 " keys, %" PRIu64 " bytes", counter_get(&f->keys),
		 counter_get(&f->bytes));
	log_report(r->events, &(struct log_event){.id = id, .tenant = tenant_name(&g->tenant), .detail = detail});
}

void registry_end(struct registry *r, struct registered *g) {
	registry_unlist(r, g);
	if (registered_has_keys(g))
		registry_report_keys(r, LOG_EVENT_TENANT_DATA_REMOVED, g);
	else
		registry_report(r, LOG_EVENT_TENANT_REMOVED, g);
	if (r->starting) {
		registry_close(r, g);
		return;
	}
	g->leaving = true;
	list_push_back(&r->leaving, &g->link);
	if (r->hooks.removed != NULL)
		r->hooks.removed(r->hooks.context, &g->tenant);
}

/* Returns whether a tenant ends if it has neither keys nor clients. */
static bool may_end(const struct registry *r, const struct registered *g) {
	if (g->leaving || r->held || g->untold != 0)
		return false;
	return !registered_listed(g) || tenant_orphaned(&g->tenant);
}

static void release(struct registry *r, struct registered *g) {
	if (!may_end(r, g) || registered_has_keys(g) || counter_get(&g->tenant.counters.clients) != 0 ||
	    !begin_end(r, g))
		return;
	registry_report(r, LOG_EVENT_TENANT_REMOVED, g);
	registry_unlist(r, g);
	registry_close(r, g);
	end_end(r);
}

static void remove_done(struct registry *r, struct registered *g) {
	g->done = true;
	if (!begin_end(r, g))
		return;
	list_remove(&g->link);
	registry_close(r, g);
	end_end(r);
}

void registry_set_orphaned(struct registry *r, struct registered *g, bool orphaned) {
	r->orphans += (size_t)orphaned - (size_t)tenant_orphaned(&g->tenant);
	atomic_store_explicit(&g->tenant.orphaned, orphaned, memory_order_relaxed);
}

/* The limits of an orphan: it has no quota, and none of its keys are evicted. */
static const struct tenant_limits orphan_limits = {.eviction = EVICTION_NONE, .of_orphan = true};

/* Makes an orphan before the workers run. */
static void orphan_at_start(struct registry *r, struct registered *g) {
	if (!registered_has_keys(g)) {
		registry_end(r, g);
		return;
	}
	tenant_set_limits(&g->tenant, &orphan_limits, 0);
	if (registered_listed(g))
		registry_report_keys(r, LOG_EVENT_TENANT_ORPHANED, g);
}

void registry_orphan(struct registry *r, struct registered *g) {
	registry_remove_secrets(r, g);
	registry_set_orphaned(r, g, true);
	if (r->anonymous == g)
		r->anonymous = NULL;
	if (r->starting) {
		orphan_at_start(r, g);
		return;
	}
	g->untold++;
	if (r->hooks.limits_changed != NULL)
		r->hooks.limits_changed(r->hooks.context, &g->tenant, &orphan_limits);
	if (r->hooks.orphaned != NULL)
		r->hooks.orphaned(r->hooks.context, &g->tenant);
}

void registry_orphan_told(struct registry *r, struct tenant *t) {
	struct registered *g = list_entry(t, struct registered, tenant);
	pthread_mutex_lock(&r->mutex);
	g->untold--;
	if (tenant_orphaned(t) && !g->leaving && registered_has_keys(g)) {
		registry_add_own_secret(r, g);
		registry_report_keys(r, LOG_EVENT_TENANT_ORPHANED, g);
	}
	release(r, g);
	pthread_mutex_unlock(&r->mutex);
}

void registry_limits_told(struct registry *r, struct tenant *t) {
	struct registered *g = list_entry(t, struct registered, tenant);
	pthread_mutex_lock(&r->mutex);
	g->untold--;
	release(r, g);
	pthread_mutex_unlock(&r->mutex);
}

void registry_release(struct registry *r, struct tenant *t) {
	pthread_mutex_lock(&r->mutex);
	release(r, list_entry(t, struct registered, tenant));
	pthread_mutex_unlock(&r->mutex);
}

void registry_remove_done(struct registry *r, struct tenant *t) {
	pthread_mutex_lock(&r->mutex);
	remove_done(r, list_entry(t, struct registered, tenant));
	pthread_mutex_unlock(&r->mutex);
}

void registry_hold(struct registry *r) {
	pthread_mutex_lock(&r->mutex);
	r->held = true;
	pthread_mutex_unlock(&r->mutex);
}

/* Marks a tenant as no longer postponed. The caller tries to end it now. */
static void take_up(struct registry *r, struct registered *g) {
	if (g->postponed)
		atomic_fetch_sub_explicit(&r->postponed, 1, memory_order_relaxed);
	g->postponed = false;
}

void registry_tidy(struct registry *r, unsigned worker) {
	pthread_mutex_lock(&r->mutex);
	list_for_each (node, &r->tenants) {
		struct registered *g = list_entry(node, struct registered, link);
		if (shard_worker(g->tenant.shard) == worker) {
			take_up(r, g);
			release(r, g);
		}
	}
	list_for_each (node, &r->leaving) {
		struct registered *g = list_entry(node, struct registered, link);
		if (shard_worker(g->tenant.shard) == worker && g->done) {
			take_up(r, g);
			remove_done(r, g);
		}
	}
	pthread_mutex_unlock(&r->mutex);
}

void registry_take_up(struct registry *r, unsigned worker) {
	/* No call tells the registry that the last key of an orphan has expired. */
	if (atomic_load_explicit(&r->postponed, memory_order_relaxed) != 0 ||
	    atomic_load_explicit(&r->orphans, memory_order_relaxed) != 0)
		registry_tidy(r, worker);
}
