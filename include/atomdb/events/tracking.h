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
