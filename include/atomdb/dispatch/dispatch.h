/* From a parsed command to its handler: look it up, check it, run it, count it.
 *
 * Commands that came together are prepared ahead of the first that runs. Each step of that starts the memory loads
 * that the next one will need; with other commands' steps between them, their latencies overlap. */
#pragma once

#include "atomdb/session/session.h"

/* Prepares `count` requests (argv and argc set), before any of them runs: finds their commands, hashes their first
 * keys, and starts to load the keys' buckets. Changes nothing but the requests. */
void dispatch_prepare(struct session *s, struct request *requests, unsigned count);
/* Optional, with time between: start to load the entries of the first of what was prepared, then what will be touched
 * with them, the entries' neighbours in the LRU list. Then call dispatch_fetch_ahead before each request `r` runs, the
 * first of `left` in a row: it does the same for requests some places behind, so that their misses pass while others
 * run. */
void dispatch_fetch_entries(const struct session *s, struct request *requests, unsigned count);
void dispatch_fetch_links(const struct session *s, const struct request *requests, unsigned count);
void dispatch_fetch_ahead(const struct session *s, struct request *r, unsigned left);

/* Runs one prepared request: writes its reply to s->reply, counts it, and returns the handler's outcome. Checks in
 * Redis's order: unknown command, arity, NOAUTH, then the tenant's rate. `*ticks` is clock_ticks() at the end of the
 * previous command (or the start of the batch) and is set to that of this one. */
enum outcome dispatch_run(struct session *s, struct request *request, uint64_t *ticks);
/* Puts an error in place of the reply of the command that has just run, for which there was no room. */
void dispatch_drop_reply(struct session *s);
/* Answers Redis's OOM error in place of a command that takes more memory than its client may hold. A transaction that
 * it would be part of fails. */
void dispatch_refuse(struct session *s);
