/* Messages to the subscribers of channels and patterns. */
#pragma once

#include "atomdb/events/subscriptions.h"

/* Returns true if the tenant has room for one more pattern, or already has this one. */
bool publish_pattern_fits(const struct subscriptions *h, struct slice pattern);
/* Sends a message to the subscribers of a channel and, for CHANNEL_GLOBAL, of matching patterns. Subtracts the steps of
 * matching from `*work`. Sets `*receivers` to the number of receivers. Returns 0, ATOMDB_E_OOM, or ATOMDB_E_RANGE if
 * matching takes too many steps. On an error nothing was sent. If `h` is NULL, there are no subscribers. */
int publish_message(struct subscriptions *h, enum channel_kind kind, struct slice channel, struct slice message,
		    uint64_t *work, uint64_t *receivers);
/* Sends a keyspace event to the subscribers of a channel and of matching patterns. Skips patterns that take too
 * long. */
void publish_event(struct subscriptions *h, struct slice channel, struct slice message);
