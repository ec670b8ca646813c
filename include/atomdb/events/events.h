/* Reports changes of keys to WATCH, CLIENT TRACKING and keyspace events. */
#pragma once

#include "atomdb/events/subscriptions.h"

/* The store's watcher. The tenant has subscriptions. */
void events_key_changed(struct tenant *t, enum change what, unsigned database, struct slice name);

/* A session that others may have to be told of begins to run a command. */
void events_begin_command(struct session *s);
/* Module hooks: the command has ended; the session leaves its tenant. */
void events_after_command(struct session *s, const struct request *r, enum outcome outcome);
void events_detach(struct session *s);
