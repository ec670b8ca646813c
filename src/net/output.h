/* Replies that the socket has no room for, and the worker's output, which holds the replies of the client that is
 * being served. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "atomdb/session/session.h"
#include "atomdb/session/shared_buffer.h"
#include "atomdb/util/buffer.h"
#include "atomdb/util/list.h"
#include "atomdb/util/serialize.h"

/* What the worker's output buffer keeps allocated from batch to batch. A larger buffer changes hands instead of being
 * copied. */
#define OUTPUT_KEPT ((size_t)1 << 20)

struct connection;
struct worker;

/* Bytes in the middle of an output that are sent from where they are: a pinned value, or a buffer that several clients
 * share. */
struct insert {
	struct list link;      /* in output->inserts */
	size_t at;             /* the output's bytes from here on come behind it */
	struct slice rest;     /* unsent */
	struct pin *pin;       /* owned, or NULL */
	struct shared *shared; /* held, or NULL */
};

/* Replies that the socket had no room for. Allocated only when there are some. */
struct output {
	struct buffer bytes;
	size_t sent;         /* of them */
	struct list inserts; /* in the order of `at`; owned */
	size_t insert_count;
	size_t shared_bytes;   /* unsent, of inserts that are shared */
	struct insert *pinned; /* the one that is pinned, or NULL */
	struct connection *connection;
	struct list push; /* in worker->pushed */
};

/* Sends what the client's output holds, then the client's part of the worker's output; holds what does not fit. The
 * worker's output is empty after it. Returns 0, -errno of the socket, -ENOMEM, or ATOMDB_E_RANGE past the output limit
 * (counted and logged). After an error the caller closes the connection. */
int output_flush(struct connection *c);
/* Holds the worker's output, then a pinned value and CRLF, until the next output_flush. Returns 0 or -ENOMEM. Takes the
 * pin over, also on failure. The connection must have no other pin. */
int output_pin(struct connection *c, struct pinned pinned);
/* Writes the unsent bytes as a field, without the rest of a pinned value. */
void output_serialize(const struct connection *c, struct serializer *out, const char *name);
/* Writes as a field where the rest of a pinned value is, and how many of the bytes of output_serialize come before it.
 * Writes nothing without such a value. */
void output_serialize_pinned(const struct connection *c, struct serializer *out, const char *name);
/* Restores the pinned value, after output_hold. Returns 0, -ENOMEM, or ATOMDB_E_FORMAT if the tenant has no such value.
 */
int output_deserialize_pinned(struct connection *c, struct slice record);
/* Leaves the replies in the worker's output, to be sent together with those to other clients: a sleeping peer is then
 * woken once for all that it gets. Returns false if they do not qualify: the caller flushes them. */
bool output_later(struct connection *c);
/* Sends the replies that output_later left. Closes no connection and charges nothing, so that it may be called at any
 * time. */
void output_send_replies(struct worker *w);
/* The same, before a client is served and after the last one: the worker's output is empty after it. */
void output_end_replies(struct worker *w);
/* Returns whether the replies that output_later left have waited long enough, by clock_ticks(). */
bool output_is_due(const struct worker *w, uint64_t ticks);
/* Copies the shared bytes: the tenant that they are charged to may end. Returns 0 or -ENOMEM. */
int output_unshare(struct connection *c);
/* Bytes that an output takes, without those that are pinned or shared. */
uint64_t output_memory(const struct output *o);
/* Makes bytes unsent. The connection must have no output. Returns 0 or -ENOMEM. */
int output_hold(struct connection *c, struct slice bytes);
void output_drop(struct connection *c);
/* All unsent bytes. */
size_t output_unsent(const struct connection *c);
/* Unsent bytes without those of a pinned value, which the store holds: the output limit applies to them. */
size_t output_unread(const struct connection *c);
/* Returns whether so much is unsent that the client's commands must wait: more than 1 MiB, any byte before it has
 * authenticated, or a pinned value. */
bool output_is_behind(const struct connection *c);
/* The length up to which the writer may fill the worker's output for this client. */
size_t output_limit(const struct connection *c);
/* The same without a charge: beyond it a reply is charged as it is made. */
size_t output_free_limit(const struct connection *c);

/* For push.c: the parts of which the functions above are made. */

/* Gives the connection an output, which it must not have. Returns 0 or -ENOMEM. */
int output_make(struct connection *c);
/* Removes the bytes that were sent if they are more than half of the buffer. */
void output_compact(struct output *o);
/* Inserts bytes of another owner behind those that are held. Takes over `pin` and `shared`, of which one is NULL, also
 * on failure. Returns NULL if there is no memory. */
struct insert *output_insert(struct connection *c, struct slice bytes, struct pin *pin, struct shared *shared);
/* Sends held bytes once, and at most a piece of an insert. Returns 0 or -errno. */
int output_send_held(struct connection *c);
/* Returns 0, or ATOMDB_E_RANGE past the output limit, which is counted and logged. */
int output_check_limit(struct connection *c);
