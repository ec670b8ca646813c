/* Sends messages that are not replies: pushes in RESP3, arrays in RESP2.
 *
 * A message consists of a head, which is made for one kind of receiver, and a body that all receivers share. */
#pragma once

#include "atomdb/session/client_memory.h"
#include "atomdb/session/session.h"
#include "atomdb/session/shared_buffer.h"

/* Bytes kept for the session that runs a command, and their charge. */
struct held_push {
	struct buffer bytes;
	struct client_charge charge;
};

/* The push state of a tenant. It sends one message at a time. */
struct push {
	struct environment *env;
	struct tenant *tenant;
	struct buffer head;    /* begins with '*' or '>' */
	struct buffer body;    /* empty if it is shared */
	struct shared *shared; /* a large body, or NULL */
	bool whole;            /* the head ends with the body */

	struct session *current;   /* session that runs a command; NULL: none, or no messages can concern it */
	size_t reply_begin;        /* where its reply begins in its writer's buffer */
	bool unplanned;            /* the current change is not made by that command: a key expires or is evicted */
	struct held_push deferred; /* pushes to `current` that must not interrupt its reply */
	struct held_push
		own; /* its invalidations, sent when the command ends; each has its length, a size_t, in front */
};

/* Begins a RESP3 body of about `size` bytes. All receivers share a large body, and the tenant is charged for it. The
 * writer fails if there is no room. */
struct writer push_body(struct push *p, size_t size);
/* Returns the body so far. */
struct slice push_body_bytes(const struct push *p);
/* Begins the head of a message of `elements`, including those of the body. */
struct writer push_head(struct push *p, size_t elements);
/* Sends head and body to a session, in its protocol. */
void push_send(struct push *p, struct session *to);
/* Sends the body alone. */
void push_send_body(struct push *p, struct session *to);
/* Sends bytes that are RESP. If the session runs a command and its reply has begun, they come after the reply. */
void push_send_bytes(struct push *p, struct session *to, struct slice bytes);
/* Ends the message. */
void push_end(struct push *p);
void push_init(struct push *p, struct environment *env, struct tenant *t);
/* Frees and discharges all buffers. */
void push_deinit(struct push *p);

/* A session begins to run a command. */
void push_begin_command(struct push *p, struct session *s);
/* The command has replied: sends the deferred pushes to its session. */
void push_end_command(struct push *p, struct session *s);
/* The session leaves the tenant: frees the pushes that are held for it. */
void push_forget(struct push *p, const struct session *s);
/* Appends bytes to p->deferred or p->own, and charges them. If the session's reply has no room for them, its writer
 * fails. */
void push_hold(struct push *p, struct held_push *to, const void *bytes, size_t len);
/* Frees and discharges p->deferred or p->own. */
void push_release(struct held_push *held);
