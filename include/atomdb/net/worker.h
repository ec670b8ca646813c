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

/* The state of a connection, as its last turn left it. */
enum client_state {
	CLIENT_UNAUTHENTICATED, /* has no tenant yet */
	CLIENT_AUTHENTICATED,   /* none of the states below */
	CLIENT_TRANSACTION,     /* between MULTI and EXEC */
	CLIENT_SUBSCRIBED,
	CLIENT_MONITOR,
	CLIENT_WAITING, /* its commands wait: for a pause to end, for the shard, for others to be served */
	CLIENT_CLOSING, /* until its replies have arrived */
	CLIENT_STATES
};
extern const char *const client_state_names[CLIENT_STATES];

/* Written by the worker's thread, read by any. */
struct worker_counters {
	counter clients;               /* connections here now */
	counter states[CLIENT_STATES]; /* how many of them are in each state */
	counter connections;           /* accepted here */
	counter rejected[REJECT_COUNT];
	counter moved; /* connections sent to another worker */
	counter input_bytes;
	counter output_bytes;
	counter protocol_errors;
	counter output_limit;    /* clients closed for not reading */
	counter idle_closed;     /* by auth_timeout and idle_timeout */
	counter turns;           /* of the loop */
	counter busy_ticks;      /* clock_ticks that they took, without the waits for events */
	counter messages;        /* taken from the inbox */
	counter longest_turn_ns; /* since the last worker_take_longest_turn */
	counter pongs;           /* answers to worker_ping */
};

/* Answers the fanouts that workers do not: see session/fanout.h. */
struct control_plane {
	/* Takes a fanout, and answers it with worker_answer_behind_all. Called from any worker's thread. */
	void (*ask)(void *context, struct fanout *c);
	/* Called for each client that is serialized for the next process, from the thread that serializes. */
	void (*serialized)(void *context);
	void *context;
};

/* State that all workers share. */
struct worker_shared {
	struct registry *registry;     /* set before worker_start */
	struct worker *const *workers; /* all, by number */
	unsigned worker_count;
	const struct command_set *command_set;
	const struct log_sink *events;
	_Atomic uint64_t clients; /* connections of all workers, against max_clients */
	_Atomic uint64_t next_client_id;
	_Atomic uint64_t monitor_bytes; /* of lines for the operator's MONITOR that are in an inbox */
	_Atomic bool deaf;              /* no further connections are accepted */
	struct control_plane control;
	struct clock_rate clock_start;
	int64_t start_ms;
	const char *run_id;
	const char *config_file;
};

/* Makes a worker, without its thread. `shared` and `listeners` are not owned and outlive it. Returns 0, -errno, or
 * ATOMDB_E_RANGE for too many listeners. */
int worker_new(struct worker **out, unsigned number, struct worker_shared *shared, const struct settings *settings,
	       struct listener *const *listeners, unsigned listener_count);
/* Gives the worker a shard that names it as its worker. The worker owns it. Call it before worker_start, at least once.
 * Returns 0 or -ENOMEM. */
int worker_add_shard(struct worker *w, struct shard *s);
/* Starts the thread. Returns 0 or -errno. */
int worker_start(struct worker *w);
/* Waits for the thread to end: see worker_stop and worker_freeze in messages.h. */
void worker_join(struct worker *w);
/* Closes all connections of a worker whose thread has ended. Their sockets stay open if others hold them too. */
void worker_close_clients(struct worker *w);
/* After worker_join of all workers. */
void worker_free(struct worker *w);

const struct worker_counters *worker_counters(const struct worker *w);
const struct environment *worker_environment(const struct worker *w); /* for its counters */
uint64_t worker_take_longest_turn(struct worker *w);
