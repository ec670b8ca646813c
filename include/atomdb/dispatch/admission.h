/* Runs a command of a session that needs more than that: in MULTI, subscribed, paused, tracked, monitored. */
#pragma once

#include "atomdb/session/session.h"

/* Runs a command of a session that has a flag of SESSION_ATTENTION. Parameters as dispatch_run, which has admitted it.
 */
enum outcome admission_run(struct session *s, struct request *r, uint64_t *ticks);
/* A command was refused, and its error was replied since `mark`. MULTI remembers that; EXEC ends the transaction. */
void admission_refused(struct session *s, const struct request *r, size_t mark);
