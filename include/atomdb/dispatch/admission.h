/* What transactions, pub/sub, notifications and tracking offer each other and the dispatcher. */
#pragma once

#include "atomdb/events/subscriptions.h"
#include "atomdb/util/serialize.h"

/* --- admission.c: where commands meet the rest */

/* Runs a command of a session that has a flag of SESSION_ATTENTION. Parameters as dispatch_run, which has admitted it.
 */
enum outcome admission_run(struct session *s, struct request *r, uint64_t *ticks);
/* A command was refused, and its error answered since `mark`: MULTI remembers it, and for EXEC it is the end. */
void admission_refused(struct session *s, const struct request *r, size_t mark);
/* The store's watcher. */
void key_changed(struct tenant *t, enum change what, unsigned database, struct slice name);

/* --- dispatch.c */

/* Runs a command that may run, and counts it. */
enum outcome command_run(struct session *s, const struct request *r, uint64_t *ticks);

/* --- transaction.c */

/* Keeps a command for EXEC and answers QUEUED. */
void transaction_queue(struct session *s, const struct request *r);
/* Whether a command of those kept may write. */
bool transaction_writes(const struct session *s);
/* Commands kept; -1 without MULTI. */
int64_t transaction_length(const struct session *s);
uint64_t transaction_memory(const struct session *s);
/* Writes the kept commands for the next process, as a list of lists of arguments; and reads that list: 0,
 * ATOMDB_E_FORMAT, ATOMDB_E_OOM. */
void transaction_serialize(const struct session *s, struct serializer *out, const char *name);
int transaction_deserialize(struct session *s, struct slice list);
/* Ends MULTI and WATCH. */
void transaction_end(struct session *s);
/* A key has changed. */
void watched_touch(struct subscriptions *h, unsigned database, struct slice name);
/* All keys of a database are about to go. */
void watched_flush(struct subscriptions *h, unsigned database);
/* Two databases are about to be exchanged. */
void watched_swap(struct tenant *t, unsigned a, unsigned b);

/* --- pubsub.c */

/* Sends a keyspace event to the subscribers of a channel, and to those of patterns that match it. Passes over patterns
 * that take too long to match. */
void publish_event(struct subscriptions *h, struct slice channel, struct slice message);

/* --- keyspace_events.c */

/* Whether the tenant's notifications need to be told of changes by the store. */
bool keyspace_events_wanted(const struct tenant *t);
/* The store has told of a change. */
void keyspace_events_key_changed(struct subscriptions *h, enum change what, unsigned database, struct slice name);

/* --- tracking.c */

/* Remembers the keys that the session has read with this command. */
void tracking_remember(struct session *s, const struct request *r);
/* A command of a session with CLIENT TRACKING has ended: CLIENT CACHING is for one command. */
void tracking_command_done(struct session *s, const struct command *c);
void tracking_changed(struct subscriptions *h, struct slice name);
void tracking_flushed(struct subscriptions *h);
/* Databases were exchanged: all that clients have cached may have changed. The keys that they read stay tracked. */
void tracking_swapped(struct subscriptions *h);
/* The command of a session has ended: tells the session of its own changes, as it tracks now. */
void tracking_tell_own(struct subscriptions *h, struct session *s);
/* Ends CLIENT TRACKING of a session, and that of others is no longer sent to it. */
void tracking_leave(struct session *s);
/* The id that invalidations are sent to, with `global` as the operator knows it; 0: its own; -1: no tracking. */
int64_t tracking_redirection(const struct session *s, bool global);
/* Letters of CLIENT LIST's flags, up to 3 and a NUL. */
void tracking_letters(const struct session *s, char letters[4]);
void tracking_forget_changes(struct subscriptions *h, struct channel *prefix);
void tracking_forget_all(struct subscriptions *h);
