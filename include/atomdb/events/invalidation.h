/* Invalidation messages of CLIENT TRACKING.
 *
 * They are pushes in the protocol of the receiver. Invalidations for the session whose command makes the change are
 * deferred until the command ends. */
#pragma once

#include "atomdb/events/subscriptions.h"

/* Most bytes of a message besides the name. */
#define INVALIDATION_NAME_ROOM 64

enum tracking_option {
	TRACKING_BCAST = 1 << 0,
	TRACKING_OPTIN = 1 << 1,
	TRACKING_OPTOUT = 1 << 2,
	TRACKING_NOLOOP = 1 << 3,
	TRACKING_CACHING = 1 << 4, /* CLIENT CACHING: the next command is the exception */
	TRACKING_BROKEN = 1 << 5,  /* the target session of the redirection has ended */
};

struct tracking {
	struct session *session;
	struct list link; /* linked in subscriptions->tracking */
	uint32_t options;
	int64_t redirect_id;       /* id of the target session; 0: none */
	struct session *redirect;  /* NULL: no redirection, or its target has ended */
	bool unlinked;             /* restored from the previous process; `redirect` is not resolved yet */
	struct list redirect_link; /* linked in redirect->subscriber->redirected */
};

/* Make the body of the current message: one name, or null, which means that all keys may have changed. The first
 * returns false if there is no room for the name: then send null. */
bool invalidation_write_name(struct subscriptions *h, struct slice name);
void invalidation_write_null(struct subscriptions *h, const struct session *s);
/* Sends the body to the session that receives the invalidations of `x`. Defers it if the session of `x` runs the
 * command that makes the change. */
void invalidation_send(struct subscriptions *h, struct tracking *x);
/* Sends the deferred invalidations after a command of `s`, by its present tracking. */
void invalidation_send_own(struct subscriptions *h, struct session *s);
