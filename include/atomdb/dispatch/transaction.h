/* MULTI, EXEC and WATCH. */
#pragma once

#include "atomdb/events/subscriptions.h"
#include "atomdb/util/serialize.h"

/* Queues a command for EXEC and replies QUEUED. */
void transaction_queue(struct session *s, const struct request *r);
/* Whether a queued command may write. */
bool transaction_writes(const struct session *s);
/* Number of queued commands; -1 without MULTI. */
int64_t transaction_length(const struct session *s);
/* Bytes that the transaction is charged. */
uint64_t transaction_memory(const struct session *s);
/* Writes the queued commands for the next process, as a list of lists of arguments. */
void transaction_serialize(const struct session *s, struct serializer *out, const char *name);
/* Reads that list: 0, ATOMDB_E_FORMAT or ATOMDB_E_OOM. */
int transaction_deserialize(struct session *s, struct slice list);
/* Ends MULTI and WATCH. */
void transaction_end(struct session *s);
