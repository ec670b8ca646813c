/* CLIENT TRACKING BCAST: collects the changed keys of a prefix, and sends them at the end of the worker's turn. */
#pragma once

#include "atomdb/events/subscriptions.h"

/* Adds a changed key to the prefixes that it begins with. */
void tracking_broadcast_changed(struct subscriptions *h, struct slice name);
/* Sends the collected invalidations, with check points. */
void tracking_send_collected(struct subscriptions *h);
/* Sends the collected invalidations, with check points, if they are too many to wait for the end of the turn. */
void tracking_send_many(struct subscriptions *h);
/* Returns whether tracking_send_collected() may take long. */
bool tracking_send_is_long(const struct subscriptions *h);
