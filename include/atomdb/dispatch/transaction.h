/* MULTI and EXEC: queues commands and runs them at once. */
#pragma once

#include "atomdb/events/subscriptions.h"
#include "atomdb/util/serialize.h"

/* Begins a transaction. Returns 0 or ATOMDB_E_OOM. */
int transaction_begin(struct session *s);
/* Queues a command. Returns 0, or ATOMDB_E_OOM: then EXEC will fail. */
int transaction_queue(struct session *s, const struct request *r);
/* Returns whether expired keys must be removed first, because a queued command may read a whole database. */
bool transaction_must_wait(const struct session *s);
/* Runs the queued commands, which write their replies, and ends the transaction. EXEC has begun the array of
 * transaction_length() replies. */
void transaction_run(struct session *s);
/* Module hook: ends the transaction. Watched keys stay watched. */
void transaction_end(struct session *s);
/* Module hook: frees up to `units` queued commands of a session that leaves. Returns whether there are more. */
bool transaction_shed(struct session *s, unsigned units);
/* Returns whether a queued command may write. */
bool transaction_writes(const struct session *s);
/* Returns whether all queued commands only read keys. */
bool transaction_only_reads(const struct session *s);
/* Returns whether the running EXEC may begin again after its changes of keys are undone: it has run no command that may
 * change a session or the server. */
bool transaction_is_repeatable(const struct session *s);
/* Whether a queued command may take long. */
bool transaction_is_long(const struct session *s);
/* Returns the number of queued commands; -1 outside MULTI. */
int64_t transaction_length(const struct session *s);
/* Returns the bytes that the transaction is charged. */
uint64_t transaction_memory(const struct session *s);
/* Module hooks: write the queued commands for the next process, as a list of lists of arguments, and read that list.
 * Reading returns 0, ATOMDB_E_FORMAT or ATOMDB_E_OOM. */
void transaction_serialize(const struct session *s, struct serializer *out, const char *name);
int transaction_deserialize(struct session *s, struct slice list);
