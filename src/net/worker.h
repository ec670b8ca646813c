/* The inside of a worker, for the files of this floor. */
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

/* Commands of a client parsed ahead of the first one that runs. */
#define WORKER_WINDOW 64
/* Clients whose commands are read and prepared before those of the first of them run. */
#define WORKER_STAGED 8
/* Argument slots for them: four of each, for keys, values and options as they mostly come. */
#define WORKER_SLOTS ((size_t)4 * WORKER_WINDOW)
/* Clients whose replies are sent together. */
#define WORKER_REPLIES 32
#define WORKER_EVENTS  256
/* Bytes that one read(2) takes at most, and so what a connection can have run in one turn. */
#define WORKER_READ ((size_t)64 << 10)
/* An unfinished command of at most this size is copied in front of the next bytes. */
#define WORKER_HEAD ((size_t)16 << 10)
/* What all clients of a worker that have not authenticated may hold in memory together. */
#define WORKER_UNAUTHENTICATED_BYTES ((uint64_t)32 << 20)

/* The three system calls of the hot path, straight. glibc's are cancellation points: with threads each call switches
 * asynchronous cancellation on and off, which costs more than all else that this floor does around it. */
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

/* Commands of one client, from reading them to running them. The first window is for those that run as soon as they are
 * read; what is read to the others is their number's part of worker->input. */
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

	/* Every connection is in one of these by its `link`. */
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
	struct reader reader; /* for what reader_read_usual does not read */
	struct window windows[1 + WORKER_STAGED];
	struct reply replies[WORKER_REPLIES];
	unsigned reply_count;
	uint64_t reply_ticks;             /* clock_ticks() since when the first of them waits */
	unsigned staged, staged_commands; /* windows that wait to be run, from the second on, and what is in them */

	int64_t real_ms;   /* this turn: CLOCK_REALTIME, also where it was set back */
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

/* The stop_request of worker_freeze. */
#define STOP_FROZEN UINT64_MAX

/* What epoll says of anything but a connection: smaller than any pointer. */
enum source { SOURCE_INBOX, SOURCE_TIMER, SOURCE_LISTENER, SOURCE_END = 4096 };

/* Puts the listeners into the epoll set, or takes them out, which cannot fail; 0 or -errno. */
int worker_listen(struct worker *w, bool on);
/* Whether a tenant may have one client more, see accept.c; one that may not is counted as rejected. */
bool worker_has_place(struct worker *w, const struct tenant *t);
/* Accepts a few connections of a listener. */
void worker_accept(struct worker *w, const struct listener *l);
/* Serves an accepted connection, which it takes over, or rejects it where there are as many as may be. */
void worker_admit(struct worker *w, const struct listener *l, int fd);
/* Closes the clients whose time is over and resumes accepting; sets tick_ms. */
void worker_sweep(struct worker *w);
/* Closes the finished clients whose replies have arrived, or whose time is over. */
void worker_sweep_lingering(struct worker *w);
/* Sees to it that a sweep comes. */
void worker_want_sweep(struct worker *w);
/* Takes and handles the messages of the inbox. */
void worker_read_inbox(struct worker *w);
/* fanout.c: what calls ask of session_host. */
int worker_prepare_fanout(struct environment *env, struct fanout *c);
void worker_send_fanout(struct environment *env, struct fanout *c);
/* Handles and frees a message of those kinds. */
void worker_take_fanout(struct worker *w, struct message *m);
/* Frees one that nobody will take. */
void worker_drop_fanout(struct message *m);
/* The same once no worker runs any more, of a call or an answer: the call is its session's yet, and ends with that. */
void worker_end_fanout(struct worker *w, struct message *m);
/* Sends the lines of this turn to the operator's worker. */
void worker_send_monitor_feed(struct worker *w);
/* Serves and frees a MESSAGE_ACCEPTED. */
void worker_take_accepted(struct worker *w, struct message *m);
/* Frees what nobody will take any more. */
void worker_discard_inbox(struct worker *w);
