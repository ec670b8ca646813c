/* The memory that clients of a tenant hold: buffers of connections, messages in transit, queued commands,
 * subscriptions, watched keys.
 *
 * The sum stays within tenant_client_limit. Above the limit the client that holds most is closed first, as with Redis's
 * maxmemory-clients; clients with CLIENT NO-EVICT are closed last. Keys are evicted for clients only below the limit.
 */
#pragma once

#include "atomdb/session/session.h"

enum client_charge {
	CHARGE_NOW,    /* evicts keys if the quota requires it */
	CHARGE_INPUT,  /* evicts keys too; exceeds the limit if no client_memory is set and the quota has free room */
	CHARGE_LITTLE, /* evicts keys too; never refused, so that the client that holds most can run a command that
			  frees memory */
	CHARGE_LATER,  /* evicts no key: the shard does it later. For callers that may be within a reply */
};

/* Charges `bytes` to the tenant. `asker` is the session that needs them, or NULL for a message to several sessions. If
 * the limit requires it, closes clients that hold more than the asker would. Returns 0, or ATOMDB_E_OOM with nothing
 * charged if the asker itself holds most, or the quota has no room. */
int client_memory_charge(struct tenant *t, struct session *asker, uint64_t bytes, enum client_charge how);
void client_memory_discharge(struct tenant *t, uint64_t bytes);
/* Frees the buffers of a client that runs no command now, and closes it at the end of the turn. */
void client_memory_evict(struct tenant *t, struct session *s);
/* Returns whether a command of `bytes`, `charged` of them already charged, would be refused even without other clients.
 */
bool client_memory_refuses(const struct tenant *t, uint64_t bytes, uint64_t charged);
