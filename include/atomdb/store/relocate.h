/* Moves and copies of entries and databases: RENAME, MOVE, COPY, SWAPDB. */
#pragma once

#include "atomdb/store/key.h"

struct entry;
struct tenant;

/* Moves an entry to another key of this or another database, with its deadline. `old`: the present entry of that key,
 * another one than `e`, or NULL. Returns 0, or ATOMDB_E_OOM: nothing changed except for evictions. */
int keyspace_move(struct tenant *t, const struct key *from, struct entry *e, const struct key *to, struct entry *old);
/* Copies an entry to another key; otherwise like keyspace_move(). */
int keyspace_copy(struct tenant *t, struct entry *e, const struct key *to, struct entry *old);
/* Exchanges databases `a` and `b`, in constant time. Returns 0; ATOMDB_E_OOM in an open scope that has no room for it,
 * and nothing has changed. */
int keyspace_swap(struct tenant *t, unsigned a, unsigned b);
