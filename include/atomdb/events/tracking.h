/* CLIENT TRACKING's state of a session, for its commands. */
#pragma once

#include "atomdb/events/subscriptions.h"

enum tracking_option {
	TRACKING_BCAST = 1 << 0,
	TRACKING_OPTIN = 1 << 1,
	TRACKING_OPTOUT = 1 << 2,
	TRACKING_NOLOOP = 1 << 3,
	TRACKING_CACHING = 1 << 4, /* CLIENT CACHING: the next command is the exception */
	TRACKING_BROKEN = 1 << 5,  /* the session that invalidations were redirected to has gone */
};

struct tracking {
	struct session *session;
	struct list link; /* in subscriptions->tracking */
	uint32_t options;
	int64_t redirect_id;       /* 0: none */
	struct session *redirect;  /* NULL: none, or gone */
	bool unlinked;             /* it came from the process before, and `redirect` is to be found yet */
	struct list redirect_link; /* in redirect->subscriber->redirected */
};

/* Turns tracking on for a session that has a subscriber, as `redirect` has (or NULL). 0, or ATOMDB_E_OOM: it is off
 * then. */
int tracking_enable(struct session *s, struct session *redirect, uint32_t options, const struct slice *prefixes,
		    size_t count);
/* The same without prefixes. */
int tracking_turn_on(struct session *s, struct session *redirect, uint32_t options);
void tracking_disable(struct session *s);

/* Remembers the keys that the session has read with this command. */
void tracking_remember(struct session *s, const struct request *r);
/* A command of a session with CLIENT TRACKING has ended: CLIENT CACHING is for one command. */
void tracking_command_done(struct session *s, const struct command *c);
/* A key has changed. */
void tracking_changed(struct subscriptions *h, struct slice name);
/* All keys of a database were removed. */
void tracking_flushed(struct subscriptions *h);
/* Databases were exchanged: all that clients have cached may have changed. The keys that they read stay tracked. */
void tracking_swapped(struct subscriptions *h);
/* The command of a session has ended: sends the session its own changes, by the tracking that it has now. */
void tracking_tell_own(struct subscriptions *h, struct session *s);
/* Ends CLIENT TRACKING of a session; other sessions no longer redirect to it. */
void tracking_leave(struct session *s);
/* The id that invalidations are redirected to, for `global` as the operator knows it; 0: not redirected; -1: no
 * tracking. */
int64_t tracking_redirection(const struct session *s, bool global);
/* Letters of CLIENT LIST's flags, up to 3 and a NUL. */
void tracking_letters(const struct session *s, char letters[4]);
/* Frees the gathered changes of a prefix. */
void tracking_forget_changes(struct subscriptions *h, struct channel *prefix);
/* The subscriptions end: they have nothing to send at the end of the turn. */
void tracking_forget_all(struct subscriptions *h);
/* Sends the gathered invalidations by prefix at the end of the worker's turn. */
void tracking_turn_ended(struct environment *env);
