/* Commands that are suspended in their middle, while the shard serves other tenants.
 *
 * Until it is resumed, a suspended tenant is left alone: its tables are not resized, its entries are neither removed
 * nor moved, databases that its open scope dropped are not freed, and new limits wait. Its due entries leave the wheel
 * and are parked. shard_work() makes up for all of that after the resumption. Charges of its connections evict nothing.
 *
 * An undo scope that is open at the suspension stays open: after a crash, recovery takes its changes back, and no
 * change of another tenant. A process of an earlier release, which knows no suspended scopes, refuses such an arena.
 *
 * The command may be suspended between the calls of the store and in those that say that they are check points, also
 * between string_resize() and keyspace_commit(). It must not be suspended in a watcher. */
#pragma once

#include "atomdb/store/tenant_state.h"

/* The running command, which is one of the tenant's, gives the thread to others. In constant time. */
void shard_suspend(struct tenant *t);
/* The command has the thread again. No other command is in the middle of its work. In constant time. A command that has
 * no scope open may be given up: it is resumed and does nothing more. */
void shard_resume(struct tenant *t);
/* Returns whether the tenant has to give memory back by evictions, which wait while its command is suspended: its keys
 * exceed its quota, or it exceeds its fair share while memory is short. */
bool shard_must_evict(const struct tenant *t);
