/* Fanouts that the control plane answers: see session/fanout.h. */
#pragma once

struct fanout;
struct worker_shared;

/* Delivers the control plane's answer after every worker has handled its earlier messages. Any thread may call it. */
void worker_answer_behind_all(struct worker_shared *shared, struct fanout *c);
/* Frees a fanout that nothing will answer, after the threads have ended. */
void worker_discard_fanout(struct fanout *c);
