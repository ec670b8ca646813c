/* Sends bytes to a client that are not the reply to a command: messages of channels, invalidations, lines of MONITOR.
 *
 * The bytes are sent at the end of the turn: for a part of the turn, to one client of each tenant in turn. If a tenant
 * has more, its commands wait until its messages are sent, so that they hold no more memory than those of one turn. */
#pragma once

#include "atomdb/session/shared_buffer.h"
#include "atomdb/util/slice.h"

struct connection;
struct worker;

/* Adds bytes to the output of a connection that is not being served. They are sent at the end of the turn. A client
 * that cannot hold them is closed then. */
void push_bytes(struct connection *c, struct slice bytes);
/* The same with shared bytes behind those of `head`. */
void push_shared(struct connection *c, struct slice head, struct shared *shared);
/* Sends the bytes that were pushed, for a part of the turn. */
void push_flush(struct worker *w);
