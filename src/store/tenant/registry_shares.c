#include "store/tenant/registry_shares.h"

#include <stdlib.h>

#include "atomdb/store/tenant.h"
#include "store/tenant/registry_private.h"

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
	/* Another thread visits the tenants: keep the present level. */
	if (pthread_mutex_trylock(&r->visiting) != 0)
		return;
	struct registered *g = atomic_load_explicit(&r->shown, memory_order_acquire);
	while (g != NULL && add_demand(r, count, &g->tenant)) {
		g = atomic_load_explicit(&g->shown_next, memory_order_acquire);
		count++;
	}
	uint64_t level = fair_share_publish(b, r->demands, count, wanted);
	pthread_mutex_unlock(&r->visiting);
	if (level != 0 && r->hooks.memory_short != NULL)
		r->hooks.memory_short(r->hooks.context);
}
