/* The loop of a worker. */
#pragma once

struct worker;

/* Runs turns until the worker is asked to stop or to freeze. On a stop, runs the received commands of every client
 * until all have their replies, or the time is over. */
void loop_run(struct worker *w);
/* One turn: waits for at most `wait_ms` (-1: without end) and serves what is ready. */
void loop_turn(struct worker *w, int wait_ms);
/* Has the shards report for which tenant they work, so that the tenant is charged for the time. */
void loop_account(struct worker *w);
/* Sets the clocks of the worker and of its shards. */
void loop_read_clocks(struct worker *w);
