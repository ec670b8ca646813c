/* Sends messages to clients that did not ask for them: pushes in RESP3, arrays in RESP2.
 *
 * A message is a head, written for one kind of receiver, and a body that all receivers share. */
#pragma once

#include "atomdb/session/session.h"
#include "atomdb/session/shared_buffer.h"

/* A tenant's state of sending. One message is sent at a time. */
struct push {
	struct environment *env;
	struct tenant *tenant;
	struct buffer head;    /* begins with '*' or '>' */
	struct buffer body;    /* empty if it is shared */
	struct shared *shared; /* a large body; or NULL */
	bool whole;            /* the head has the body behind it */

	struct session *current; /* runs a command; NULL: none, or none of interest */
	size_t reply_begin;      /* where its reply begins in its writer's buffer */
	bool unplanned;          /* the change at hand is not of that command's making: expired, evicted */
	struct buffer deferred;  /* pushes to `current` that must not come into the middle of its reply */
	struct buffer own;       /* its invalidations, sent when the command ends; a size_t before each: its length */
};

/* Begins a body of about `size` bytes, as RESP3. The tenant is charged for a large one, which its receivers share. The
 * writer has failed if there is no room. */
struct writer push_body(struct push *p, size_t size);
/* The body so far. */
struct slice push_body_bytes(const struct push *p);
/* Begins the head of a message of `elements`, which counts those of the body. */
struct writer push_head(struct push *p, size_t elements);
/* Sends head and body to a session, in its protocol. */
void push_send(struct push *p, struct session *to);
/* Sends the body alone. */
void push_send_body(struct push *p, struct session *to);
/* Sends bytes that are RESP. A session that runs a command gets them behind its reply once that has begun. */
void push_send_bytes(struct push *p, struct session *to, struct slice bytes);
/* Ends the message. */
void push_end(struct push *p);
/* Frees all buffers, with the tenant's subscriptions. */
void push_deinit(struct push *p);

/* A session begins to run a command. */
void push_begin_command(struct push *p, struct session *s);
/* The command has replied: sends its session the deferred pushes. */
void push_end_command(struct push *p, struct session *s);
/* The session leaves the tenant: forgets what was held for it. */
void push_forget(struct push *p, const struct session *s);
/* Appends bytes to `to`, which is p->deferred or p->own, and charges them. If they are more than the session's reply
 * may take, its writer fails. */
void push_hold(struct push *p, struct buffer *to, const void *bytes, size_t len);
/* Frees and discharges p->deferred or p->own. */
void push_release(struct push *p, struct buffer *held);
