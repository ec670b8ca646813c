/* The tenants of a shard: opened at their first use, adopted from the process before, closed. */
#pragma once

#include "atomdb/store/tenant.h"

/* Visits the tenants that came with the arena and have no struct tenant yet. `visit` may adopt them. */
void shard_each_tenant(struct shard *s,
		       void (*visit)(void *context, uint32_t slot, const struct tenant_identity *identity),
		       void *context);
/* Makes `t`, which tenant_init has seen, the tenant of a slot that shard_each_tenant told: its keys and counters. */
void shard_adopt_tenant(struct shard *s, uint32_t slot, struct tenant *t);

/* The limits of tenants that are not in the configuration, those that are open and those to come. */
void shard_set_defaults(struct shard *s, const struct tenant_limits *limits);

/* Makes the tenant's record in the arena, at its first use; does nothing when it is open already. 0 or ATOMDB_E_OOM. */
int shard_open_tenant(struct shard *s, struct tenant *t);
/* Adds the tenant's counters to the counters of the retired, and drops all that it has; its slot is reused when the
 * last of it is freed. The struct stays the caller's. */
void shard_close_tenant(struct shard *s, struct tenant *t);
