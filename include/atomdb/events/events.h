/* Reports changes of keys to WATCH, CLIENT TRACKING and keyspace events. */
#pragma once

#include "atomdb/events/subscriptions.h"

/* The store calls this for each change. The tenant must have subscriptions. */
void events_key_changed(struct tenant *t, enum change what, unsigned database, struct slice name);

/* Marks the begin of a command of the session, if other sessions may receive messages about it. */
void events_begin_command(struct session *s);
/* Module hooks: the end of a command, and the session leaves its tenant. */
void events_after_command(struct session *s, const struct request *r, enum outcome outcome);
void events_detach(struct session *s);
