/* Whole-database operations: DBSIZE, SCAN, RANDOMKEY. */
#pragma once

#include <stdint.h>

struct entry;
struct tenant;

/* Counts the keys of a database exactly, and its keys with a deadline. Either pointer may be NULL. Returns 0, or
 * ATOMDB_E_AGAIN while due entries are still being swept. */
int keyspace_size(struct tenant *t, unsigned database, uint64_t *keys, uint64_t *expiring);

/* Visits all keys of one step of an iteration, which starts with cursor 0. Returns the next cursor, 0 at the end. Has
 * the guarantees of Redis's SCAN. `visit` must not write to the tenant. */
uint64_t keyspace_scan(struct tenant *t, unsigned database, uint64_t cursor,
		       void (*visit)(void *context, const struct entry *e), void *context);

/* Draws a key at random, about evenly. Returns 1 and sets `*e`; 0 if there is no key; ATOMDB_E_AGAIN as
 * keyspace_size() does. */
int keyspace_random(struct tenant *t, unsigned database, struct entry **e);
