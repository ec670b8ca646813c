/* CLIENT TRACKING: invalidation messages for changed keys that a client has read, or that have a prefix.
 *
 * By default a reading command subscribes its session to each of its keys. A change sends each subscriber one message
 * and ends the subscriptions. With BCAST the session subscribes to prefixes instead: see tracking_broadcast.h. */
#pragma once

#include "atomdb/events/invalidation.h"

/* Turns tracking on for a session. The session and `redirect` (if not NULL) have subscribers. Returns 0, or
 * ATOMDB_E_OOM with tracking off. */
int tracking_enable(struct session *s, struct session *redirect, uint32_t options, const struct slice *prefixes,
		    size_t count);
/* The same without prefixes. */
int tracking_turn_on(struct session *s, struct session *redirect, uint32_t options);
void tracking_disable(struct session *s);

/* Subscribes the session to the keys that the command has read. */
void tracking_remember(struct session *s, const struct request *r);
/* Module hook: sends the invalidations of the session's own changes, and ends CLIENT CACHING, which applies to one
 * command. */
void tracking_after_command(struct session *s, const struct request *r, enum outcome outcome);
/* Sends the invalidations of a changed key. */
void tracking_changed(struct subscriptions *h, struct slice name);
/* Sends the invalidations of a flushed database. */
void tracking_flushed(struct subscriptions *h);
/* Sends the invalidations of exchanged databases: all cached keys may have changed. Tracked keys stay tracked. */
void tracking_swapped(struct subscriptions *h);
/* Module hook: ends CLIENT TRACKING of a session, and redirections of other sessions to it. */
void tracking_leave(struct session *s);
/* Returns the id of the session that receives the invalidations (`global`: as the operator sees it), 0 if there is no
 * redirection, -1 if tracking is off. */
int64_t tracking_redirection(const struct session *s, bool global);
/* Formats the flags of CLIENT LIST: up to 3 letters and a NUL. */
void tracking_letters(const struct session *s, char letters[4]);

/* Module hooks: write the state of CLIENT TRACKING for the next process, restore it, and find the session that receives
 * the invalidations. */
void tracking_serialize(const struct session *s, struct serializer *out, const char *name);
int tracking_deserialize(struct session *s, struct slice record);
bool tracking_link(struct session *s);
