/* CLIENT TRACKING: a client is told when keys change that it has read, or that begin with a prefix.
 *
 * By default a reading command subscribes its session to each of its keys. A change sends each subscriber one message
 * and ends the subscriptions. With BCAST the session subscribes to prefixes instead: see tracking_broadcast.h. */
#pragma once

#include "atomdb/events/invalidation.h"

/* Turns tracking on for a session that has a subscriber, as `redirect` has (or NULL). 0, or ATOMDB_E_OOM: it is off
 * then. */
int tracking_enable(struct session *s, struct session *redirect, uint32_t options, const struct slice *prefixes,
		    size_t count);
/* The same without prefixes. */
int tracking_turn_on(struct session *s, struct session *redirect, uint32_t options);
void tracking_disable(struct session *s);

/* Remembers the keys that the session has read with this command. */
void tracking_remember(struct session *s, const struct request *r);
/* Module hook: sends the session the invalidations of its own changes, and ends CLIENT CACHING, which is for one
 * command. */
void tracking_after_command(struct session *s, const struct request *r, enum outcome outcome);
/* A key has changed. */
void tracking_changed(struct subscriptions *h, struct slice name);
/* All keys of a database were removed. */
void tracking_flushed(struct subscriptions *h);
/* Databases were exchanged: all that clients have cached may have changed. The keys that they read stay tracked. */
void tracking_swapped(struct subscriptions *h);
/* Module hook: ends CLIENT TRACKING of a session; other sessions no longer redirect to it. */
void tracking_leave(struct session *s);
/* The id that invalidations are redirected to, for `global` as the operator knows it; 0: not redirected; -1: no
 * tracking. */
int64_t tracking_redirection(const struct session *s, bool global);
/* Letters of CLIENT LIST's flags, up to 3 and a NUL. */
void tracking_letters(const struct session *s, char letters[4]);

/* Module hooks: write CLIENT TRACKING's state for the next process, read it, and find the session that invalidations
 * are redirected to. */
void tracking_serialize(const struct session *s, struct serializer *out, const char *name);
int tracking_deserialize(struct session *s, struct slice record);
bool tracking_link(struct session *s);
