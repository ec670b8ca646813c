/* MONITOR: clients that are sent every command: of their tenant, or, for the operator, of all tenants.
 *
 * A command is looked at only if its tenant has a monitor: see SESSION_ATTENTION. Each worker gathers the lines for the
 * operator, and sends them to the operator's worker at the end of the turn. */
#pragma once

#include "atomdb/session/fanout.h"
#include "atomdb/session/session.h"

/* Runs a command like command_run(), and sends it to the monitors of its tenant. */
enum outcome monitor_run(struct session *s, const struct request *r, uint64_t *ticks);
/* Makes the session, which has a subscriber, a monitor. */
void monitor_begin(struct session *s);

/* Module hooks: monitor_attach() updates the feed of the tenant to the operator; monitor_leave() ends a MONITOR. */
void monitor_attach(struct session *s);
void monitor_leave(struct session *s);
/* Restores a MONITOR of the previous process. Returns 0, ATOMDB_E_FORMAT or ATOMDB_E_OOM. */
int monitor_deserialize(struct session *s);
/* Module hook: continues this MONITOR. Returns true if it is the operator's: then the caller calls monitor_count_feed()
 * for every worker. */
bool monitor_link(struct session *s);

/* Changes the number of the operator's monitors on `worker` by `change`. The sessions of `env` send their commands
 * there. */
void monitor_count_feed(struct environment *env, unsigned worker, int64_t change);
/* The same as part of a fanout, whose number is the change. */
void monitor_count_on_worker(struct environment *env, struct fanout *c, struct fanout_answer *answer);
/* Removes one monitor of the operator on all workers. */
void monitor_stop_feed(struct environment *env);
/* Sends lines that another worker gathered to the operator's monitors here. If lines were `lost`, closes the
 * monitors. */
void monitor_take_lines(struct environment *env, struct slice lines, bool lost);
