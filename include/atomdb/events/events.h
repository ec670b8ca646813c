/* Reports changes of keys to WATCH, CLIENT TRACKING and keyspace events.
 *
 * The store reports a change in the middle of it, where no command can be suspended. If a tenant has a large audience,
 * the change is queued, and the clients are told when the command publishes its own event or ends: with check points.
 * For a change that no command makes, they are told at the end of the turn. */
#pragma once

#include "atomdb/events/subscriptions.h"

/* The store calls this for each change. The tenant must have subscriptions. */
void events_key_changed(struct tenant *t, enum change what, unsigned database, struct slice name);
/* Tells the clients of the queued changes, and sends collected invalidations that are too many to wait. */
void events_send_changes(struct subscriptions *h);

/* Returns the next tenant of the worker that has messages to send at the end of the turn, and no command on a fiber;
 * NULL: none. It is not returned again until it has more messages. */
struct tenant *events_next_unsent(struct environment *env);
/* Returns whether there is one. */
bool events_can_send(struct environment *env);
/* Returns whether a tenant has messages to send at the end of the turn. */
bool events_has_unsent(const struct tenant *t);
/* Returns whether sending them may take long. */
bool events_send_is_long(const struct tenant *t);
/* Sends them, with check points. Nothing is left to do if the tenant has no subscribers any more. */
void events_send_unsent(struct tenant *t);

/* Marks the begin of a command of the session, if other sessions may receive messages about it. */
void events_begin_command(struct session *s);
/* Module hooks: the end of a command, and the session leaves its tenant. */
void events_after_command(struct session *s, const struct request *r, enum outcome outcome);
void events_detach(struct session *s);
