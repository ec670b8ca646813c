/* MONITOR: clients that are told of every command, of their tenant's or, the operator's, of all.
 *
 * Sessions are looked at before a command only where somebody is told: see SESSION_ATTENTION. The operator's lines are
 * gathered by each worker and sent to the operator's at the end of the turn. */
#pragma once

#include "atomdb/session/session.h"

/* command_run for a session that may be looked at: tells the monitors of the command. */
enum outcome monitor_run(struct session *s, const struct request *r, uint64_t *ticks);
/* What a client that monitors may not do. */
bool monitor_refuses(const struct command *c);
/* The session, which has a subscriber, leaves its tenant. */
void monitor_leave(struct session *s);
/* Goes on with the MONITOR that the session had in the process before, if any; true for the operator's. */
bool monitor_resume(struct session *s);
/* The sessions of `env` tell `worker` of their commands, for one watcher more or less. */
void monitor_count_feed(struct environment *env, unsigned worker, int64_t change);
/* Sends lines that another worker gathered to the operator's monitors here. `lost`: some lines are missing, and the
 * monitors are closed. */
void monitor_take_lines(struct environment *env, struct slice lines, bool lost);
