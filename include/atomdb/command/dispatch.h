/* From a parsed command to its handler: look it up, check it, run it, count it.
 *
 * Commands that came together are prepared ahead of the first that runs. Each step of that starts the memory loads
 * that the next one will need; with other commands' steps between them, their latencies overlap. */
#pragma once

#include "atomdb/command/session.h"

/* Finds the command of `r` (argv and argc set), hashes its first key, and starts to load the key's bucket. Changes
 * nothing but `r`. */
void dispatch_prepare(struct session *s, struct request *r);
/* Optional, some time after it and before any command runs: starts to load the entry. */
void dispatch_fetch_entry(const struct session *s, struct request *r);
/* Optional, some time after that and before any command runs: starts to load the entry's neighbours in the LRU list. */
void dispatch_fetch_links(const struct session *s, const struct request *r);

/* Runs one prepared request: writes its reply to s->reply, counts it, and returns the handler's outcome. Checks in
 * Redis's order: unknown command, arity, NOAUTH, then the tenant's rate. `*ticks` is clock_ticks() at the end of the
 * previous command (or the start of the batch) and is set to that of this one. */
enum outcome dispatch_run(struct session *s, struct request *request, uint64_t *ticks);
