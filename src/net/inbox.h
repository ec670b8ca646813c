/* The inbox of a worker: any thread sends messages, and only the worker takes them.
 *
 * A lock-free stack: a sender pushes with one compare-and-swap, and the worker takes the whole stack with one exchange
 * and reverses it. Only a sender that finds the inbox empty writes to the eventfd. */
#pragma once

#include <stdatomic.h>

enum message_kind {
	MESSAGE_CONNECTION, /* a connection from another worker */
	MESSAGE_SETTINGS,
	MESSAGE_LIMITS,
	MESSAGE_OPENED_LIMITS,
	MESSAGE_DEFAULTS,
	MESSAGE_REMOVAL,
	MESSAGE_ORPHANED,
	MESSAGE_ACCEPTED, /* a new connection */
	MESSAGE_FANOUT,   /* runs a fanout on this worker */
	MESSAGE_ANSWER,   /* all workers have answered a fanout of this worker */
	MESSAGE_MONITOR,  /* lines for the operator's MONITOR */
};

/* The first member of every message. */
struct message {
	struct message *next;
	enum message_kind kind;
};

struct inbox {
	_Atomic(struct message *) newest;
	int fd; /* owned: an eventfd, readable if there may be messages */
};

/* Initializes. Returns 0 or -errno. */
int inbox_open(struct inbox *i);
/* Frees the inbox. The caller takes the remaining messages before, by inbox_take. */
void inbox_close(struct inbox *i);

/* Sends a message, which the receiver then owns. Any thread may call it. */
void inbox_post(struct inbox *i, struct message *m);
/* Makes the eventfd readable without a message. Any thread may call it. */
void inbox_wake(struct inbox *i);

/* Takes all messages, in the order of sending for each sender, or NULL. Only the owner may call it. */
struct message *inbox_take(struct inbox *i);
