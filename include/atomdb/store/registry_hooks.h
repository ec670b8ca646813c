/* The requests of the registry to the workers. */
#pragma once

#include "atomdb/store/tenant.h"

/* The registry calls these functions with its mutex locked, so they must only post a message. */
struct registry_hooks {
	/* The limits of a configured tenant have changed, or a tenant became an orphan: its worker calls
	 * tenant_set_limits(). */
	void (*limits_changed)(void *context, struct tenant *t, const struct tenant_limits *limits);
	/* A tenant that clients opened keeps former limits, has kept some, or was an orphan: its worker calls
	 * tenant_set_limits(), then registry_limits_told(). Until then the tenant exists. */
	void (*opened_limits_changed)(void *context, struct tenant *t, const struct tenant_limits *limits);
	/* The limits of tenants that clients open have changed: every worker calls shard_set_defaults(), after it took
	 * the limits above. */
	void (*defaults_changed)(void *context, const struct tenant_limits *limits);
	/* A tenant was removed: its worker closes the clients, then calls registry_remove_done(). */
	void (*removed)(void *context, struct tenant *t);
	/* Memory is short: every worker evicts from tenants that have to give way. Any worker may call this hook,
	 * without the mutex. */
	void (*memory_short)(void *context);
	/* A tenant became an orphan: if it still is one, its worker closes the clients. Then the worker calls
	 * registry_orphan_told(). */
	void (*orphaned)(void *context, struct tenant *t);
	void *context;
};
