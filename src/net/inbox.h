/* A worker's inbox: messages from any thread, taken by the worker alone.
 *
 * Senders push onto a stack with one compare-and-swap, so none ever waits for another; the worker takes the whole stack
 * with one exchange and turns it round. The eventfd is written only by the sender that finds the inbox empty. */
#pragma once

#include <stdatomic.h>

enum message_kind {
	MESSAGE_CONNECTION, /* a connection with all that belongs to it */
	MESSAGE_SETTINGS,
	MESSAGE_LIMITS,
	MESSAGE_OPENED_LIMITS,
	MESSAGE_DEFAULTS,
	MESSAGE_REMOVAL,
	MESSAGE_ORPHANED,
	MESSAGE_ACCEPTED, /* a new connection */
	MESSAGE_FANOUT,   /* to run a fanout on this worker */
	MESSAGE_ANSWER,   /* all workers have answered a fanout of this one */
	MESSAGE_MONITOR,  /* lines for the operator's MONITOR */
};

/* The first member of every message. */
struct message {
	struct message *next;
	enum message_kind kind;
};

struct inbox {
	_Atomic(struct message *) newest;
	int fd; /* owned: an eventfd, readable when there may be something to take */
};

/* 0 or -errno. */
int inbox_open(struct inbox *i);
/* The caller takes the remaining messages before, by inbox_take. */
void inbox_close(struct inbox *i);

/* From any thread; the message belongs to the receiver from here on. */
void inbox_post(struct inbox *i, struct message *m);
/* From any thread: makes the eventfd readable without a message. */
void inbox_wake(struct inbox *i);

/* For the owner: all messages, each sender's in the order of sending; NULL for none. */
struct message *inbox_take(struct inbox *i);
