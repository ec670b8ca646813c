/* MONITOR: clients that are sent every command: of their tenant, or, for the operator, of all tenants.
 *
 * A command is looked at only if its tenant has a monitor: see SESSION_ATTENTION. Each worker gathers the lines for the
 * operator, and sends them to the operator's worker at the end of the turn. */
#pragma once

#include "atomdb/session/fanout.h"
#include "atomdb/session/session.h"

/* Runs a command as command_run, and sends it to the monitors of its tenant. */
enum outcome monitor_run(struct session *s, const struct request *r, uint64_t *ticks);
/* The session, which has a subscriber, is a monitor from now on. */
void monitor_begin(struct session *s);

/* Module hooks: the tenant of the session may be monitored by the operator; the session leaves its tenant. */
void monitor_attach(struct session *s);
void monitor_leave(struct session *s);
/* The session was a monitor in the process before. 0, ATOMDB_E_FORMAT or ATOMDB_E_OOM. */
int monitor_deserialize(struct session *s);
/* Module hook: goes on with that MONITOR. True: it is the operator's, and monitor_count_feed has to follow for every
 * worker. */
bool monitor_link(struct session *s);

/* The sessions of `env` send their commands to `worker`, for `change` monitors of the operator more. */
void monitor_count_feed(struct environment *env, unsigned worker, int64_t change);
/* The same, as a part of a fanout: the number is the change. */
void monitor_count_on_worker(struct environment *env, struct fanout *c, struct fanout_answer *answer);
/* One monitor of the operator less, on all workers. */
void monitor_stop_feed(struct environment *env);
/* Sends lines that another worker gathered to the operator's monitors here. `lost`: some lines are missing, and the
 * monitors are closed. */
void monitor_take_lines(struct environment *env, struct slice lines, bool lost);
