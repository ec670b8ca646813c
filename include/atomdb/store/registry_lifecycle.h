/* Ends tenants: with their last client, by a configuration, or as orphans. */
#pragma once

#include "atomdb/store/tenant.h"

struct registry;

/* Closes and frees a tenant that a client opened, or an orphan, if it has no keys. Its worker calls it when the last
 * client has left. */
void registry_release(struct registry *r, struct tenant *t);
/* Closes and frees all such tenants of `worker`, which calls it. A client may leave before it uses the tenant that AUTH
 * made for it. */
void registry_tidy(struct registry *r, unsigned worker);
/* Ends the tenant if it is an orphan without keys. Its worker calls it once after each call of the `orphaned` hook,
 * after it has closed the clients. */
void registry_orphan_told(struct registry *r, struct tenant *t);
/* Ends the tenant if it has neither keys nor clients and clients opened it. Its worker calls it once after each call of
 * the `opened_limits_changed` hook, when the limits are in force. */
void registry_limits_told(struct registry *r, struct tenant *t);
/* Closes and frees a tenant. Its worker calls it after the `removed` hook, when no client uses the tenant any more. */
void registry_remove_done(struct registry *r, struct tenant *t);

/* Ends the tenants of `worker` that could not end while another thread visited them, and orphans that have no keys any
 * more. `worker` calls it at intervals. It mostly costs two loads. */
void registry_take_up(struct registry *r, unsigned worker);

/* From now on no tenant ends with its last client, so that the next process finds all tenants. */
void registry_hold(struct registry *r);
