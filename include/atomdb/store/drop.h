/* Emptying databases: FLUSHDB, FLUSHALL. */
#pragma once

struct tenant;

/* Empties a database, or all with TENANT_DATABASES. Its keys are invisible at once and are freed in slices. */
void keyspace_flush(struct tenant *t, unsigned database);
