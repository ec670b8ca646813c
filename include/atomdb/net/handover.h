/* Hands clients to the next process: their sockets, and the state of each connection.
 *
 * worker_freeze and worker_join leave a worker's clients between two commands; worker_serialize_clients writes them
 * down and lists their sockets. The next process gives each to a worker by worker_resume_client before that starts. */
#pragma once

#include "atomdb/net/worker.h"
#include "atomdb/util/serialize.h"

/* Takes the connections that were in a worker's inbox when it stopped. Call it for all workers before any worker's
 * clients are serialized. */
void worker_take_arrivals(struct worker *w);
/* Appends each client to `out`, as an element of a list, and its socket (an int, still the connection's) to `sockets`.
 * Returns how many. Without memory it sets out->error. */
size_t worker_serialize_clients(struct worker *w, struct serializer *out, struct buffer *sockets);

/* Restores a client from its record, on the worker of its tenant, or on workers[`turn` % count] if it has none. Takes
 * over `fd`, also on failure. Returns 0, ATOMDB_E_FORMAT, ATOMDB_E_VERSION, ATOMDB_E_WRONGPASS (the tenant is removed),
 * ATOMDB_E_FULL, ATOMDB_E_OOM, or -errno of the socket. After an error the client is closed. */
int worker_resume_client(struct worker_shared *shared, unsigned turn, int fd, struct slice record);
/* Restores what clients refer to of each other, after the last worker_resume_client. */
void worker_link_clients(struct worker *w);
