/* Fanouts that the control plane answers: see session/fanout.h. */
#pragma once

struct fanout;
struct worker_shared;

/* Gives the control plane's answer once every worker has handled its earlier messages. From any thread. */
void worker_answer_behind_all(struct worker_shared *shared, struct fanout *c);
/* Ends a fanout that nothing will answer, after the threads have ended. */
void worker_discard_fanout(struct fanout *c);
