/* Input that was read but not run: an unfinished command, or commands that must wait. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "atomdb/resp/reader.h"
#include "atomdb/util/buffer.h"
#include "atomdb/util/list.h"
#include "net/inbox.h"

struct connection;

/* Allocated only if there is pending input. */
struct pending {
	struct message message; /* message that sends the connection to another worker */
	struct connection *connection;
	struct list wait; /* linked in worker->waiting or worker->paused */
	struct reader reader;
	struct buffer bytes;
};

/* Makes the bytes that did not run pending. They may already be in the pending buffer. `unfinished`: they begin with an
 * unfinished command, and the pending input takes over the state of the worker's reader. Returns 0 or -ENOMEM. */
int pending_keep(struct connection *c, char *rest, size_t len, bool unfinished);
/* Removes the first `n` bytes of the pending input. Returns 0 or -ENOMEM. */
int pending_skip(struct pending *p, size_t n);
/* Gives the worker's reader the state of the pending command, whose bytes are now at `to`. */
void pending_resume(struct connection *c, const char *to);
/* Makes bytes pending that the next turn tries again. Returns 0 or -ENOMEM. */
int pending_hold(struct connection *c, struct slice bytes);
/* Lets the next turn try commands that wait until replies are sent, if the replies are sent. */
void pending_wake(struct connection *c);
void pending_drop(struct connection *c);
