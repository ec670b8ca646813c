/* Functions of the registry that end tenants. Callers hold the mutex. */
#pragma once

#include "atomdb/store/registry_lifecycle.h"
#include "store/tenant/registry_private.h"

/* Reports an event with the tenant's keys and bytes. */
void registry_report_keys(const struct registry *r, enum log_event_id id, const struct registered *g);
void registry_set_orphaned(struct registry *r, struct registered *g, bool orphaned);
/* Makes a tenant an orphan, which no secret opens. An orphan without keys ends as soon as its worker has seen that. */
void registry_orphan(struct registry *r, struct registered *g);
/* Ends a tenant: its worker closes its clients and frees it. */
void registry_end(struct registry *r, struct registered *g);
