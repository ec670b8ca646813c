/* Messages to the subscribers of channels and patterns. */
#pragma once

#include "atomdb/events/subscriptions.h"

/* Sends a keyspace event to the subscribers of a channel and of the patterns that match it. A pattern that takes too
 * long to match is left out. */
void publish_event(struct subscriptions *h, struct slice channel, struct slice message);
