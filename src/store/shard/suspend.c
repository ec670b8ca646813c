#include "atomdb/store/suspend.h"

#include <assert.h>

#include "atomdb/util/fiber.h"
#include "store/keyspace/fair_share.h"
#include "store/keyspace/quota.h"
#include "store/keyspace/record.h"
#include "store/keyspace/undo.h"

void shard_suspend(struct tenant *t) {
	struct shard *s = t->shard;
	struct suspension *p = &t->suspension;
	assert(!p->suspended && t->record != NULL);
	p->suspended = true;
	p->made_up = s->fair_share.made_up;
	s->fair_share.made_up = 0;
	undo_suspend(t);
	list_remove(&p->link);
	list_remove(&t->over);
	if (s->fair_share.furthest == t)
		s->fair_share.furthest = NULL;
}

/* Whether something waited for the tenant. */
static bool has_to_catch_up(const struct tenant *t) {
	return t->suspension.limits_wait || quota_over(t, 0, 0) ||
	       !wheel_parks_none(t->shard->arena, record_parked(t->shard, t));
}

void shard_resume(struct tenant *t) {
	struct shard *s = t->shard;
	struct suspension *p = &t->suspension;
	assert(p->suspended);
	p->suspended = false;
	undo_resume(t);
	s->fair_share.made_up = p->made_up;
	if (has_to_catch_up(t))
		list_push_back(&s->catch_up, &p->link);
	/* It may be the one that has to give way. */
	if (fair_share_is_above(t, 0))
		fair_share_look_again(s);
}

/* Returns whether the keys of the tenant exceed the limits, without the memory of clients and without dropped keys. */
static bool exceeds(const struct tenant *t, const struct tenant_limits *l) {
	uint64_t bytes = counter_get(&t->counters.bytes) - counter_get(&t->counters.client_bytes) - t->dying;
	return (l->max_entries != 0 && counter_get(&t->counters.keys) > l->max_entries) ||
	       (l->max_memory != 0 && bytes > l->max_memory);
}

bool shard_must_evict(const struct tenant *t) {
	const struct suspension *p = &t->suspension;
	const struct tenant_limits *limits = p->limits_wait ? &p->limits : &t->limits;
	return limits->eviction != EVICTION_NONE && (exceeds(t, limits) || fair_share_is_above(t, 0));
}
