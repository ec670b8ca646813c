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
