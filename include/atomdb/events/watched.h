/* WATCH: a change of a watched key makes EXEC fail, by SESSION_DIRTY_KEYS. */
#pragma once

#include "atomdb/events/subscriptions.h"

/* Watches the keys in the arguments from 1 on: all of them, or none on an error. Returns 0 or ATOMDB_E_OOM. */
int watched_add(struct session *s, const struct request *r);
/* Unwatches all keys, including keys in tenants that the session has left. */
void watched_forget(struct session *s);
/* Looks up the watched keys. An expired key counts as changed. */
void watched_check(struct session *s);

/* Module hooks: watched_detach() records that the session leaves a tenant with watched keys. watched_attach() marks the
 * session as dirty if it returns to this tenant. */
void watched_detach(struct session *s);
void watched_attach(struct session *s);

/* Marks the sessions that watch a changed key as dirty. */
void watched_touch(struct subscriptions *h, unsigned database, struct slice name);
/* Marks the sessions that watch keys of a database, before a flush. TENANT_DATABASES: keys of all databases. */
void watched_flush(struct subscriptions *h, unsigned database);
/* Marks the sessions that watch changed keys, before an exchange of two databases. */
void watched_swap(struct tenant *t, unsigned a, unsigned b);
