/* A task: a command that runs on a fiber because it may take long. A task without a command sends a tenant's messages
 * at the end of a turn if they are many.
 *
 * A task owns the state of its running command: the arguments, the reply, the scratch buffer and the time. So the
 * worker serves other tenants while the task is suspended. A tenant has one task at most. Until the task ends
 *   - the tenant's other commands wait,
 *   - connections of the tenant that are to be closed stay, without their sockets,
 *   - bytes that are pushed to the tenant's clients are held,
 *   - messages that remove the tenant wait. */
#pragma once

#include "atomdb/session/session.h"
#include "atomdb/util/fiber.h"
#include "net/inbox.h"

struct connection;
struct worker;

struct task {
	struct list link;    /* in worker->tasks */
	uint64_t number;     /* of the worker's tasks, from 1 on */
	struct fiber *fiber; /* owned */
	struct worker *worker;
	struct connection *connection; /* NULL: the task sends the tenant's messages */
	struct tenant *tenant;
	struct request request;
	struct slice *argv;  /* owned, or NULL: the arguments are where the batch has them */
	size_t argv_bytes;   /* of that block, in which copied arguments follow the slices */
	struct buffer input; /* owned: pending input that the arguments point into */
	struct buffer out;   /* owned: the reply */
	struct buffer scratch;
	struct writer writer; /* to `out` */
	struct pinned pinned;
	uint64_t pattern_work;
	int64_t now_ms;   /* CLOCK_REALTIME, as of the start */
	uint64_t ticks;   /* see dispatch_run() */
	uint64_t charged; /* bytes that the client is charged for the reply */
	enum outcome outcome;
	bool stalled;             /* it missed its check points, and the log says so */
	bool ended;               /* task_end_reader() has ended it */
	bool muted;               /* then: the client wants no reply */
	uint64_t begin_ns;        /* CLOCK_MONOTONIC */
	uint8_t database;         /* of the session, at the start */
	struct list waiting;      /* pending input of connections whose commands wait: struct pending's wait */
	struct list closing;      /* connections that are closed at the end: struct connection's link */
	struct list pushed;       /* held outputs: struct output's push */
	struct message *messages; /* owned: they wait, in this order */
	struct message **last;
};

/* The task of the connection's own command, or NULL. */
struct task *task_of(const struct connection *c);
/* Makes the task of a command of `c`, and sets the tenant's clients.task. The request must stay until
 * task_own_arguments(). Returns NULL without memory. */
struct task *task_new(struct connection *c, const struct request *r);
/* Makes the task that sends the messages of `t`, and sets t->clients.task. Returns NULL without memory. */
struct task *task_new_sender(struct worker *w, struct tenant *t);
/* Takes the arguments over from the batch: the task goes on later. */
void task_own_arguments(struct task *k);
/* Bytes that the client is charged, with those of the reply. */
uint64_t task_memory(const struct task *k);
/* Adds the reply to the worker's replies, and gives the worker the pinned value. A reply that failed makes the worker's
 * writer fail. */
void task_take_reply(struct task *k);
/* Puts the command back in front of the pending input, to be run again. Returns 0 or -ENOMEM. */
int task_put_back(struct task *k);
/* Discards the reply. A command that only reads ends at its next check point. Another command runs to its end. */
void task_cancel_reply(struct task *k);
/* Like task_cancel_reply(), but a command that writes may end early too: its tenant's data is dropped. */
void task_cancel(struct task *k);
/* Returns whether the command only reads keys, as all commands of a transaction may do. */
bool task_only_reads(const struct task *k);
/* Ends a suspended command that only reads at its next check point. The client gets an error. */
void task_end_reader(struct task *k);
/* Has a message wait for the end of the task. */
void task_hold_message(struct task *k, struct message *m);
/* Frees the task, which is its tenant's no more, and its fiber, even if that has not come to its end. Its lists must be
 * empty. */
void task_free(struct task *k);
