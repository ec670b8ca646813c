/* Calls of the registry to the workers. */
#pragma once

#include "atomdb/store/tenant.h"

/* Requests to the workers. The registry calls them with its mutex held, so they must only post a message. */
struct registry_hooks {
	/* A tenant of the configuration: the worker calls tenant_set_limits. */
	void (*limits_changed)(void *context, struct tenant *t, const struct tenant_limits *limits);
	/* All tenants that clients opened: every worker calls shard_set_defaults. */
	void (*defaults_changed)(void *context, const struct tenant_limits *limits);
	/* The worker closes the tenant's clients, then calls registry_remove_done. */
	void (*removed)(void *context, struct tenant *t);
	/* Memory is short: the workers look for tenants that have to give way. From any worker's thread, without the
	 * mutex. */
	void (*memory_short)(void *context);
	/* The worker closes the tenant's clients if it is an orphan still, then calls registry_orphan_told. */
	void (*orphaned)(void *context, struct tenant *t);
	void *context;
};
