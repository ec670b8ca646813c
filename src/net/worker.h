/* The members of a worker, for the files of this floor. */
#pragma once

#include <pthread.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "atomdb/dispatch/dispatch.h"
#include "atomdb/net/worker.h"
#include "atomdb/resp/reader.h"
#include "atomdb/store/work_account.h"
#include "atomdb/util/fiber.h"
#include "net/cpu_time.h"
#include "net/inbox.h"

/* Most commands of a client that are parsed before the first of them runs. */
#define WORKER_WINDOW 64
/* Most clients whose commands are read and prepared before the first client's commands run. */
#define WORKER_STAGED 8
/* Argument slots for these commands: four each, enough for most commands. */
#define WORKER_SLOTS ((size_t)4 * WORKER_WINDOW)
/* Most clients whose replies are sent together. */
#define WORKER_REPLIES 32
#define WORKER_EVENTS  256
/* Most bytes that one read(2) takes, and so the most bytes of a connection that one turn runs. */
#define WORKER_READ ((size_t)64 << 10)
/* An unfinished command up to this size is copied in front of the next bytes. */
#define WORKER_HEAD ((size_t)16 << 10)
/* Interval of checks for timeouts of clients. */
#define SWEEP_MS 1000
/* Most bytes that all unauthenticated clients of a worker may hold together. */
#define WORKER_UNAUTHENTICATED_BYTES ((uint64_t)32 << 20)

/* The three system calls of the hot path, without the wrappers of glibc. The wrappers are cancellation points: in a
 * process with threads each call enables and disables asynchronous cancellation, which costs more than the rest of this
 * floor. */
static inline ssize_t socket_recv(int fd, void *bytes, size_t size) {
	return (ssize_t)syscall(SYS_recvfrom, fd, bytes, size, 0, NULL, NULL);
}
static inline ssize_t socket_send(int fd, const void *bytes, size_t size) {
	return (ssize_t)syscall(SYS_sendto, fd, bytes, size, MSG_NOSIGNAL, NULL, 0);
}
static inline int epoll_take(int epoll, struct epoll_event *events, int most, int wait_ms) {
	return (int)syscall(SYS_epoll_pwait, epoll, events, most, wait_ms, NULL, 0);
}

struct connection;

/* Commands of one client, from reading to running. The first window is for commands that run as soon as they are read.
 * Window i has its bytes in part i of worker->input. */
struct window {
	struct connection *connection;
	size_t len; /* bytes read */
	unsigned count;
	struct reader_command commands[WORKER_WINDOW];
	struct request requests[WORKER_WINDOW];
	struct slice slots[WORKER_SLOTS];
};

/* A client whose replies wait in the worker's output. */
struct reply {
	struct connection *connection;
	size_t at, len;
};

struct worker {
	struct environment env;
	struct worker_counters counters;
	struct worker_shared *shared;
	struct shard **shards; /* owned, with the array: at least one, after worker_add_shard */
	unsigned shard_count;
	struct listener *const *listeners;
	unsigned listener_count;
	unsigned number;
	int epoll;   /* owned */
	int timer;   /* owned: a timerfd on CLOCK_REALTIME */
	int reserve; /* owned: a reserve descriptor, closed to accept and reject a client if no other is left; -1: none
		      */

	/* Every connection is in one of these lists, by its `link` or by `wait` of its pending input. */
	struct list unauthenticated; /* unauthenticated, oldest first */
	struct list authenticated;   /* authenticated, in the order of the sweep */
	struct list lingering;       /* to be closed when their replies are sent, oldest first */
	struct list waiting;         /* pending commands to be tried in each turn */
	struct list paused;          /* pending commands to be tried from resume_ms on */
	struct list evicted;         /* to be closed at the end of the turn; without buffers */
	struct list leaving;         /* closed for their clients; they leave their tenants a part in each turn */
	struct list closed;          /* closed in this turn, freed at its end: an event may still refer to them */

	struct list visits; /* fanouts that visit the sessions: see fanout.h */

	/* Output to be sent at the end of the turn: see push.h. */
	struct list pushed;  /* output of clients without a tenant */
	struct list pushing; /* tenants with such output, by clients.pushing: the next one to send first */
	bool pushes_left;    /* some was left at the end of the last turn */
	bool end_work;       /* output is to be sent, or clients are to be closed, at the end of the turn */

