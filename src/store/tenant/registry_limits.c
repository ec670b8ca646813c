/* Limits by which a tenant loses keys.
 *
 * A smaller limit that the configuration writes is put in force, and the log tells how many tenants lose keys by it. A
 * limit that is smaller because the configuration lost a line takes no keys: a reload is refused. At a start, and for
 * an orphan that gets a name again, the tenant keeps the former limit. The former limits of the process before are in
 * the arena. An earlier release saved none: then there is no limit in place of a built-in one. */
#include "store/tenant/registry_limits.h"

#include "store/keyspace/record.h"

/* Bytes by which this release's record is larger than the smallest: no tenant is too large by these alone. */
#define RECORD_GREW (arena_block_size(sizeof(struct tenant_record)) - TENANT_RECORD_LEAST)

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
		bytes -= g->tenant.dying + RECORD_GREW;
	switch (which) {
	case KEY_LIMIT_ENTRIES:
		return keys > limit;
	case KEY_LIMIT_MEMORY:
		return keys != 0 && bytes > limit;
	default:
		return keys != 0 && limit != UINT64_MAX;
	}
}

static uint64_t kept_limit(const struct registered *g, enum key_limit which) {
	return atomic_load_explicit(&g->tenant.kept_limits[which], memory_order_relaxed);
}

static void keep_limit(struct registered *g, enum key_limit which, uint64_t value) {
	atomic_store_explicit(&g->tenant.kept_limits[which], value, memory_order_relaxed);
}

static bool becomes_smaller(const struct registered *g, const struct tenant_limits *wanted, enum key_limit which) {
	return limit_value(wanted, which) < limit_value(&g->limits, which);
}

/* Whether the configuration writes the limit at the place of the former one, or at a more specific place. */
static bool is_written(const struct registered *g, const struct tenant_limits *wanted, enum key_limit which) {
	return wanted->sources[which] != LIMIT_BUILT_IN && wanted->sources[which] >= g->limits.sources[which];
}

/* Whether the tenant would lose keys by a limit of which the configuration lost a line. */
static bool is_lost(const struct registry *r, const struct registered *g, const struct tenant_limits *wanted,
		    enum key_limit which) {
	return !is_written(g, wanted, which) && becomes_smaller(g, wanted, which) && exceeds(r, g, wanted, which);
}

void registry_weigh_limits(const struct registry *r, struct registered *g, const struct tenant_limits *wanted,
			   struct registry_loss *loss) {
	for (unsigned i = 0; i < KEY_LIMITS && !tenant_orphaned(&g->tenant) && !g->weighed; i++) {
		if (kept_limit(g, i) != 0 || !is_lost(r, g, wanted, i))
			continue;
		g->weighed = true;
		registry_count_loss(loss, &g->tenant, i, limit_value(wanted, i));
	}
}

static void copy_limit(struct tenant_limits *to, const struct tenant_limits *from, enum key_limit which) {
	if (which == KEY_LIMIT_ENTRIES)
		to->max_entries = from->max_entries;
	else if (which == KEY_LIMIT_MEMORY)
		to->max_memory = from->max_memory;
	else
		to->eviction = from->eviction;
	to->sources[which] = from->sources[which];
}

void registry_take_limits(struct registry *r, struct registered *g, const struct tenant_limits *limits) {
	struct tenant_limits taken = *limits;
	for (unsigned i = 0; i < KEY_LIMITS; i++) {
		bool keeps = is_lost(r, g, limits, i);
		if (keeps)
			copy_limit(&taken, &g->limits, i);
		if (keeps || (i != KEY_LIMIT_EVICTION && becomes_smaller(g, limits, i) && exceeds(r, g, limits, i)))
			registry_count_loss(keeps ? &r->lifted : &r->lowered, &g->tenant, i, limit_value(limits, i));
		keep_limit(g, i, keeps ? limit_value(&g->limits, i) : 0);
	}
	g->limits = taken;
}

void registry_keep_no_limits(struct registered *g) {
	for (unsigned i = 0; i < KEY_LIMITS; i++)
		keep_limit(g, i, 0);
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
