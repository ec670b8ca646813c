/* Runs the commands that may take long: each on a fiber, all of them together for one slice of time in a turn. */
#pragma once

#include <stdint.h>

#include "atomdb/session/session.h"

struct tenant;
struct worker;

/* session_host.run_long: begins a command. It runs at once if no other one is suspended and the turn has time left. */
enum outcome schedule_run_long(struct session *s, struct request *r, uint64_t *ticks);
/* Sends the messages of a tenant that events_next_unsent() has returned, on a fiber if this may take long. Charges the
 * CPU time to the tenant. */
void schedule_send_unsent(struct worker *w, struct tenant *t);
/* Sets the time in a turn for all commands on fibers, in clock_ticks(). */
void schedule_set_slice(struct worker *w, double ticks);
/* Lets suspended commands go on as long as the slice of this turn lasts: the command of the tenant with the least
 * virtual time first (share.h). */
void schedule_run(struct worker *w);
/* Before schedule_abandon(): runs the commands on that the next process must not run from their begin, until they end
 * or recovery takes their changes back. */
void schedule_finish(struct worker *w);
/* Abandons all suspended commands after the last turn: each becomes pending input again. The writes of a command stay
 * in the undo log, and the next process rolls them back. */
void schedule_abandon(struct worker *w);
