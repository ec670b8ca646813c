/* Input that was read and not run: an unfinished command, or commands that must wait. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "atomdb/resp/reader.h"
#include "atomdb/util/buffer.h"
#include "atomdb/util/list.h"
#include "net/inbox.h"

struct connection;

/* Allocated only when there is some. */
struct pending {
	struct message message; /* takes the connection to another worker */
	struct connection *connection;
	struct list wait; /* in worker->waiting or worker->paused */
	struct reader reader;
	struct buffer bytes;
};

/* Makes the bytes that did not run pending, which may be in the pending buffer already. With `unfinished` they begin
 * with an unfinished command, and the pending input takes over the state of the worker's reader. Returns 0 or -ENOMEM.
 */
int pending_keep(struct connection *c, char *rest, size_t len, bool unfinished);
/* Removes the first `n` bytes of the pending input. Returns 0 or -ENOMEM. */
int pending_skip(struct pending *p, size_t n);
/* Gives the worker's reader the state of the pending command, whose bytes are at `to` now. */
void pending_resume(struct connection *c, const char *to);
/* Makes bytes pending that are tried in the next turn. Returns 0 or -ENOMEM. */
int pending_hold(struct connection *c, struct slice bytes);
/* Has commands that wait until replies are sent tried in the next turn, if the replies are sent. */
void pending_wake(struct connection *c);
void pending_drop(struct connection *c);
