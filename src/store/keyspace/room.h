/* Room for a large block: check points between the evictions that a command makes for it.
 *
 * While the command is suspended, other commands and other workers must not take the pages that its evictions have made
 * free: then the evictions would be in vain. So before a suspension these pages go back to the shared budget, and the
 * command takes as many bytes from the budget until it allocates its blocks.
 *
 * Outside of a fiber nothing is suspended, and nothing is taken. */
#pragma once

#include "store/keyspace/record.h"

/* Begins to make room for `pages` bytes of pages, and takes those that the budget has. `reserve` says whether they may
 * come from the budget's reserve. */
void room_begin(struct tenant *t, uint64_t pages, bool reserve);
/* Takes the pages that are still wanted, as far as they are free. Has check points. Returns whether there are enough:
 * true if the budget has no limit. */
bool room_take(struct tenant *t);
/* Gives free pages back to the budget, with check points. */
void room_trim(struct tenant *t);
/* A check point between two evictions of the tenant's running command. Returns whether it was suspended: entries of
 * other tenants may have changed. */
bool room_pause(struct tenant *t);
/* Gives `bytes` of the taken pages back to the budget, for an allocation that follows at once. */
void room_use(struct tenant *t, uint64_t bytes);
/* Gives all of them back. The command makes no more room. */
void room_end(struct tenant *t);
