/* Changes of the limits that evict keys. Callers hold the mutex. */
#pragma once

#include "store/tenant/registry_private.h"

/* Counts the tenant in `loss` if `wanted` would evict keys because the configuration lost the line of a limit. Counts
 * neither an orphan nor a limit that the tenant keeps already. */
void registry_weigh_limits(const struct registry *r, struct registered *g, const struct tenant_limits *wanted,
			   struct registry_loss *loss);
/* Sets `g->limits` to the limits to put in force: `limits`, except for the former ones that the tenant keeps. */
void registry_take_limits(struct registry *r, struct registered *g, const struct tenant_limits *limits);
/* Logs the tenants that keep limits, and those that lose keys to a smaller limit, since the last call. */
void registry_report_limits(struct registry *r);
