/* The worker's output, which holds the replies of the client that is being served, and the outputs of connections with
 * unsent replies. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "atomdb/session/session.h"
#include "atomdb/session/shared_buffer.h"
#include "atomdb/util/buffer.h"
#include "atomdb/util/list.h"
#include "atomdb/util/serialize.h"

/* Capacity that the worker's output buffer keeps between batches. A larger buffer is handed over instead of copied. */
#define OUTPUT_KEPT ((size_t)1 << 20)

struct connection;
struct tenant;
struct worker;

/* Bytes in the middle of an output that are sent from their own memory: a pinned value, or a buffer that several
 * clients share. */
struct insert {
	struct list link;      /* in output->inserts */
	size_t at;             /* offset in the output's bytes at which it is inserted */
	struct slice rest;     /* unsent bytes */
	struct pin *pin;       /* owned, or NULL */
	struct shared *shared; /* reference held, or NULL */
};

/* Unsent replies of a connection. Allocated only if there are some. */
struct output {
	struct buffer bytes;
	size_t sent;         /* capacity of `inserts` */
	struct list inserts; /* in the order of `at`; owned */
	size_t insert_count;
	size_t shared_bytes;   /* unsent bytes of shared inserts */
	struct insert *pinned; /* the pinned insert, or NULL */
	struct connection *connection;
	struct list push;    /* linked in a list of push.h, or in task->pushed of the tenant while it is held */
	uint64_t held;       /* number of the task for whose end it waited last; 0: none */
	size_t held_at;      /* bytes that were there before it was held */
	size_t held_inserts; /* likewise */
};

/* Sends the client's held output, then the client's part of the worker's output, and holds the rest. Afterwards the
 * worker's output is empty. Returns 0, -errno of the socket, -ENOMEM, or ATOMDB_E_RANGE above the output limit (counted
 * and logged). After an error the caller closes the connection. */
int output_flush(struct connection *c);
/* Holds the worker's output, then a pinned value and CRLF, until the next output_flush. Returns 0 or -ENOMEM. Takes
 * over the pin, even on failure. The connection must not have another pin. */
int output_pin(struct connection *c, struct pinned pinned);
/* Writes the unsent bytes as a field, without the rest of a pinned value. */
void output_serialize(const struct connection *c, struct serializer *out, const char *name);
/* Writes as a field the place of the rest of a pinned value, and the number of bytes of output_serialize before it.
 * Writes nothing if there is no such value. */
void output_serialize_pinned(const struct connection *c, struct serializer *out, const char *name);
/* Restores the pinned value, after output_hold. Returns 0, -ENOMEM, or ATOMDB_E_FORMAT if the tenant has no such value.
 */
int output_deserialize_pinned(struct connection *c, struct slice record);
/* Leaves the replies in the worker's output, to be sent together with replies to other clients: this wakes a sleeping
 * peer only once. Returns false if the replies do not qualify: then flush them. */
bool output_later(struct connection *c);
/* Sends the replies that output_later left. Closes no connection and charges nothing, so that it may be called at any
 * time. */
void output_send_replies(struct worker *w);
/* The same, before a client is served and after the last one. Afterwards the worker's output is empty. */
void output_end_replies(struct worker *w);
/* Returns whether the replies that output_later left are due, by clock_ticks(). */
bool output_is_due(const struct worker *w, uint64_t ticks);
/* Copies shared bytes before the tenant that they are charged to may end. Returns 0 or -ENOMEM. */
int output_unshare(struct connection *c);
/* Returns whether the client's output is held: see output_hold_back(). */
bool output_is_held(const struct connection *c);
/* Returns the bytes that an output takes, without pinned or shared bytes. */
uint64_t output_memory(const struct output *o);
/* Adds unsent bytes. The connection must not have an output. Returns 0 or -ENOMEM. */
int output_hold(struct connection *c, struct slice bytes);
void output_drop(struct connection *c);
/* Returns all unsent bytes. */
size_t output_unsent(const struct connection *c);
/* Returns the unsent bytes that the output limit counts: without a pinned value, which the store holds. */
size_t output_unread(const struct connection *c);
/* Returns whether the client's commands must wait because of unsent bytes: more than 1 MiB, any byte before it has
 * authenticated, or a pinned value. */
bool output_is_behind(const struct connection *c);
/* Returns the length up to which the writer may fill the worker's output for this client. */
size_t output_limit(const struct connection *c);
/* The same without a charge: the reply is charged while it is written beyond it. */
size_t output_free_limit(const struct connection *c);

/* Sends the output of the connection at the end of the turn. The output is in no list. */
void output_queue(struct connection *c);
/* The same for the outputs of a list, which are of clients of `t`. Empties the list. */
void output_queue_all(struct worker *w, struct tenant *t, struct list *outputs);
/* The client leaves its tenant: its output waits for no other client of it. */
void output_leave(struct connection *c);

/* The parts of the functions above, for push.c. */

/* Gives the connection an output. It must not have one. Returns 0 or -ENOMEM. */
int output_make(struct connection *c);
/* Holds the output until the end of the task of this number, with what comes in from here on. */
void output_hold_back(struct output *o, uint64_t task);
/* Removes what came in since output_hold_back(), and releases the output. */
void output_take_back(struct output *o);
/* Removes the sent bytes if they are more than half of the buffer. Keeps them in a large buffer with room for `more`
 * bytes: moving the rest would take long. */
void output_compact(struct output *o, size_t more);
/* Appends an insert behind the held bytes. Takes over `pin` and `shared`, of which one is NULL, even on failure.
 * Returns NULL if there is no memory. */
struct insert *output_insert(struct connection *c, struct slice bytes, struct pin *pin, struct shared *shared);
/* Sends held bytes once, and at most a piece of an insert. Returns 0 or -errno. */
int output_send_held(struct connection *c);
/* Returns 0, or ATOMDB_E_RANGE above the output limit, which it counts and logs. */
int output_check_limit(struct connection *c);
