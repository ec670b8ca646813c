/* A worker: one thread, one epoll loop, its shards, and every connection of their tenants. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "atomdb/net/listener.h"
#include "atomdb/session/fanout.h"
#include "atomdb/session/session.h"
#include "atomdb/store/registry.h"
#include "atomdb/store/shard.h"
#include "atomdb/util/counter.h"
#include "atomdb/util/log.h"

struct worker;

enum reject { REJECT_MAX_CLIENTS, REJECT_FILES, REJECT_MEMORY, REJECT_COUNT };

/* What a connection is at, as its last turn left it. */
enum client_state {
	CLIENT_UNAUTHENTICATED, /* has no tenant yet */
	CLIENT_AUTHENTICATED,   /* none of those below */
	CLIENT_TRANSACTION,     /* between MULTI and EXEC */
	CLIENT_SUBSCRIBED,
	CLIENT_MONITOR,
	CLIENT_WAITING, /* its commands wait: for a pause to end, for the shard, for others to be served */
	CLIENT_CLOSING, /* until its replies have arrived */
	CLIENT_STATES
};
extern const char *const client_state_names[CLIENT_STATES];

/* Written by the worker's thread, read by anybody. */
struct worker_counters {
	counter clients;               /* connections here now */
	counter states[CLIENT_STATES]; /* how many of them are at what */
	counter connections;           /* accepted here */
	counter rejected[REJECT_COUNT];
	counter moved; /* connections sent to another worker */
	counter input_bytes;
	counter output_bytes;
	counter protocol_errors;
	counter output_limit;    /* clients closed for not reading */
	counter idle_closed;     /* by auth_timeout and idle_timeout */
	counter turns;           /* of the loop */
	counter busy_ticks;      /* clock_ticks that they took, waiting for events left out */
	counter messages;        /* taken from the inbox */
	counter longest_turn_ns; /* since the last worker_take_longest_turn */
	counter pongs;           /* answers to worker_ping */
};

/* Who answers the calls that workers do not: see session/fanout.h. */
struct control_plane {
	/* Takes a call, and has it answered with worker_answer_behind_all; from any worker's thread. */
	void (*ask)(void *context, struct fanout *c);
	/* One more client was serialized for the next process; from the thread that serializes. */
	void (*serialized)(void *context);
	void *context;
};

/* What all workers share. */
struct worker_shared {
	struct registry *registry;     /* set before worker_start */
	struct worker *const *workers; /* all, by number */
	unsigned worker_count;
	const struct log_sink *events;
	_Atomic uint64_t clients; /* connections of all workers, against max_clients */
	_Atomic uint64_t next_client_id;
	_Atomic uint64_t monitor_bytes; /* of lines for the operator's MONITOR on their way */
	_Atomic bool deaf;              /* no further connections are accepted */
	struct control_plane control;
	struct clock_rate clock_start;
	int64_t start_ms;
	const char *run_id;
	const char *config_file;
};

/* Makes a worker; no thread yet. `shared` and `listeners` are not owned and outlive it. */
int worker_new(struct worker **out, unsigned number, struct worker_shared *shared, const struct settings *settings,
	       struct listener *const *listeners, unsigned listener_count);
/* Gives it a shard that names it as its worker, and frees it with the worker. Before worker_start, once at least.
 * 0 or -ENOMEM. */
int worker_add_shard(struct worker *w, struct shard *s);
/* Starts the thread. 0 or -errno. */
int worker_start(struct worker *w);
/* Accepts the connections that wait at a listener for the workers, and refuses later ones. From any thread, before the
 * workers are asked to end. */
void worker_end_listener(struct worker_shared *shared, struct listener *l);
/* Asks it to finish: no more accepting, answer what was read, send what was answered for at most `timeout_ms`, close.
 * From any thread. */
void worker_stop(struct worker *w, unsigned timeout_ms);
/* Asks it to end between two commands and to leave all clients as they are: see handover.h. From any thread. */
void worker_freeze(struct worker *w);
/* Waits for the thread to end. */
void worker_join(struct worker *w);
/* After worker_join of all workers. */
void worker_free(struct worker *w);

/* Clients that have a tenant, of all workers. */
uint64_t worker_authenticated(const struct worker_shared *shared);
/* Places of `most` (0: no limit) that are kept for the operator and for clients that have yet to authenticate. */
uint64_t worker_kept_places(uint32_t most);

const struct worker_counters *worker_counters(const struct worker *w);
const struct environment *worker_environment(const struct worker *w); /* for its counters */
uint64_t worker_take_longest_turn(struct worker *w);

/* The calls below post to the worker's inbox, from any thread. They return 0 or -ENOMEM. */
void worker_ping(struct worker *w); /* counters.pongs rises when it is handled */
void worker_wake(struct worker *w); /* it looks for work of its shards */
int worker_post_settings(struct worker *w, const struct settings *settings);
int worker_post_limits(struct worker *w, struct tenant *t, const struct tenant_limits *limits);
int worker_post_defaults(struct worker *w, const struct tenant_limits *limits);
int worker_post_removal(struct worker *w, struct tenant *t);
int worker_post_orphaned(struct worker *w, struct tenant *t);

/* Gives the control plane's answer to a call once every worker has handled what it was sent before. */
void worker_answer_behind_all(struct worker_shared *shared, struct fanout *c);
/* Ends a call that nobody will answer: the threads have ended. */
void worker_discard_fanout(struct fanout *c);

#ifdef ATOMDB_TEST_HOOKS
/* Makes the worker's thread hang until it is told otherwise: what a watchdog must notice. From any thread. */
void worker_test_hang(struct worker *w, bool hang);
#endif
