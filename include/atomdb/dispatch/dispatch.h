/* Looks up, checks, runs and counts parsed commands.
 *
 * Commands that arrive together are prepared before the first of them runs. Each step prefetches the memory that the
 * next step needs. Each step is done for all commands, so that their cache misses overlap. */
#pragma once

#include "atomdb/session/session.h"

/* Prepares `count` requests (argv and argc set) before any of them runs: looks up their commands, hashes their first
 * keys, and prefetches the keys' buckets. Changes nothing except the requests. */
void dispatch_prepare(struct session *s, struct request *requests, unsigned count);
/* Optional. The first calls prefetch the entries of the first prepared requests, and then their neighbours in the LRU
 * list; let time pass between them. Then call dispatch_fetch_ahead before each request `r` runs; it is the first of
 * `left` adjacent requests. It does the same for later requests, so that their cache misses overlap with the commands
 * that run. */
void dispatch_fetch_entries(const struct session *s, struct request *requests, unsigned count);
void dispatch_fetch_links(const struct session *s, const struct request *requests, unsigned count);
void dispatch_fetch_ahead(const struct session *s, struct request *r, unsigned left);

/* Runs one prepared request: writes its reply to s->reply, counts it, and returns the handler's outcome. Checks in
 * Redis's order: unknown command, arity, NOAUTH, then the tenant's rate. `*ticks` is clock_ticks() at the end of the
 * previous command (or the start of the batch); it is set to the end of this command. */
enum outcome dispatch_run(struct session *s, struct request *request, uint64_t *ticks);
/* Runs a request that dispatch_run() has admitted: the part that session_host.run_long runs on a fiber. */
enum outcome dispatch_run_admitted(struct session *s, struct request *request, uint64_t *ticks);
/* Replaces the reply of the command that has just run, for which there was no room, with an error. */
void dispatch_drop_reply(struct session *s);
/* The same for a command that busy_limit has ended. */
void dispatch_end_reader(struct session *s);
/* Replies Redis's OOM error to a command that needs more memory than its client may hold. Inside MULTI, EXEC will fail.
 */
void dispatch_refuse(struct session *s);
