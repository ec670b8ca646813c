/* Limits by which tenants lose keys. Callers hold the mutex. */
#pragma once

#include "store/tenant/registry_private.h"

/* Counts the tenant if `wanted` would take keys from it by a limit that the configuration does not write, or that is
 * smaller because a line was lost. */
void registry_weigh_limits(const struct registry *r, struct registered *g, const struct tenant_limits *wanted,
			   struct registry_loss *loss);
/* Decides which of the limits that the tenant is about to get are in force, and which former ones it keeps. */
void registry_take_limits(struct registry *r, struct registered *g, const struct tenant_limits *limits);
/* Lets the tenant, which becomes an orphan, keep no limit. The former ones stay known. */
void registry_keep_no_limits(struct registered *g);
/* Reports the tenants that keep limits, or lose keys by lowered ones, since the last call. */
void registry_report_limits(struct registry *r);
