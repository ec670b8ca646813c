/* Limits by which a tenant loses keys.
 *
 * A limit that the configuration writes is the operator's wish: it is put in force, and the log tells how many tenants
 * lose keys by it. A limit that falls back to a default takes no keys: a reload that would do so is refused. At a start
 * the limits before are not known, so a built-in limit that a tenant exceeds is lifted for this tenant. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "store/keyspace/record.h"
#include "store/tenant/registry_private.h"

static const char *const limit_names[KEY_LIMITS] = {"max_entries", "max_memory", "eviction"};

/* As a number that is smaller the more keys the limit takes. */
static uint64_t limit_value(const struct tenant_limits *l, enum key_limit which) {
	uint64_t value = which == KEY_LIMIT_ENTRIES  ? l->max_entries
			 : which == KEY_LIMIT_MEMORY ? l->max_memory
						     : l->eviction != EVICTION_NONE;
	bool unlimited = which == KEY_LIMIT_EVICTION ? l->eviction == EVICTION_NONE : value == 0;
	return unlimited ? UINT64_MAX : value;
}

/* Whether the tenant loses keys by the limit, now or, by its eviction, once it is full. */
static bool exceeds(const struct registry *r, const struct registered *g, const struct tenant_limits *l,
		    enum key_limit which) {
	const struct tenant_counters *f = &g->tenant.counters;
	uint64_t keys = counter_get(&f->keys), bytes = counter_get(&f->bytes), limit = limit_value(l, which);
	/* Only the tenant's worker, which does not run yet at a start, may read `dying`. */
	if (r->starting)
		bytes -= g->tenant.dying;
	switch (which) {
	case KEY_LIMIT_ENTRIES:
		return keys > limit;
	case KEY_LIMIT_MEMORY:
		return keys != 0 && bytes > limit;
	default:
		return keys != 0 && limit != UINT64_MAX;
	}
}

static bool is_lifted(const struct registered *g, enum key_limit which) {
	return (atomic_load_explicit(&g->tenant.lifted, memory_order_relaxed) & 1u << which) != 0;
}

/* Whether the tenant's limits are those that the configuration gave it. */
static bool has_limits(const struct registry *r, const struct registered *g) {
	return !r->starting && !tenant_orphaned(&g->tenant);
}

void registry_count_loss(struct registry_loss *loss, const struct registered *g, enum key_limit limit,
			 uint64_t becomes) {
	const struct tenant_counters *f = &g->tenant.counters;
	uint64_t keys = counter_get(&f->keys), bytes = counter_get(&f->bytes);
	if (loss->count < LOSS_SHOWN) {
		const char *name = tenant_name(&g->tenant);
		memcpy(loss->shown[loss->count].name, name, strlen(name) + 1);
		loss->shown[loss->count].keys = keys;
		loss->shown[loss->count].bytes = bytes;
		loss->shown[loss->count].limit = limit;
		loss->shown[loss->count].becomes = becomes;
	}
	loss->count++;
	loss->limited += limit != KEY_LIMITS;
	loss->keys += keys;
	loss->bytes += bytes;
}

void registry_weigh_limits(const struct registry *r, struct registered *g, const struct tenant_limits *wanted,
			   struct registry_loss *loss) {
	for (unsigned i = 0; i < KEY_LIMITS && has_limits(r, g) && !g->weighed; i++) {
		bool written = wanted->sources[i] != LIMIT_BUILT_IN && wanted->sources[i] >= g->limits.sources[i];
		bool smaller = limit_value(wanted, i) < limit_value(&g->limits, i);
		if (written || !smaller || is_lifted(g, i) || !exceeds(r, g, wanted, i))
			continue;
		g->weighed = true;
		registry_count_loss(loss, g, i, limit_value(wanted, i));
	}
}

void registry_take_limits(struct registry *r, struct registered *g, const struct tenant_limits *limits) {
	unsigned lifted = 0;
	for (unsigned i = 0; i < KEY_LIMITS; i++) {
		bool unknown = !has_limits(r, g) || is_lifted(g, i);
		bool smaller = unknown || limit_value(limits, i) < limit_value(&g->limits, i);
		if (i == KEY_LIMIT_EVICTION || !smaller || !exceeds(r, g, limits, i))
			continue;
		bool lift = unknown && limits->sources[i] == LIMIT_BUILT_IN;
		lifted |= lift ? 1u << i : 0;
		registry_count_loss(lift ? &r->lifted : &r->lowered, g, i, limit_value(limits, i));
	}
	g->limits = *limits;
	atomic_store_explicit(&g->tenant.lifted, lifted, memory_order_relaxed);
}

static size_t describe_one(const struct registry_loss *loss, size_t i, char *out, size_t size) {
	char limit[64] = "";
	enum key_limit which = loss->shown[i].limit;
	if (which == KEY_LIMIT_EVICTION)
		snprintf(limit, sizeof limit, ": eviction \"lru\"");
	else if (which != KEY_LIMITS)
		snprintf(limit, sizeof limit, ": %s %" PRIu64, limit_names[which], loss->shown[i].becomes);
	return (size_t)snprintf(out, size, "%s%s (%" PRIu64 " keys, %" PRIu64 " bytes%s)", i > 0 ? ", " : "",
				loss->shown[i].name, loss->shown[i].keys, loss->shown[i].bytes, limit);
}

void registry_describe_loss(const struct registry_loss *loss, char *out, size_t size) {
	size_t n = 0;
	for (size_t i = 0; i < loss->count && i < LOSS_SHOWN && n < size; i++)
		n += describe_one(loss, i, out + n, size - n);
	if (loss->count > LOSS_SHOWN && n < size)
		snprintf(out + n, size - n, " and %zu more, in all %" PRIu64 " keys, %" PRIu64 " bytes",
			 loss->count - LOSS_SHOWN, loss->keys, loss->bytes);
}

static void report(const struct registry *r, enum log_event_id id, struct registry_loss *loss) {
	char detail[512];
	if (loss->count != 0) {
		registry_describe_loss(loss, detail, sizeof detail);
		log_report(r->events, &(struct log_event){.id = id, .detail = detail});
	}
	*loss = (struct registry_loss){0};
}

void registry_report_limits(struct registry *r) {
	report(r, LOG_EVENT_LIMITS_LIFTED, &r->lifted);
	report(r, LOG_EVENT_LIMITS_LOWERED, &r->lowered);
}
