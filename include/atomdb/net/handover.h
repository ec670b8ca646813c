/* Clients that go from one process to the next: their sockets, and with each the state of its connection.
 *
 * worker_freeze and worker_join leave a worker's clients between two commands; worker_serialize_clients writes them
 * down and lists their sockets. The next process gives each to a worker by worker_resume_client before that starts. */
#pragma once

#include "atomdb/net/worker.h"
#include "atomdb/util/serialize.h"

/* Takes in the connections that were on their way to a worker when it stopped. Before any worker's clients are
 * serialized. */
void worker_take_arrivals(struct worker *w);
/* Appends each client to `out`, as an element of a list, and its socket (an int, still the connection's) to `sockets`.
 * Returns how many; out->error tells that memory was short. */
size_t worker_serialize_clients(struct worker *w, struct serializer *out, struct buffer *sockets);
/* Ends all connections of a worker whose thread has ended; their sockets stay open where others hold them. */
void worker_close_clients(struct worker *w);

/* Brings back a client from its record: finds its tenant, and gives it to that one's worker, or to
 * workers[`turn` % count] where it has none. Takes over `fd`, also on failure. 0; ATOMDB_E_FORMAT, ATOMDB_E_VERSION,
 * ATOMDB_E_WRONGPASS (its tenant is not to be any more), ATOMDB_E_FULL, ATOMDB_E_OOM, -errno of the socket: it is
 * closed then. */
int worker_resume_client(struct worker_shared *shared, unsigned turn, int fd, struct slice record);
/* When all are back. */
void worker_link_clients(struct worker *w);
