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
#include "net/inbox.h"

/* Commands of a client that are parsed before the first of them runs. */
#define WORKER_WINDOW 64
/* Clients whose commands are read and prepared before the commands of the first of them run. */
#define WORKER_STAGED 8
/* Argument slots for them: four each, enough for most commands. */
#define WORKER_SLOTS ((size_t)4 * WORKER_WINDOW)
/* Clients whose replies are sent together. */
#define WORKER_REPLIES 32
#define WORKER_EVENTS  256
/* The most that one read(2) takes, and so the most bytes that a connection can have run in one turn. */
#define WORKER_READ ((size_t)64 << 10)
/* An unfinished command of at most this size is copied in front of the next bytes. */
#define WORKER_HEAD ((size_t)16 << 10)
/* How often the clients are looked at that may time out. */
#define SWEEP_MS 1000
/* Bytes that all clients of a worker that have not authenticated may hold together. */
#define WORKER_UNAUTHENTICATED_BYTES ((uint64_t)32 << 20)

/* The three system calls of the hot path, without glibc's wrappers. Those are cancellation points: in a process with
 * threads each call switches asynchronous cancellation on and off, which costs more than the rest of this floor. */
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

/* Commands of one client, from reading them to running them. The first window is for commands that run as soon as they
 * are read. The bytes of the others are in the part of worker->input that has their number. */
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
	struct shard **shards; /* owned, with the array: one at least, once worker_add_shard was called */
	unsigned shard_count;
	struct listener *const *listeners;
	unsigned listener_count;
	unsigned number;
	int epoll;   /* owned */
	int timer;   /* owned: a timerfd on CLOCK_REALTIME */
	int reserve; /* owned: given up to get rid of a client when there is no other descriptor left; -1: none */

	/* Every connection is in one of these, by its `link` or its pending input's `wait`. */
	struct list unauthenticated; /* not authenticated yet, oldest first */
	struct list authenticated;   /* the others, in the order in which the sweep visits them */
	struct list lingering;       /* to be closed when their replies are sent, oldest first */
	struct list waiting;         /* pending commands to be tried again each turn */
	struct list paused;          /* the same, but not before resume_ms */
	struct list pushed;          /* output that is to be sent at the end of the turn */
	struct list evicted;         /* to be closed at the end of the turn; they hold no buffers any more */
	struct list closed;          /* closed in this turn, freed at its end: an event may still name them */

	/* For the connection that is being served: env.running is its session. */
	struct writer writer;
	struct buffer output;
	size_t output_begin;  /* where its replies begin in the output, behind those that wait */
	char *input;          /* owned: WORKER_HEAD bytes, and WORKER_READ for each window */
	struct reader reader; /* for commands that reader_read_usual does not read */
	struct window windows[1 + WORKER_STAGED];
	struct reply replies[WORKER_REPLIES];
	unsigned reply_count;
	uint64_t reply_ticks;             /* clock_ticks() since when the first of them waits */
	unsigned staged, staged_commands; /* windows that wait to be run, from the second on, and their commands */

	int64_t real_ms;   /* this turn: CLOCK_REALTIME, even if it was set back */
	int64_t armed_ms;  /* the timerfd's deadline; INT64_MAX: none */
	int64_t resume_ms; /* when to try the paused again, by env.steady_ms; INT64_MAX: there are none */
	int64_t tick_ms;   /* when to look for timeouts, likewise; INT64_MAX: not needed */
	bool busy;         /* a shard has more to do now */
	bool accepting;    /* the listeners are in the epoll set */
	bool stopping;
	uint64_t stop_ns;               /* when it ends at the latest */
	uint64_t unauthenticated_bytes; /* held by clients that have not authenticated */
	uint64_t longest_ticks;         /* of counters.longest_turn_ns */
	unsigned greedy_next;           /* of the greedy clients that are ready, the one to be served first */
	struct epoll_event events[WORKER_EVENTS];
	pthread_t thread;
	bool started;

	/* Written by other threads. */
	_Alignas(64) struct inbox inbox;
	_Atomic uint64_t pings;
	_Atomic uint64_t stop_request; /* 1 + milliseconds, or STOP_FROZEN; 0: none */
#ifdef ATOMDB_TEST_HOOKS
	_Atomic bool hang;
	int64_t test_shift_ms; /* as last seen */
#endif
};

/* stop_request after worker_freeze. */
#define STOP_FROZEN UINT64_MAX

/* The data of epoll for everything that is not a connection: smaller than any pointer. */
enum source { SOURCE_INBOX, SOURCE_TIMER, SOURCE_LISTENER, SOURCE_END = 4096 };

/* Has a sweep take place if a client can time out. */
static inline void worker_want_sweep(struct worker *w) {
	const struct settings *s = &w->env.settings;
	if (w->tick_ms != INT64_MAX)
		return;
	if ((s->auth_timeout > 0 && !list_empty(&w->unauthenticated)) || !list_empty(&w->lingering) ||
	    (s->idle_timeout > 0 && !list_empty(&w->authenticated)))
		w->tick_ms = w->env.steady_ms + SWEEP_MS;
}
