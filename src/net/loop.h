/* The loop of a worker. */
#pragma once

struct worker;

/* Runs turns until the worker is asked to stop or to freeze. If it is to stop, serves what every client has sent until
 * all are answered, or the time is over. */
void loop_run(struct worker *w);
/* Sets the worker's clocks, and those of its shards. */
void loop_read_clocks(struct worker *w);
