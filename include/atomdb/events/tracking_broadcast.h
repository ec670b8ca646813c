/* CLIENT TRACKING BCAST: collects the changed keys of a prefix, and sends them at the end of the worker's turn. */
#pragma once

#include "atomdb/events/subscriptions.h"

/* Adds a changed key to the prefixes that it begins with. */
void tracking_broadcast_changed(struct subscriptions *h, struct slice name);
/* Sends the collected invalidations of a tenant, before one of its commands is suspended for several turns. */
void tracking_send_collected(struct tenant *t);
/* Sends the collected invalidations of all tenants. Those of a tenant with a suspended command wait for its end. */
void tracking_turn_ended(struct environment *env);
