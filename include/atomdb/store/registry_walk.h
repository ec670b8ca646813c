/* Visits tenants. */
#pragma once

#include "atomdb/store/tenant.h"

struct registry;

/* Visits every tenant, the oldest first, for the control plane; only identity and counters may be read. A worker never
 * waits for it: a tenant that would end meanwhile ends when its worker calls registry_take_up. */
void registry_each(struct registry *r, void (*visit)(void *context, const struct tenant *t), void *context);
/* Visits every tenant of a worker, for its thread. The mutex is held meanwhile: be quick. */
void registry_each_of(struct registry *r, unsigned worker, void (*visit)(void *context, struct tenant *t),
		      void *context);
