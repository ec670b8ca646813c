/* Ends tenants, for the files of the registry. Callers hold the mutex. */
#pragma once

#include "atomdb/store/registry_lifecycle.h"
#include "store/tenant/registry_private.h"

/* Reports an event with the tenant's keys and bytes. */
void registry_report_keys(const struct registry *r, enum log_event_id id, const struct registered *g);
/* Sets whether a tenant is an orphan, and counts it. */
void registry_set_orphaned(struct registry *r, struct registered *g, bool orphaned);
/* Makes a tenant an orphan, which no secret opens. If it has no keys, it ends when its worker calls
 * registry_orphan_told(). */
void registry_orphan(struct registry *r, struct registered *g);
/* Removes a tenant from the tables and tells its worker, which closes its clients and calls registry_remove_done(). */
void registry_end(struct registry *r, struct registered *g);
