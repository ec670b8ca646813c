/* Opens, adopts and closes the tenants of a shard. */
#pragma once

#include "atomdb/store/tenant.h"

/* Visits the tenants of an adopted shard that have no struct tenant yet. `visit` may adopt them. */
void shard_each_tenant(struct shard *s,
		       void (*visit)(void *context, uint32_t slot, const struct tenant_identity *identity),
		       void *context);
/* Gives `t`, after tenant_init(), the keys and counters in a slot that shard_each_tenant() visited. */
void shard_adopt_tenant(struct shard *s, uint32_t slot, struct tenant *t);

/* Sets the limits of the tenants that are not in the configuration, present and future ones. */
void shard_set_defaults(struct shard *s, const struct tenant_limits *limits);

/* Makes the record of a tenant in the arena, at its first use. Does nothing if the tenant is open. Returns 0 or
 * ATOMDB_E_OOM. */
int shard_open_tenant(struct shard *s, struct tenant *t);
/* Adds the tenant's counters to those of closed tenants, and drops its databases. Its slot is free once they are freed.
 * The caller keeps the struct. */
void shard_close_tenant(struct shard *s, struct tenant *t);
