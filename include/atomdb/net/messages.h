/* Messages to workers, from any thread. */
#pragma once

#include <stdbool.h>

struct listener;
struct settings;
struct tenant;
struct tenant_limits;
struct worker;
struct worker_shared;

/* Has the worker count up counters.pongs. */
void worker_ping(struct worker *w);
/* Has the worker look for work of its shards. */
void worker_wake(struct worker *w);
/* Asks the worker to finish: it accepts no more clients, answers what they have sent, sends the replies for at most
 * `timeout_ms`, and closes. */
void worker_stop(struct worker *w, unsigned timeout_ms);
/* Asks the worker to end between two commands and to leave all clients as they are: see handover.h. */
void worker_freeze(struct worker *w);
/* Accepts the connections that wait at a listener for the workers, and refuses later ones. Call it before the workers
 * are asked to end. */
void worker_end_listener(struct worker_shared *shared, struct listener *l);

/* These return 0 or -ENOMEM. */
int worker_post_settings(struct worker *w, const struct settings *settings);
int worker_post_limits(struct worker *w, struct tenant *t, const struct tenant_limits *limits);
int worker_post_opened_limits(struct worker *w, struct tenant *t, const struct tenant_limits *limits);
int worker_post_defaults(struct worker *w, const struct tenant_limits *limits);
int worker_post_removal(struct worker *w, struct tenant *t);
int worker_post_orphaned(struct worker *w, struct tenant *t);

#ifdef ATOMDB_TEST_HOOKS
/* Makes the worker's thread hang until the next call: a watchdog must notice. */
void worker_test_hang(struct worker *w, bool hang);
#endif
