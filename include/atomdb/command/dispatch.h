/* From a parsed command to its handler: look it up, check it, run it, count it.
 *
 * For a batch of pipelined commands the worker first prepares all of them, which starts the memory loads that they will
 * need, and then runs them in order: the latencies overlap. */
#pragma once

#include "atomdb/command/session.h"

/* Finds the commands of `requests` (argv and argc set), hashes their first keys and prefetches. Changes nothing. */
void dispatch_prepare(struct session *s, struct request *requests, unsigned count);

/* Runs one prepared request: writes its reply to s->reply, counts it, and returns the handler's outcome. Checks in
 * Redis's order: unknown command, arity, NOAUTH, then the tenant's rate. `*ticks` is clock_ticks() at the end of the
 * previous command (or the start of the batch) and is set to that of this one. */
enum outcome dispatch_run(struct session *s, struct request *request, uint64_t *ticks);
