/* The memory that a tenant's clients make it hold: connections' buffers, messages on their way, kept commands,
 * subscriptions, WATCH.
 *
 * All of it together stays within tenant_client_limit. Beyond that the client that holds most goes first, as with
 * Redis's maxmemory-clients; those with CLIENT NO-EVICT go behind the others. Keys are evicted for it only within that
 * limit. */
#pragma once

#include "atomdb/session/session.h"

enum client_charge {
	CHARGE_NOW,    /* evicts keys, if the quota needs it */
	CHARGE_INPUT,  /* likewise; beyond the limit too, if no client_memory is set and the quota has free room */
	CHARGE_LITTLE, /* likewise; never refused, so that a client which holds most can say what is to go */
	CHARGE_LATER,  /* evicts no key now: the shard does it. For a caller that may be in the middle of a reply */
};

/* Charges `bytes` to the tenant for `asker`, one of its sessions, or NULL for what is nobody's: a message to many.
 * Closes the clients that hold more than the asker would, while that is what it takes. 0; ATOMDB_E_OOM, and nothing is
 * charged: the asker itself holds most, or the quota has no room. */
int client_memory_charge(struct tenant *t, struct session *asker, uint64_t bytes, enum client_charge how);
void client_memory_discharge(struct tenant *t, uint64_t bytes);
/* Closes a client that does not run a command at the end of the turn, and frees its buffers at once. */
void client_memory_evict(struct tenant *t, struct session *s);
/* Whether a command of `bytes`, of which `charged` are, would be refused with only its client there. */
bool client_memory_refuses(const struct tenant *t, uint64_t bytes, uint64_t charged);
