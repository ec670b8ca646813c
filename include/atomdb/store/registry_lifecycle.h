/* The end of tenants: with their last client, by a configuration, or as orphans. */
#pragma once

#include "atomdb/store/tenant.h"

struct registry;

/* Called by the tenant's worker when its last client left: a tenant that a client opened and that holds no key is
 * closed and freed. */
void registry_release(struct registry *r, struct tenant *t);
/* The same for all such tenants of `worker`, by its thread: a client that was sent there went before it could use the
 * tenant that was made for it. */
void registry_tidy(struct registry *r, unsigned worker);
/* Called by the tenant's worker once after each `orphaned`, when it has closed the clients: ends the tenant if it is an
 * orphan without keys. */
void registry_orphan_told(struct registry *r, struct tenant *t);
/* Called by the tenant's worker after `removed`, when no client uses it any more: closes and frees it. */
void registry_remove_done(struct registry *r, struct tenant *t);

/* Ends those tenants of `worker`, by its thread, that could not end while somebody looked at them, and orphans that
 * have no keys any more. To be called now and then; mostly it costs two loads. */
void registry_take_up(struct registry *r, unsigned worker);

/* From here on no tenant ends with its last client: the next process is to find them all. */
void registry_hold(struct registry *r);
