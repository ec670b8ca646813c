/* A worker: a thread with an epoll loop, its shards, and all connections of their tenants. */
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

/* The state of a connection after its last turn. */
enum client_state {
	CLIENT_UNAUTHENTICATED, /* has no tenant yet */
	CLIENT_AUTHENTICATED,   /* in none of the states below */
	CLIENT_TRANSACTION,     /* between MULTI and EXEC */
	CLIENT_SUBSCRIBED,
	CLIENT_MONITOR,
	CLIENT_WAITING, /* its commands wait: for a pause to end, for the shard, or for other clients */
	CLIENT_CLOSING, /* closed after its replies have arrived */
	CLIENT_STATES
};
extern const char *const client_state_names[CLIENT_STATES];

/* Only the worker's thread writes them; any thread may read them. */
struct worker_counters {
	counter clients;               /* present connections */
	counter states[CLIENT_STATES]; /* number of connections in each state */
	counter connections;           /* connections accepted */
	counter rejected[REJECT_COUNT];
	counter moved; /* connections sent to other workers */
	counter input_bytes;
	counter output_bytes;
	counter protocol_errors;
	counter output_limit;    /* clients closed because they do not read */
	counter idle_closed;     /* clients closed by auth_timeout and idle_timeout */
	counter turns;           /* turns of the loop */
	counter busy_ticks;      /* their clock_ticks, without the waits for events */
	counter messages;        /* messages taken from the inbox */
	counter longest_turn_ns; /* since the last worker_take_longest_turn */
	counter stalls;          /* see src/net/stall.h */
	counter pongs;           /* answers to worker_ping */
};

/* Answers the fanouts for the control plane: see session/fanout.h. */
struct control_plane {
	/* Takes a fanout, and later answers it with worker_answer_behind_all. Any worker's thread calls it. */
	void (*ask)(void *context, struct fanout *c);
	/* Called for each client that is serialized for the next process, on the serializing thread. */
	void (*serialized)(void *context);
	void *context;
};

/* State that all workers share. */
struct worker_shared {
	struct registry *registry;     /* set before worker_start */
	struct worker *const *workers; /* all workers by number */
	unsigned worker_count;
	const struct command_set *command_set;
	const struct log_sink *events;
	_Atomic uint64_t clients; /* connections of all workers, for max_clients */
	_Atomic uint64_t next_client_id;
	_Atomic uint64_t monitor_bytes; /* bytes of lines for the operator's MONITOR in inboxes */
	_Atomic uint32_t visits;        /* number of fanouts so far */
	_Atomic bool deaf;              /* no further connections are accepted */
	struct control_plane control;
	struct clock_rate clock_start;
	int64_t start_ms;
	const char *run_id;
	const char *config_file;
};

/* Makes a worker, without its thread. `shared` and `listeners` are not owned and outlive the worker. Returns 0, -errno,
 * or ATOMDB_E_RANGE for too many listeners. */
int worker_new(struct worker **out, unsigned number, struct worker_shared *shared, const struct settings *settings,
	       struct listener *const *listeners, unsigned listener_count);
/* Adds a shard, which names the worker as its owner; the worker takes it over. Call it at least once, before
 * worker_start. Returns 0 or -ENOMEM. */
int worker_add_shard(struct worker *w, struct shard *s);
/* Starts the thread. Returns 0 or -errno. */
int worker_start(struct worker *w);
/* Waits for the thread to end: see worker_stop and worker_freeze in messages.h. */
void worker_join(struct worker *w);
/* Closes all connections of a worker whose thread has ended. Their sockets stay open if others hold them too. */
void worker_close_clients(struct worker *w);
/* Frees the worker. Call it after worker_join of all workers. */
void worker_free(struct worker *w);

const struct worker_counters *worker_counters(const struct worker *w);
const struct environment *worker_environment(const struct worker *w); /* the shard's counters are read through it */
uint64_t worker_take_longest_turn(struct worker *w);
