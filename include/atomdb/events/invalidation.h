/* Invalidation messages of CLIENT TRACKING.
 *
 * They are sent as pushes in the protocol of the receiver. Invalidations for the session whose command makes the change
 * are held until the command ends. */
#pragma once

#include "atomdb/events/subscriptions.h"

/* Most bytes around a name in a message. */
#define INVALIDATION_NAME_ROOM 64

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

/* Make the body of the message at hand: one name, or null: all that the receiver knows may have changed. False: there
 * is no room for the name, send null. */
bool invalidation_write_name(struct subscriptions *h, struct slice name);
void invalidation_write_null(struct subscriptions *h, const struct session *s);
/* Sends the body to the session that gets the invalidations of `x`; later, if the session of `x` runs the command that
 * makes the change. */
void invalidation_send(struct subscriptions *h, struct tracking *x);
/* The command of `s` has ended: sends the held invalidations, by the tracking that it has now. */
void invalidation_send_own(struct subscriptions *h, struct session *s);
