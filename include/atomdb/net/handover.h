/* Hands clients over to the next process: their sockets, and the state of each connection.
 *
 * worker_freeze and worker_join stop a worker between two commands of its clients. worker_serialize_clients writes the
 * clients and lists their sockets. The next process gives each client to a worker by worker_resume_client, before that
 * worker starts. */
#pragma once

#include "atomdb/net/worker.h"
#include "atomdb/util/serialize.h"

/* Takes the connections that were in a worker's inbox when it stopped. Call it for all workers before the first call of
 * worker_serialize_clients. */
void worker_take_arrivals(struct worker *w);
/* Appends each client to `out`, as an element of a list, and its socket (an int, which the connection still owns) to
 * `sockets`. Returns the number of clients. If there is no memory, sets out->error. */
size_t worker_serialize_clients(struct worker *w, struct serializer *out, struct buffer *sockets);

/* Restores a client from its record, on the worker of its tenant, or on workers[`turn` % count] if it has none. Takes
 * over `fd`, even on failure. Returns 0, ATOMDB_E_FORMAT, ATOMDB_E_VERSION, ATOMDB_E_WRONGPASS (the tenant is removed),
 * ATOMDB_E_FULL, ATOMDB_E_OOM, or -errno of the socket. After an error the client is closed. */
int worker_resume_client(struct worker_shared *shared, unsigned turn, int fd, struct slice record);
/* Restores the references between clients. Call it after the last worker_resume_client. */
void worker_link_clients(struct worker *w);
