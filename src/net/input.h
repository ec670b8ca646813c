/* Reads bytes of a client and runs its commands. */
#pragma once

#include <stdbool.h>

struct connection;
struct task;
struct window;

/* Reads once and runs every complete command. */
void input_ready(struct connection *c);
/* Returns whether the client's commands may be staged: it has no pending input, and is not about to be closed. */
bool input_usual(const struct connection *c);
/* Reads once and prepares the commands. Returns false if there is nothing to run. Any command may close this connection
 * before input_run. */
bool input_stage(struct connection *c, struct window *v);
/* Runs the commands that input_stage has prepared. */
void input_run(struct connection *c, struct window *v);
/* Reads once and drops the bytes of a finished connection. */
void input_discard(struct connection *c);
/* Answers the client whose task has ended: adds the reply to those before it, and has the commands behind it run after
 * those of the tenant's other clients that wait. Runs the command again if it has not replied. */
void input_answer(struct connection *c, struct task *k);
/* Runs the pending commands, if the unsent replies allow it. */
void input_resume(struct connection *c);
