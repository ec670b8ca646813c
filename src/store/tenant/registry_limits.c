/* The limits that evict keys: max_entries, max_memory and eviction.
 *
 * If the configuration writes a smaller limit, the registry puts it in force and logs how many tenants lose keys. If a
 * limit is smaller because the configuration lost a line, it evicts nothing: a reload is refused. At a start, and for
 * an orphan that gets a name again, the tenant keeps the former limit. The worker gets a kept limit as part of the
 * limits themselves, and takes all of them in one step.
 *
 * The arena has the former limits of the previous process. A release that saved none had no limit in place of a
 * built-in one. */
#include "store/tenant/registry_limits.h"

#include "store/keyspace/record.h"

/* This release's record is larger than the smallest by so many bytes. They alone exceed no limit. */
#define RECORD_GREW (arena_block_size(sizeof(struct tenant_record)) - TENANT_RECORD_LEAST)

/* Returns the limit as a number: a smaller number evicts more keys. UINT64_MAX: no limit. */
static uint64_t limit_value(const struct tenant_limits *l, enum key_limit which) {
	uint64_t value = which == KEY_LIMIT_ENTRIES  ? l->max_entries
			 : which == KEY_LIMIT_MEMORY ? l->max_memory
						     : l->eviction != EVICTION_NONE;
	bool unlimited = which == KEY_LIMIT_EVICTION ? l->eviction == EVICTION_NONE : value == 0;
	return unlimited ? UINT64_MAX : value;
}

/* Whether the limit evicts keys of the tenant: now, or for KEY_LIMIT_EVICTION as soon as the tenant is full. */
static bool exceeds(const struct registry *r, const struct registered *g, const struct tenant_limits *l,
		    enum key_limit which) {
	const struct tenant_counters *f = &g->tenant.counters;
	uint64_t keys = counter_get(&f->keys), bytes = counter_get(&f->bytes), limit = limit_value(l, which);
	/* `dying` is the worker's. At a start no worker runs yet. */
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

static bool becomes_smaller(const struct registered *g, const struct tenant_limits *wanted, enum key_limit which) {
	return limit_value(wanted, which) < limit_value(&g->limits, which);
}

/* Whether the configuration writes the limit in the same place as the former one, or in a more specific place. */
static bool is_written(const struct registered *g, const struct tenant_limits *wanted, enum key_limit which) {
	return wanted->sources[which] != LIMIT_BUILT_IN && wanted->sources[which] >= g->limits.sources[which];
}

/* Whether the configuration lost the line of the limit, and the tenant would lose keys without it. */
static bool is_lost(const struct registry *r, const struct registered *g, const struct tenant_limits *wanted,
		    enum key_limit which) {
	return !is_written(g, wanted, which) && becomes_smaller(g, wanted, which) && exceeds(r, g, wanted, which);
}

void registry_weigh_limits(const struct registry *r, struct registered *g, const struct tenant_limits *wanted,
			   struct registry_loss *loss) {
	for (unsigned i = 0; i < KEY_LIMITS && !tenant_orphaned(&g->tenant) && !g->weighed; i++) {
		if ((g->limits.kept & 1u << i) != 0 || !is_lost(r, g, wanted, i))
			continue;
		g->weighed = true;
		registry_count_loss(loss, &g->tenant, i, limit_value(wanted, i));
	}
}

void registry_take_limits(struct registry *r, struct registered *g, const struct tenant_limits *limits) {
	struct tenant_limits taken = *limits;
	for (unsigned i = 0; i < KEY_LIMITS; i++) {
		bool keeps = is_lost(r, g, limits, i);
		if (keeps)
			tenant_limits_copy(&taken, &g->limits, i);
		taken.kept = (uint8_t)(taken.kept | (unsigned)keeps << i);
		if (keeps || (i != KEY_LIMIT_EVICTION && becomes_smaller(g, limits, i) && exceeds(r, g, limits, i)))
			registry_count_loss(keeps ? &r->lifted : &r->lowered, &g->tenant, i, limit_value(limits, i));
	}
	g->limits = taken;
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
