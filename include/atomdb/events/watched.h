/* WATCH: a change of a watched key makes EXEC fail, by SESSION_DIRTY_KEYS. */
#pragma once

#include "atomdb/events/subscriptions.h"

/* Watches the keys in the arguments from 1 on. All or none: 0 or ATOMDB_E_OOM. */
int watched_add(struct session *s, const struct request *r);
/* The client unwatches all keys, also those of tenants that it has left. */
void watched_forget(struct session *s);
/* Looks the watched keys up: expired ones are found to be gone, and count as changed. */
void watched_check(struct session *s);

/* Module hooks: the session leaves its tenant, and loses what it watches there; it has a tenant again. */
void watched_detach(struct session *s);
void watched_attach(struct session *s);

/* A key has changed. */
void watched_touch(struct subscriptions *h, unsigned database, struct slice name);
/* All keys of a database are about to be removed; TENANT_DATABASES: of all databases. */
void watched_flush(struct subscriptions *h, unsigned database);
/* Two databases are about to be exchanged. */
void watched_swap(struct tenant *t, unsigned a, unsigned b);
