/* A connection: a client's socket, its session, and what of its bytes could be neither run nor sent yet.
 *
 *   socket -> [worker's input] -> reader -> dispatch -> [worker's output] -> socket
 *                  |   ^                                     |   ^
 *               pending, when unfinished                  output, when the socket is full
 *
 * An idle connection has neither. What they hold is charged to the tenant, or to the worker's allowance for clients
 * that have not authenticated. While commands run nothing is charged, so that a command may change or end the tenant.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "atomdb/resp/reader.h"
#include "atomdb/session/session.h"
#include "atomdb/session/shared_buffer.h"
#include "atomdb/util/serialize.h"
#include "net/inbox.h"

/* Bytes that a client may hold if its tenant has no room left: the DEL that makes some must get through. */
#define GRACE_BYTES ((uint64_t)16 << 10)

struct window;
struct worker;

enum connection_flag {
	CONNECTION_AUTHENTICATED = 1 << 0, /* has had a tenant */
	CONNECTION_GREETED = 1 << 1,       /* its first line was looked at */
	CONNECTION_RUNNABLE = 1 << 2,      /* pending may hold complete commands, kept back until replies are sent */
	CONNECTION_WAITING = 1 << 3,       /* in one of the worker's lists of those whose commands are tried again */
	CONNECTION_FINISHED = 1 << 4,      /* nothing more is run; closed when its replies have arrived */
	CONNECTION_ENDED = 1 << 5,         /* the client has sent all that it will */
	CONNECTION_OVERRUN = 1 << 6, /* it holds too much: closed at the end of the turn, and nothing is done for it */
	CONNECTION_REPLIED = 1 << 7, /* among worker->replies */
};

/* Input that was read and not run. Allocated only when there is some. */
struct pending {
	struct message message; /* takes the connection to another worker */
	struct connection *connection;
	struct list wait; /* in worker->waiting or worker->paused */
	struct reader reader;
	struct buffer bytes;
};

/* Bytes that are sent from where they are, in the middle of an output: a value that is pinned, or what several clients
 * share. */
struct insert {
	struct list link;      /* in output->inserts */
	size_t at;             /* the output's bytes from here on come behind it */
	struct slice rest;     /* unsent */
	struct pin *pin;       /* owned, or NULL */
	struct shared *shared; /* held, or NULL */
};

/* Replies that the socket had no room for. Allocated only when there are some. */
struct output {
	struct buffer bytes;
	size_t sent;         /* of them */
	struct list inserts; /* in the order of `at`; owned */
	size_t insert_count;
	size_t shared_bytes;   /* unsent, of inserts that are shared */
	struct insert *pinned; /* the one that is pinned, or NULL */
	struct connection *connection;
	struct list push; /* in worker->pushed */
};

struct connection {
	struct session session;
	struct worker *worker;
	struct pending *pending; /* owned, or NULL */
	struct output *output;   /* owned, or NULL */
	struct list link;        /* in one of the worker's lists */
	uint64_t charged;        /* bytes */
	int fd;                  /* owned; -1: closed */
	uint32_t interest;       /* what epoll watches */
	uint8_t flags;           /* enum connection_flag */
	uint8_t greedy; /* > 0: lately it had many commands, or much of a value, at once; served behind the others, and
			   less at once */
	uint8_t state;  /* enum client_state, as counted */
};

/* Whether so much is unsent that the client's commands are not run: more than 1 MiB, anything before it has
 * authenticated, or a value that is pinned. */
bool connection_is_behind(const struct connection *c);

/* A client on `fd`, which it takes over: watched and counted, with a session and no tenant. NULL: it was closed. */
struct connection *connection_new(struct worker *w, int fd, uint64_t id);
/* A new client on `fd`, which it takes over: also on failure. `tcp` for the options of TCP. */
void connection_open(struct worker *w, int fd, bool tcp);
/* One that another worker sent: runs what it brought. */
void connection_arrive(struct worker *w, struct connection *c);
/* Sends it, with its pending input, to the worker session.home. Gone for this worker after it. */
void connection_depart(struct connection *c);
/* Closes the socket and leaves the tenant, at once; the memory is freed at the end of the turn. */
void connection_close(struct connection *c);
/* Closes as soon as its replies have arrived, and some seconds later if they do not. Called again for one that is
 * finished it looks whether they have. */
void connection_finish(struct connection *c);
/* Frees the buffers of a client that has no command running, and closes it at the end of the turn: whoever walks over
 * sessions may do it to any of them. */
void connection_overrun(struct connection *c);
/* The same for one that holds too much of its tenant's memory, which is counted and reported. */
void connection_evict(struct connection *c);
/* Counts and reports that alone. */
void connection_report_evicted(const struct connection *c);
void connection_close_evicted(struct worker *w);
/* Frees what was closed in this turn. */
void connection_free_closed(struct worker *w);
/* Frees one that no worker has: left over in an inbox. */
void connection_discard(struct connection *c);

