/* Messages to workers, from any thread. */
#pragma once

#include <stdbool.h>

struct listener;
struct settings;
struct tenant;
struct tenant_limits;
struct worker;
struct worker_shared;

/* Makes the worker increment counters.pongs. */
void worker_ping(struct worker *w);
/* Makes the worker check its shards for work. */
void worker_wake(struct worker *w);
/* Asks the worker to stop: it accepts no more clients, runs all received commands, sends the replies for at most
 * `timeout_ms` milliseconds, and closes the connections. */
void worker_stop(struct worker *w, unsigned timeout_ms);
/* Asks the worker to end between two commands, and to leave all clients unchanged: see handover.h. */
void worker_freeze(struct worker *w);
/* Accepts the connections that wait at a listener, for the workers, and refuses later ones. Call it before the workers
 * stop. */
void worker_end_listener(struct worker_shared *shared, struct listener *l);

/* These functions return 0 or -ENOMEM. */
int worker_post_settings(struct worker *w, const struct settings *settings);
int worker_post_limits(struct worker *w, struct tenant *t, const struct tenant_limits *limits);
int worker_post_opened_limits(struct worker *w, struct tenant *t, const struct tenant_limits *limits);
int worker_post_defaults(struct worker *w, const struct tenant_limits *limits);
int worker_post_removal(struct worker *w, struct tenant *t);
int worker_post_orphaned(struct worker *w, struct tenant *t);

#ifdef ATOMDB_TEST_HOOKS
/* Makes the worker's thread hang until the next call, to test the watchdog. */
void worker_test_hang(struct worker *w, bool hang);
#endif
