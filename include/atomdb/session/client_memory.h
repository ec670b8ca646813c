/* The memory that clients of a tenant hold: buffers of connections, messages in transit, queued commands,
 * subscriptions, watched keys.
 *
 * The sum stays within tenant_client_limit. Above the limit the client that holds most is closed first, as with Redis's
 * maxmemory-clients; clients with CLIENT NO-EVICT are closed last. Keys are evicted for clients only below the limit.
 */
#pragma once

#include "atomdb/session/session.h"

enum charge_mode {
	CHARGE_NOW,    /* evicts keys, if the quota needs it */
	CHARGE_INPUT,  /* as CHARGE_NOW; also beyond the limit, if client_memory is not set and the quota has free room
			*/
	CHARGE_LITTLE, /* as CHARGE_NOW, but never refused: a client that holds most can still send a small command */
	CHARGE_LATER,  /* evicts no key now: the shard does it later. For a caller that may be in the middle of a reply
			*/
};

/* Bytes charged to a tenant for its clients. Zero bytes need no release. */
struct client_charge {
	struct tenant *tenant; /* set by the owner before the first byte; it outlives the charge */
	uint64_t bytes;
};

/* Charges `bytes` more. `asker` is the session that needs the memory, or NULL for memory that several clients share.
 * Closes clients that hold more than the asker would, as long as the limit requires it. Returns 0, or ATOMDB_E_OOM if
 * the asker itself holds most, or the quota has no room; then the charge is unchanged. */
int client_charge_grow(struct client_charge *c, struct session *asker, uint64_t bytes, enum charge_mode mode);
/* Discharges `bytes`, at most c->bytes. */
void client_charge_shrink(struct client_charge *c, uint64_t bytes);
/* Discharges all bytes. */
void client_charge_release(struct client_charge *c);

/* Allocates zeroed memory that the session holds, and charges it to the session's tenant with CHARGE_NOW. Returns NULL
 * if there is no room or no memory; then nothing is charged. */
void *client_memory_alloc(struct session *s, size_t bytes);
/* Frees and discharges memory of client_memory_alloc() for the same session and the same number of bytes. NULL is
 * ignored. */
void client_memory_free(struct session *s, void *memory, size_t bytes);
/* Adds bytes that are charged elsewhere to those that the session holds, or subtracts them if `bytes` is negative. They
 * count when a client must be closed. */
void client_memory_count(struct session *s, int64_t bytes);

/* Notes that the session leaves its tenant soon: what it holds counts as free in the limit of the clients. */
void client_memory_leave(struct session *s);
/* Frees the buffers of a client that runs no command, and closes it at the end of the turn. */
void client_memory_evict(struct tenant *t, struct session *s);
/* Returns whether a command of `bytes`, of which `charged` are charged already, would be refused even if its client
 * were the only one. */
bool client_memory_refuses(const struct tenant *t, uint64_t bytes, uint64_t charged);
