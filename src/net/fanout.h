/* Fanouts and lines for the operator's MONITOR, as messages between workers. */
#pragma once

#include "atomdb/net/fanout.h"

struct environment;
struct fanout;
struct message;
struct worker;

/* Allocates the messages of a fanout. Returns 0 or -ENOMEM. */
int worker_prepare_fanout(struct environment *env, struct fanout *c);
/* Sends the fanout to all other workers, or to the control plane. */
void worker_send_fanout(struct environment *env, struct fanout *c);
/* Visits all sessions of the worker for a fanout, in slices, and then answers it. */
void worker_visit(struct environment *env, struct fanout *c);
/* Continues the visits for a part of the turn. If the process is about to end, finishes them. */
void fanout_visit(struct worker *w);
/* Sends the lines of this turn to the operator's worker. */
void worker_send_monitor_feed(struct worker *w);
/* Handles and frees a message of these kinds. */
void worker_take_fanout(struct worker *w, struct message *m);
/* Frees a message that no worker will take. */
void worker_drop_fanout(struct message *m);
/* Detaches a fanout from the inbox of its message, after the threads have ended. Its session still has it, and frees
 * it. */
void worker_end_fanout(struct worker *w, struct message *m);
