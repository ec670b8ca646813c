/* Visits the tenants of the registry. */
#pragma once

#include "atomdb/store/tenant.h"

struct registry;

/* Visits every tenant, the oldest first, for the control plane. `visit` may read only the identity and the counters. No
 * worker waits for the visit: a tenant that would end meanwhile ends when its worker calls registry_take_up(). */
void registry_each(struct registry *r, void (*visit)(void *context, const struct tenant *t), void *context);
/* Visits every tenant of `worker`, which calls it. `visit` must be quick: the mutex is locked meanwhile. */
void registry_each_of(struct registry *r, unsigned worker, void (*visit)(void *context, struct tenant *t),
		      void *context);
