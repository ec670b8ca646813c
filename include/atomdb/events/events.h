/* Reports changes of keys to WATCH, CLIENT TRACKING and keyspace events.
 *
 * The store reports a change in the middle of it, where the command cannot be suspended. If the tenant has a large
 * audience, the change is queued. Its messages are sent with check points: when the command publishes its own event or
 * ends. The messages about a change that no command makes are sent at the end of the turn. */
#pragma once

#include "atomdb/events/subscriptions.h"

/* The store calls this for each change. The tenant must have subscriptions. */
void events_key_changed(struct tenant *t, enum change what, unsigned database, struct slice name);
/* Sends the messages about the queued changes. Also sends the collected invalidations if they are too many to wait for
 * the end of the turn. */
void events_send_changes(struct subscriptions *h);

/* Returns the next tenant of the worker that has messages to send at the end of the turn and no command on a fiber, or
 * NULL. The tenant is not returned again until it has more messages. */
struct tenant *events_next_unsent(struct environment *env);
/* Returns whether events_next_unsent() would return a tenant. */
bool events_can_send(struct environment *env);
/* Returns whether a tenant has messages to send at the end of the turn. */
bool events_has_unsent(const struct tenant *t);
/* Returns whether events_send_unsent() may take long. */
bool events_send_is_long(const struct tenant *t);
/* Sends the messages of the tenant, with check points. Does nothing if the tenant has no subscribers any more. */
void events_send_unsent(struct tenant *t);

/* Marks the begin of a command of the session, if other sessions may receive messages about it. */
void events_begin_command(struct session *s);
/* Module hooks: the end of a command, and the session leaves its tenant. */
void events_after_command(struct session *s, const struct request *r, enum outcome outcome);
void events_detach(struct session *s);