	/* Commands that run on fibers: see task.h and schedule.h. */
	struct list tasks; /* suspended, the next one to run first */
	struct fiber_pool fibers;
	uint64_t task_number; /* of the last task */
	uint64_t slice_ticks; /* clock_ticks() for all tasks in one turn; 0: up to one check point of one task */
	uint64_t slice_left;  /* of them, in this turn */
	uint64_t slice_turn;  /* 1 + counters.turns when a task ran last */
	bool starts_no_tasks; /* the process is about to end */

	/* The connection that is being served. env.running is its session. */
	struct writer writer;
	struct buffer output;
	size_t output_begin;  /* begin of its replies in the output, behind those that wait */
	char *input;          /* owned: WORKER_HEAD bytes, then WORKER_READ bytes for each window */
	struct reader reader; /* for commands that reader_read_usual does not read */
	struct window windows[1 + WORKER_STAGED];
	struct reply replies[WORKER_REPLIES];
	unsigned reply_count;
	uint64_t reply_ticks;             /* clock_ticks() at the first of them */
	unsigned staged, staged_commands; /* windows that wait to run, from the second on, and their commands */

	int64_t real_ms;   /* this turn: CLOCK_REALTIME, even if it was set back */
	int64_t armed_ms;  /* the timerfd's deadline; INT64_MAX: none */
	int64_t resume_ms; /* when to try the paused commands, by env.steady_ms; INT64_MAX: there are none */
	int64_t tick_ms;   /* when to check timeouts, by env.steady_ms; INT64_MAX: not needed */
	bool busy;         /* a shard has more due work */
	bool accepting;    /* the listeners are in the epoll set */
	bool stopping;
	bool closes_at_once;            /* connections leave their tenants in one part: the process is about to end */
	uint64_t stop_ns;               /* latest end of the stop */
	uint64_t unauthenticated_bytes; /* bytes held by unauthenticated clients */
	uint64_t longest_ticks;         /* clock_ticks of counters.longest_turn_ns */
	struct cpu_time cpu;            /* CPU time of the tenants */
	uint64_t stall_ticks;           /* clock_ticks() at the last measurement of stall_count() */
	struct share share;             /* shares of the tenants in the worker's time */
	uint64_t share_end_ticks;       /* clock_ticks() after which this turn serves no tenant that is ahead */
	struct work_account account;    /* that the shards tell for which tenant they work */
	uint64_t part_begin;            /* clock_ticks() at which this part of the turn began: see worker_has_time() */
	unsigned first_event;           /* index of the first event to serve in the next turn */
	unsigned first_deferred;        /* index of the first deferred event to serve in the next turn */
	struct epoll_event events[WORKER_EVENTS], deferred[WORKER_EVENTS];
	pthread_t thread;
	bool started;

	/* Other threads write the members below. */
	_Alignas(64) struct inbox inbox;
	_Atomic uint64_t pings;
	_Atomic uint64_t stop_request; /* 1 + milliseconds, or STOP_FROZEN; 0: no request */
#ifdef ATOMDB_TEST_HOOKS
	_Atomic bool hang;
	int64_t test_shift_ms; /* last seen value */
#endif
};

/* Value of stop_request after worker_freeze. */
#define STOP_FROZEN UINT64_MAX

/* epoll data of descriptors that are not connections: smaller than any pointer. */
enum source { SOURCE_INBOX, SOURCE_TIMER, SOURCE_LISTENER, SOURCE_END = 4096 };

/* Returns whether the part of the turn that began at w->part_begin may go on: each part has half a slice. */
static inline bool worker_has_time(const struct worker *w) {
	return clock_ticks() - w->part_begin < w->slice_ticks / 2;
}

/* Returns whether the tenant has output that was left in the last turn. */
static inline bool worker_is_behind(const struct worker *w, const struct tenant *t) {
	return __builtin_expect(w->pushes_left, 0) && t != NULL && list_linked(&t->clients.pushing);
}

/* Schedules a sweep if a client can time out. */
static inline void worker_want_sweep(struct worker *w) {
	const struct settings *s = &w->env.settings;
	if (w->tick_ms != INT64_MAX)
		return;
	if ((s->auth_timeout > 0 && !list_empty(&w->unauthenticated)) || !list_empty(&w->lingering) ||
	    (s->idle_timeout > 0 && !list_empty(&w->authenticated)))
		w->tick_ms = w->env.steady_ms + SWEEP_MS;
}
