/* The slow path of dispatch: commands of sessions that are in MULTI, subscribed, paused, tracked or monitored. */
#pragma once

#include "atomdb/session/session.h"

/* Runs a command of a session with a flag of SESSION_ATTENTION. Parameters as dispatch_run, which has admitted the
 * command. */
enum outcome admission_run(struct session *s, struct request *r, uint64_t *ticks);
/* Handles a command that was refused with the error that is in the reply from `mark` on. Inside MULTI, EXEC will fail;
 * EXEC itself ends the transaction. */
void admission_refused(struct session *s, const struct request *r, size_t mark);
