/* MONITOR: sends every command of a tenant to its monitors, and the commands of all tenants to the operator's.
 *
 * A command costs time only if its tenant has a monitor: see SESSION_ATTENTION. Each worker collects the lines for the
 * operator, and sends them to the operator's worker at the end of the turn. */
#pragma once

#include "atomdb/session/fanout.h"
#include "atomdb/session/session.h"

/* Runs a command like command_run(), and sends it to the monitors of its tenant. */
enum outcome monitor_run(struct session *s, const struct request *r, uint64_t *ticks);
/* Makes the session a monitor. It must have a subscriber. */
void monitor_begin(struct session *s);

/* Module hooks: monitor_attach() starts the feed of the tenant to the operator; monitor_leave() ends the session's
 * MONITOR. */
void monitor_attach(struct session *s);
void monitor_leave(struct session *s);
/* Restores a MONITOR of the previous process. Returns 0, ATOMDB_E_FORMAT or ATOMDB_E_OOM. */
int monitor_deserialize(struct session *s);
/* Module hook: continues this MONITOR. Returns true if it is the operator's: then call monitor_count_feed() for every
 * worker. */
bool monitor_link(struct session *s);

/* Adds `change` to the number of the operator's monitors that the sessions of `env` send their commands to. The
 * monitors are on `worker`. */
void monitor_count_feed(struct environment *env, unsigned worker, int64_t change);
/* The same as part of a fanout, whose number is the change. */
void monitor_count_on_worker(struct environment *env, struct fanout *c, struct fanout_answer *answer);
/* Removes one monitor of the operator on all workers. */
void monitor_stop_feed(struct environment *env);
/* Sends lines of another worker to the operator's monitors here. If lines were `lost`, closes the monitors. */
void monitor_take_lines(struct environment *env, struct slice lines, bool lost);
