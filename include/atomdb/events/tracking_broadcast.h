/* CLIENT TRACKING BCAST: the changed keys of a prefix are gathered and sent at the end of the worker's turn. */
#pragma once

#include "atomdb/events/subscriptions.h"

/* A key has changed: gathers it for the prefixes that it begins with. */
void tracking_broadcast_changed(struct subscriptions *h, struct slice name);
/* Sends the gathered invalidations of all tenants. */
void tracking_turn_ended(struct environment *env);
