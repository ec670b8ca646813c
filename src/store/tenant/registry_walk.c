#include "atomdb/store/registry_walk.h"

#include "atomdb/store/shard.h"
#include "store/tenant/registry_private.h"

void registry_each(struct registry *r, void (*visit)(void *context, const struct tenant *t), void *context) {
	pthread_mutex_lock(&r->visiting);
	struct registered *g = atomic_load_explicit(&r->shown, memory_order_acquire);
	for (; g != NULL; g = atomic_load_explicit(&g->shown_next, memory_order_acquire))
		visit(context, &g->tenant);
	pthread_mutex_unlock(&r->visiting);
}

void registry_each_of(struct registry *r, unsigned worker, void (*visit)(void *context, struct tenant *t),
		      void *context) {
	pthread_mutex_lock(&r->mutex);
	for (struct registered *g = r->shown; g != NULL; g = g->shown_next)
		if (shard_worker(g->tenant.shard) == worker)
			visit(context, &g->tenant);
	pthread_mutex_unlock(&r->mutex);
}
