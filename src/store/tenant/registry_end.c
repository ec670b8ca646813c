#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "atomdb/store/shard.h"
#include "atomdb/store/shard_tenants.h"
#include "atomdb/store/tenant.h"
#include "store/tenant/registry_private.h"

void registry_forget_name(struct registry *r, const struct registered *g) {
	struct registered **link = registry_named(r, tenant_name(&g->tenant));
	while (*link != g)
		link = &(*link)->next_named;
	*link = g->next_named;
}

void registry_unlist(struct registry *r, struct registered *g) {
	registry_forget_secrets(r, g);
	if (registered_listed(g))
		registry_forget_name(r, g);
	list_remove(&g->link);
	r->assigned[g->shard]--;
	r->count--;
	r->orphans -= tenant_orphaned(&g->tenant);
	if (!registered_listed(g))
		r->opened--;
	if (r->anonymous == g)
		r->anonymous = NULL;
}

/* Takes it out of what registry_each shows. Nobody looks meanwhile. */
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

void registry_close(struct registry *r, struct registered *g) {
	hide(r, g);
	shard_close_tenant(g->tenant.shard, &g->tenant);
	registry_free_tenant(g);
}

void registry_free_tenant(struct registered *g) {
	for (struct known_as *k = g->known_as, *before; k != NULL; k = before) {
		before = k->before;
		sodium_memzero(k, sizeof *k);
		free(k);
	}
	sodium_memzero(g->openers, sizeof g->openers);
	free(g);
}

/* Whether a worker may end tenants now: somebody looks at them otherwise, and `g` is to be tried again. */
static bool begin_end(struct registry *r, struct registered *g) {
	if (pthread_mutex_trylock(&r->looking) == 0)
		return true;
	if (!g->postponed)
		atomic_fetch_add_explicit(&r->postponed, 1, memory_order_relaxed);
	g->postponed = true;
	return false;
}

static void end_end(struct registry *r) {
	pthread_mutex_unlock(&r->looking);
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

/* Whether a tenant may end that has neither keys nor clients. */
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

/* An orphan has no quota, and none of its keys are evicted. */
static const struct tenant_limits orphan_limits = {.eviction = EVICTION_NONE};

/* Before there are workers. */
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
	registry_forget_secrets(r, g);
	registry_set_orphaned(r, g, true);
	registry_keep_no_limits(g);
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
		registry_learn_own(r, g);
		registry_report_keys(r, LOG_EVENT_TENANT_ORPHANED, g);
	}
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

/* What was postponed is tried now, and may be again. */
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
	/* The last key of an orphan expires without anybody seeing it. */
	if (atomic_load_explicit(&r->postponed, memory_order_relaxed) != 0 ||
	    atomic_load_explicit(&r->orphans, memory_order_relaxed) != 0)
		registry_tidy(r, worker);
}

void registry_each(struct registry *r, void (*visit)(void *context, const struct tenant *t), void *context) {
	pthread_mutex_lock(&r->looking);
	struct registered *g = atomic_load_explicit(&r->shown, memory_order_acquire);
	for (; g != NULL; g = atomic_load_explicit(&g->shown_next, memory_order_acquire))
		visit(context, &g->tenant);
	pthread_mutex_unlock(&r->looking);
}

void registry_each_of(struct registry *r, unsigned worker, void (*visit)(void *context, struct tenant *t),
		      void *context) {
	pthread_mutex_lock(&r->mutex);
	for (struct registered *g = r->shown; g != NULL; g = g->shown_next)
		if (shard_worker(g->tenant.shard) == worker)
			visit(context, &g->tenant);
	pthread_mutex_unlock(&r->mutex);
}

static bool add_demand(struct registry *r, size_t count, const struct tenant *t) {
	if (count == r->demand_room) {
		size_t room = count == 0 ? 64 : 2 * count;
		struct fair_share_demand *grown = realloc(r->demands, room * sizeof *grown);
		if (grown == NULL)
			return false;
		r->demands = grown;
		r->demand_room = room;
	}
	r->demands[count] =
		(struct fair_share_demand){counter_get(&t->counters.bytes), counter_get(&t->counters.evicts) != 0};
	return true;
}

void registry_measure_shares(void *context, struct memory_budget *b, uint64_t wanted) {
	struct registry *r = context;
	size_t count = 0;
	/* Somebody looks at them: the level of before will do. */
	if (pthread_mutex_trylock(&r->looking) != 0)
		return;
	struct registered *g = atomic_load_explicit(&r->shown, memory_order_acquire);
	while (g != NULL && add_demand(r, count, &g->tenant)) {
		g = atomic_load_explicit(&g->shown_next, memory_order_acquire);
		count++;
	}
	uint64_t level = fair_share_publish(b, r->demands, count, wanted);
	pthread_mutex_unlock(&r->looking);
	if (level != 0 && r->hooks.memory_short != NULL)
		r->hooks.memory_short(r->hooks.context);
}