/* Starts the idle time again: bytes moved in a turn in which perhaps no command of the client ran. A finished client
 * has a fixed time to read its replies. */
static inline void connection_touch(struct connection *c) {
	if (!(c->flags & CONNECTION_FINISHED))
		c->session.last_ms = c->session.env->steady_ms;
}
/* Whether the client may be silent for as long as it likes: as in Redis, if it is told what others do, or waits. */
bool connection_may_be_idle(const struct connection *c);

/* Brings the charge in line with what the connection holds; 0, or ATOMDB_E_OOM with the charge as it was. */
int connection_charge(struct connection *c);
/* The same, and no key is evicted now. */
int connection_charge_later(struct connection *c);
/* Charges a part of a reply that is being made, until the next of these calls. 0 or ATOMDB_E_OOM. */
int connection_charge_reply(struct connection *c, uint64_t bytes);
/* Takes the whole charge back. */
void connection_uncharge(struct connection *c);
/* Brings epoll's interest in line with the connection's state, and the lists with its session's. */
void connection_settle(struct connection *c);

/* Reports something that concerns this client. */
void connection_report(const struct connection *c, enum log_event_id id, struct slice bytes, const char *detail);

extern const struct session_host connection_host;

/* input.c */

/* Reads once and runs every complete command. */
void input_ready(struct connection *c);
/* Whether the client is one of those whose commands may be staged: nothing of it is pending, nothing ends. */
bool input_usual(const struct connection *c);
/* Reads once, and prepares the commands that have come; false where there is nothing to run. What runs before input_run
 * runs them may do to this connection whatever it likes. */
bool input_stage(struct connection *c, struct window *v);
void input_run(struct connection *c, struct window *v);
/* Reads once and drops it, for a connection that is finished. */
void input_discard(struct connection *c);
/* Runs what is pending, if the replies allow it. */
void input_resume(struct connection *c);
void input_drop(struct connection *c);
/* Has what was kept back until replies are sent tried in the next turn, if they are. */
void input_wake(struct connection *c);
/* Makes bytes pending that are to be tried in the next turn; 0 or -ENOMEM. */
int input_hold(struct connection *c, struct slice bytes);

/* output.c */

/* Sends what is held, then the client's part of the worker's output; holds what does not fit. The output is empty after
 * it. 0; -errno of the socket, -ENOMEM, or ATOMDB_E_RANGE past the output limit (counted and reported): close then. */
int output_flush(struct connection *c);
/* Holds the worker's output, then what was pinned to this client, and CRLF: it is sent with the next output_flush, and
 * when the socket has room. 0 or -ENOMEM. The pin is taken over, also on failure; there is no other. */
int output_pin(struct connection *c, struct pinned pinned);
/* Writes the unsent bytes as a field, without the rest of a value that is pinned. */
void output_serialize(const struct connection *c, struct serializer *out, const char *name);
/* Writes where the rest of a pinned value is, and how many of the bytes above come before it, as a field. Without such
 * a value: nothing. */
void output_serialize_pinned(const struct connection *c, struct serializer *out, const char *name);
/* Restores it, after output_hold. 0, -ENOMEM, or ATOMDB_E_FORMAT: the tenant has no such value. */
int output_deserialize_pinned(struct connection *c, struct slice record);
/* Leaves the replies in the worker's output, to be sent with other clients': a peer that sleeps is woken once for all
 * that it gets. False where they are not for that; flush them then. */
bool output_later(struct connection *c);
/* Sends what was left. Closes nobody, and charges nobody: that is for the end of the turn, so call it at any time. */
void output_send_replies(struct worker *w);
/* The same, before a client is served and when none will be: the output is empty after it. */
void output_end_replies(struct worker *w);
/* Whether they have waited long enough, by clock_ticks(). */
bool output_is_due(const struct worker *w, uint64_t ticks);
/* Adds bytes that are not the reply to a command, to a connection that is not being served; they are sent at the end of
 * the turn. */
void output_push(struct connection *c, struct slice bytes);
/* The same with shared bytes behind those of `head`. */
void output_push_shared(struct connection *c, struct slice head, struct shared *shared);
/* Makes what is shared the connection's own: its tenant may end. 0 or -ENOMEM. */
int output_unshare(struct connection *c);
/* Bytes that an output takes, without those that are pinned or shared. */
uint64_t output_memory(const struct output *o);
/* Sends what was pushed in this turn. */
void output_flush_pushed(struct worker *w);
/* Makes bytes unsent; 0 or -ENOMEM. */
int output_hold(struct connection *c, struct slice bytes);
void output_drop(struct connection *c);
size_t output_unsent(const struct connection *c);
/* Most bytes that the writer may put into the worker's output for this client. */
size_t output_limit(const struct connection *c);
/* Without a charge; beyond it a reply is charged as it is made. */
size_t output_free_limit(const struct connection *c);
/* Raises the limit of the worker's writer for the client that is being served, and charges it. The writer's `grow`. */
bool output_grow(struct writer *w, size_t n);
