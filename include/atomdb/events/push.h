/* Sends messages that are not replies: pushes in RESP3, arrays in RESP2.
 *
 * A message consists of a head, which is made for one kind of receiver, and a body that all receivers share. */
#pragma once

#include "atomdb/session/session.h"
#include "atomdb/session/shared_buffer.h"

/* The push state of a tenant. It sends one message at a time. */
struct push {
	struct environment *env;
	struct tenant *tenant;
	struct buffer head;    /* begins with '*' or '>' */
	struct buffer body;    /* empty if it is shared */
	struct shared *shared; /* a large body; or NULL */
	bool whole;            /* the head has the body behind it */

	struct session *current; /* session that runs a command; NULL: none, or no messages can concern it */
	size_t reply_begin;      /* where its reply begins in its writer's buffer */
	bool unplanned;          /* the current change is not made by that command: a key expires or is evicted */
	struct buffer deferred;  /* pushes to `current` that must not interrupt its reply */
	struct buffer own; /* its invalidations, sent when the command ends; each has its length, a size_t, in front */
};

/* Begins a body of about `size` bytes, as RESP3. A large body is charged to the tenant, and its receivers share it. If
 * there is no room, the writer fails. */
struct writer push_body(struct push *p, size_t size);
/* Returns the body so far. */
struct slice push_body_bytes(const struct push *p);
/* Begins the head of a message of `elements`, including those of the body. */
struct writer push_head(struct push *p, size_t elements);
/* Sends head and body to a session, in its protocol. */
void push_send(struct push *p, struct session *to);
/* Sends the body alone. */
void push_send_body(struct push *p, struct session *to);
/* Sends bytes that are RESP. A session that runs a command receives them behind its reply, if it has begun to reply. */
void push_send_bytes(struct push *p, struct session *to, struct slice bytes);
/* Ends the message. */
void push_end(struct push *p);
/* Frees all buffers. Called when the tenant's subscriptions end. */
void push_deinit(struct push *p);

/* A session begins to run a command. */
void push_begin_command(struct push *p, struct session *s);
/* The command has replied: sends the deferred pushes to its session. */
void push_end_command(struct push *p, struct session *s);
/* The session leaves the tenant: drops its deferred pushes. */
void push_forget(struct push *p, const struct session *s);
/* Appends bytes to `to`, which is p->deferred or p->own, and charges them. If the session's reply may not take so many,
 * its writer fails. */
void push_hold(struct push *p, struct buffer *to, const void *bytes, size_t len);
/* Frees and discharges p->deferred or p->own. */
void push_release(struct push *p, struct buffer *held);
