/* CLIENT TRACKING BCAST: collects the changed keys of a prefix, and sends them at the end of the worker's turn. */
#pragma once

#include "atomdb/events/subscriptions.h"

/* Adds a changed key to the prefixes that it begins with. */
void tracking_broadcast_changed(struct subscriptions *h, struct slice name);
/* Sends the collected invalidations of all tenants. */
void tracking_turn_ended(struct environment *env);
