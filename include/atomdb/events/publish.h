/* Messages to the subscribers of channels and patterns. */
#pragma once

#include "atomdb/events/subscriptions.h"

/* Whether the tenant has room for one more pattern, or has it already. */
bool publish_pattern_fits(const struct subscriptions *h, struct slice pattern);
/* Sends a message to the subscribers of a channel, and, for CHANNEL_GLOBAL, of the patterns that match its name. Takes
 * the steps of matching off `*work`. `*receivers` is their number. 0; ATOMDB_E_OOM; ATOMDB_E_RANGE if the patterns take
 * more steps than that. Nothing was sent for an error. `h` may be NULL: nobody is subscribed. */
int publish_message(struct subscriptions *h, enum channel_kind kind, struct slice channel, struct slice message,
		    uint64_t *work, uint64_t *receivers);
/* Sends a keyspace event to the subscribers of a channel and of the patterns that match it. A pattern that takes too
 * long to match is left out. */
void publish_event(struct subscriptions *h, struct slice channel, struct slice message);
