/* A connection: the socket of a client, its session, and the bytes that could not be run or sent yet.
 *
 *   socket -> [worker's input] -> reader -> dispatch -> [worker's output] -> socket
 *                  |   ^                                     |   ^
 *               pending, when unfinished                  output, when the socket is full
 *
 * An idle connection has no buffers. The buffers are charged to the tenant, or to the worker's allowance for clients
 * that have not authenticated. While commands run nothing is charged, so that a command may change or end the tenant.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "atomdb/session/client_memory.h"
#include "atomdb/session/session.h"

/* Bytes that a client may hold if its tenant has no room left, so that a DEL that frees memory can arrive. */
#define GRACE_BYTES ((uint64_t)16 << 10)

struct output;
struct pending;
struct worker;

enum connection_flag {
	CONNECTION_AUTHENTICATED = 1 << 0, /* has or had a tenant */
	CONNECTION_GREETED = 1 << 1,       /* its first bytes may be RESP */
	CONNECTION_RUNNABLE = 1 << 2,      /* pending may hold complete commands, which wait until replies are sent */
	CONNECTION_WAITING = 1 << 3,       /* in one of the worker's lists of connections with waiting commands */
	CONNECTION_FINISHED = 1 << 4,      /* runs no more commands; closed when its replies have arrived */
	CONNECTION_ENDED = 1 << 5,         /* the client has closed its sending side */
	CONNECTION_OVERRUN =
		1 << 6, /* it holds too much: its buffers are freed, and it is closed at the end of the turn */
	CONNECTION_REPLIED = 1 << 7, /* listed in worker->replies */
	CONNECTION_LEAVING = 1 << 8, /* closed for the client; the session leaves its tenant later */
};

struct connection {
	struct session session;
	struct worker *worker;
	struct pending *pending;     /* owned, or NULL */
	struct output *output;       /* owned, or NULL */
	struct list link;            /* linked in one of the worker's lists */
	struct client_charge charge; /* its tenant is NULL for bytes of the worker's allowance */
	int fd;                      /* owned; -1: closed */
	uint32_t interest;           /* events that epoll watches */
	uint16_t flags;              /* enum connection_flag */
	uint8_t greedy;   /* > 0: a recent turn ran many commands, or sent much of a value: it is served behind the
			     others, and less of its input is read at once */
	uint8_t state;    /* enum client_state, as counted in the worker's counters */
	uint32_t visited; /* number of the last fanout that visited its session: see fanout.h; 0: none */
};

/* Makes a connection for `fd`, which it takes over: epoll watches it, it is counted, and has a session without a
 * tenant. Returns NULL if there is no memory; `fd` is closed then. */
struct connection *connection_new(struct worker *w, int fd, uint64_t id);
/* Makes a connection for the accepted `fd`, which it takes over, even on failure. `tcp`: sets the options of TCP. */
void connection_open(struct worker *w, int fd, bool tcp);
/* Adds a connection that another worker sent to this worker. Returns 0 or -errno. */
int connection_enter(struct worker *w, struct connection *c);
/* Sends the connection, with its pending input, to the worker session.home. Afterwards this worker must not use it. */
void connection_depart(struct connection *c);
/* Closes the socket and leaves the tenant at once. The memory is freed at the end of the turn. If a command of the
 * tenant is suspended, or the session has very many subscriptions or queued commands, the client is gone at once, and
 * the rest follows when that command has ended, or in parts. */
void connection_close(struct connection *c);
/* Closes the connection when its replies have arrived, or after some seconds. A further call checks whether they have
 * arrived. */
void connection_finish(struct connection *c);
/* Frees the buffers of a client that runs no command, and closes it at the end of the turn. Allowed for any session
 * during a walk over all sessions. */
void connection_overrun(struct connection *c);
/* The same for a client that holds too much of its tenant's memory. Counts and logs it. */
void connection_evict(struct connection *c);
/* Only counts and logs such a client. */
void connection_report_evicted(const struct connection *c);
/* Closes the clients of connection_overrun and connection_evict, for a part of the turn. */
void connection_close_evicted(struct worker *w);
/* Frees more of the sessions that leave their tenants in parts, for a part of the turn. */
void connection_shed_leaving(struct worker *w);
/* Ends all sessions that leave their tenants in parts, because the process is about to end. */
void connection_close_leaving(struct worker *w);
/* Frees the connections that were closed in this turn. */
void connection_free_closed(struct worker *w);
/* Frees a connection that no worker has, and closes its socket. The session is not ended. */
void connection_discard(struct connection *c);

/* Restarts the idle time after bytes moved. A finished client has a fixed time to read its replies. */
static inline void connection_touch(struct connection *c) {
	if (!(c->flags & CONNECTION_FINISHED))
		c->session.last_ms = c->session.env->steady_ms;
}
/* Returns whether the client has no idle timeout: as in Redis, a subscriber, a monitor, or a client that waits. */
bool connection_may_be_idle(const struct connection *c);

/* Returns the bytes of the connection's buffers. */
uint64_t connection_memory(const struct connection *c);
/* Sets the charge to the bytes that the connection holds. Returns 0, or ATOMDB_E_OOM with the charge unchanged.
 * While the command of the client is suspended it returns 0. */
int connection_charge(struct connection *c);
/* The same, but evicts no key now. */
int connection_charge_later(struct connection *c);
/* Charges a part of a reply that is being written, until the next of these calls. Returns 0 or ATOMDB_E_OOM. */
int connection_charge_reply(struct connection *c, uint64_t bytes);
/* Reduces the charge to `bytes`. */
void connection_uncharge_to(struct connection *c, uint64_t bytes);
/* Discharges everything. */
void connection_uncharge(struct connection *c);
/* Updates epoll's interest, the worker's lists and the counted state after a turn of the connection. */
void connection_settle(struct connection *c);
