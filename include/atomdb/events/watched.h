/* WATCH: a change of a watched key makes EXEC fail. */
#pragma once

#include "atomdb/events/subscriptions.h"

/* A key has changed. */
void watched_touch(struct subscriptions *h, unsigned database, struct slice name);
/* All keys of a database are about to be removed; TENANT_DATABASES: of all databases. */
void watched_flush(struct subscriptions *h, unsigned database);
/* Two databases are about to be exchanged. */
void watched_swap(struct tenant *t, unsigned a, unsigned b);
