#include "net/connection.h"

#include <assert.h>
#include <errno.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "atomdb/store/registry_lifecycle.h"
#include "atomdb/store/tenant.h"
#include "atomdb/util/error.h"
#include "net/output.h"
#include "net/pending.h"
#include "net/report.h"
#include "net/task.h"
#include "net/worker.h"

static void set_tcp_options(int fd, uint32_t keepalive) {
	int on = 1;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (keepalive == 0)
		return;
	int idle = keepalive > 32767 ? 32767 : (int)keepalive;
	int interval = idle >= 3 ? idle / 3 : 1;
	int probes = 3;
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof(interval));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof(probes));
}

int connection_enter(struct worker *w, struct connection *c) {
	c->worker = w;
	c->interest = EPOLLIN;
	struct epoll_event event = {.events = c->interest, .data.ptr = c};
	if (epoll_ctl(w->epoll, EPOLL_CTL_ADD, c->fd, &event) < 0)
		return -errno;
	/* A client from another worker may be older than auth_timeout. */
	list_push_back((c->flags & CONNECTION_AUTHENTICATED) ? &w->authenticated : &w->unauthenticated, &c->link);
	c->state = CLIENT_UNAUTHENTICATED;
	counter_add(&w->counters.states[c->state], 1);
	counter_add(&w->counters.clients, 1);
	worker_want_sweep(w);
	return 0;
}

struct connection *connection_new(struct worker *w, int fd, uint64_t id) {
	struct connection *c = calloc(1, sizeof(*c));
	if (c == NULL) {
		close(fd);
		return NULL;
	}
	c->fd = fd;
	list_init(&c->link);
	session_init(&c->session, &w->env, id);
	if (connection_enter(w, c) == 0)
		return c;
	session_deinit(&c->session);
	connection_discard(c);
	return NULL;
}

void connection_open(struct worker *w, int fd, bool tcp) {
	if (tcp)
		set_tcp_options(fd, w->env.settings.tcp_keepalive);
	counter_add(&w->counters.connections, 1);
	uint64_t id = 1 + atomic_fetch_add_explicit(&w->shared->next_client_id, 1, memory_order_relaxed);
	if (connection_new(w, fd, id) != NULL)
		return;
	counter_add(&w->counters.rejected[REJECT_MEMORY], 1);
	atomic_fetch_sub_explicit(&w->shared->clients, 1, memory_order_relaxed);
}

void connection_discard(struct connection *c) {
	assert(c->charge.bytes == 0);
	pending_drop(c);
	output_drop(c);
	close(c->fd);
	free(c);
}

/* --- the end ---------------------------------------------------------------------------------------------------- */

/* Parts of a session's state in its tenant that are freed in one step. */
#define SHED_UNITS 64
/* Clients that hold too much, of which one turn closes so many at least. */
#define EVICTED_LEAST 16

/* Ends the connection for the client. The session stays in its tenant for now. `to`: the connection's list. */
static void leave(struct connection *c, struct list *to) {
	list_remove(&c->link);
	list_push_back(to, &c->link);
	if (c->flags & CONNECTION_LEAVING)
		return;
	if (c->flags & CONNECTION_REPLIED)
		output_send_replies(c->worker);
	c->flags |= CONNECTION_LEAVING | CONNECTION_FINISHED;
	epoll_ctl(c->worker->epoll, EPOLL_CTL_DEL, c->fd, NULL);
	shutdown(c->fd, SHUT_RDWR);
	c->interest = 0;
	pending_drop(c);
	output_drop(c);
	connection_uncharge(c);
	struct task *k = task_of(c);
	if (k != NULL)
		task_cancel_reply(k);
}

/* Returns whether the connection must stay until the suspended command of its tenant, which may use it, has ended.
 * The command itself may close other clients of its tenant. */
static bool must_stay(struct connection *c) {
	struct tenant *t = c->session.tenant;
	if (__builtin_expect(t == NULL || t->clients.task == NULL, 1) || t->clients.task->fiber == fiber_current)
		return false;
	leave(c, &t->clients.task->closing);
	return true;
}

/* Returns whether the session has so many subscriptions or queued commands that it leaves its tenant in parts. */
static bool leaves_in_parts(struct connection *c) {
	if (c->session.tenant == NULL || c->worker->closes_at_once || !session_shed(&c->session, SHED_UNITS))
		return false;
	leave(c, &c->worker->leaving);
	client_memory_leave(&c->session);
	c->worker->end_work = true;
	return true;
}

void connection_close(struct connection *c) {
	struct worker *w = c->worker;
	if (c->fd < 0 || must_stay(c) || leaves_in_parts(c))
		return;
	if (c->flags & CONNECTION_REPLIED)
		output_send_replies(w);
	/* The client's secret, or its first command without AUTH, may have opened a tenant that it has not entered. */
	bool kept_out = (c->session.flags & SESSION_AUTH_PASSED) ||
			(c->session.tenant == NULL && (c->flags & CONNECTION_RUNNABLE));
	connection_uncharge(c);
	/* The tenant may end with the session, and the pinned value ends with the tenant. */
	output_drop(c);
	session_deinit(&c->session);
	if (kept_out)
		registry_tidy(w->env.registry, w->number);
	pending_drop(c);
	output_drop(c);
	close(c->fd);
	c->fd = -1;
	list_remove(&c->link);
	list_push_back(&w->closed, &c->link);
	counter_sub(&w->counters.clients, 1);
	counter_sub(&w->counters.states[c->state], 1);
	atomic_fetch_sub_explicit(&w->shared->clients, 1, memory_order_relaxed);
}

void connection_overrun(struct connection *c) {
	struct worker *w = c->worker;
	if (c->flags & CONNECTION_REPLIED)
		output_send_replies(w);
	c->flags |= CONNECTION_OVERRUN;
	pending_drop(c);
	output_drop(c);
	connection_uncharge(c);
	list_remove(&c->link);
	list_push_back(&w->evicted, &c->link);
	w->end_work = true;
}

/* Closes a connection. Charges the time to its tenant, which may end. */
static __attribute__((cold, noinline)) void close_charged(struct connection *c) {
	struct worker *w = c->worker;
	cpu_time_enter(&w->cpu, c->session.tenant);
	connection_close(c);
	cpu_time_leave(&w->cpu);
}

void connection_close_evicted(struct worker *w) {
	w->part_begin = clock_ticks();
	for (unsigned i = 0; !list_empty(&w->evicted) && (i < EVICTED_LEAST || worker_has_time(w)); i++)
		close_charged(list_entry(w->evicted.next, struct connection, link));
}

void connection_shed_leaving(struct worker *w) {
	struct list todo;
	list_init(&todo);
	list_move_all(&todo, &w->leaving);
	w->part_begin = clock_ticks();
	do {
		if (list_empty(&todo))
			break;
		struct connection *c = list_entry(todo.next, struct connection, link);
		list_remove(&c->link);
		list_push_back(&w->leaving, &c->link);
		/* A suspended command may use the session. */
		if (c->session.tenant->clients.task != NULL)
			continue;
		cpu_time_enter(&w->cpu, c->session.tenant);
		bool more = true;
		while (more && worker_has_time(w))
			more = session_shed(&c->session, SHED_UNITS);
		connection_close(c);
		cpu_time_leave(&w->cpu);
	} while (worker_has_time(w));
	list_move_all(&todo, &w->leaving);
	list_move_all(&w->leaving, &todo);
}

void connection_close_leaving(struct worker *w) {
	w->closes_at_once = true;
	while (!list_empty(&w->leaving))
		connection_close(list_entry(w->leaving.next, struct connection, link));
	connection_free_closed(w);
}

void connection_free_closed(struct worker *w) {
	list_for_each (node, &w->closed) {
		struct connection *c = list_entry(node, struct connection, link);
		list_remove(node);
		assert(c->charge.bytes == 0);
		free(c);
	}
}

/* --- its state -------------------------------------------------------------------------------------------------- */

static void watch(struct connection *c, uint32_t interest) {
	if (c->interest == interest)
		return;
	struct epoll_event event = {.events = interest, .data.ptr = c};
	/* epoll_ctl could fail only for lack of kernel memory, and a modification needs none. */
	if (epoll_ctl(c->worker->epoll, EPOLL_CTL_MOD, c->fd, &event) == 0)
		c->interest = interest;
}

/* Returns whether the peer has not acknowledged all sent bytes. */
static bool is_in_flight(const struct connection *c) {
	int bytes;
	return ioctl(c->fd, SIOCOUTQ, &bytes) == 0 && bytes > 0;
}

/* Returns whether the socket has unread input. */
static bool is_sending(const struct connection *c) {
	int bytes;
	return ioctl(c->fd, FIONREAD, &bytes) == 0 && bytes > 0;
}

bool connection_may_be_idle(const struct connection *c) {
	return (c->flags & CONNECTION_WAITING) != 0 ||
	       (c->session.flags & (SESSION_SUBSCRIBED | SESSION_MONITOR | SESSION_MONITOR_KEPT)) != 0;
}

static void set_state(struct connection *c, enum client_state state) {
	struct worker_counters *f = &c->worker->counters;
	counter_sub(&f->states[c->state], 1);
	c->state = (uint8_t)state;
	counter_add(&f->states[state], 1);
}

static inline enum client_state find_state(const struct connection *c) {
	uint32_t flags = c->session.flags;
	if (__builtin_expect((flags & (SESSION_MULTI | SESSION_SUBSCRIBED | SESSION_MONITOR)) == 0 &&
				     (c->flags & CONNECTION_WAITING) == 0,
			     1))
		return c->session.tenant != NULL ? CLIENT_AUTHENTICATED : CLIENT_UNAUTHENTICATED;
	if (c->flags & CONNECTION_WAITING)
		return CLIENT_WAITING;
	if (flags & SESSION_MONITOR)
		return CLIENT_MONITOR;
	return flags & SESSION_MULTI ? CLIENT_TRANSACTION : CLIENT_SUBSCRIBED;
}

void connection_finish(struct connection *c) {
	if (c->flags & CONNECTION_LEAVING)
		return;
	if (c->flags & CONNECTION_REPLIED)
		output_send_replies(c->worker);
	pending_drop(c);
	connection_uncharge(c);
	bool unsent = output_unsent(c) > 0;
	/* If input is unread, or arrives later, close(2) makes the kernel drop replies in transit. So the worker reads
	 * and drops input until the replies have arrived. */
	bool ended = (c->flags & CONNECTION_ENDED) != 0;
	if ((!unsent && (ended || (!is_in_flight(c) && !is_sending(c)))) || connection_charge(c) < 0) {
		connection_close(c);
		return;
	}
	if (!(c->flags & CONNECTION_FINISHED)) {
		c->flags |= CONNECTION_FINISHED;
		c->session.last_ms = c->worker->env.steady_ms;
		list_remove(&c->link);
		list_push_back(&c->worker->lingering, &c->link);
		set_state(c, CLIENT_CLOSING);
		worker_want_sweep(c->worker);
	}
	if (!unsent)
		shutdown(c->fd, SHUT_WR);
	watch(c, (ended ? 0 : (uint32_t)EPOLLIN) | (unsent ? (uint32_t)EPOLLOUT : 0));
}

void connection_settle(struct connection *c) {
	struct worker *w = c->worker;
	if (__builtin_expect(!(c->flags & CONNECTION_AUTHENTICATED) && c->session.tenant != NULL, 0)) {
		c->flags |= CONNECTION_AUTHENTICATED;
		list_remove(&c->link);
		list_push_back(&w->authenticated, &c->link);
		worker_want_sweep(w);
	}
	enum client_state state = find_state(c);
	if (__builtin_expect(c->state != state, 0))
		set_state(c, state);
	size_t unsent = output_unsent(c);
	bool held_back = (c->flags & CONNECTION_RUNNABLE) || output_is_behind(c);
	bool sends = unsent > 0 && !output_is_held(c);
	watch(c, (sends ? (uint32_t)EPOLLOUT : 0) | (held_back ? 0 : (uint32_t)EPOLLIN));
}

void connection_depart(struct connection *c) {
	struct worker *w = c->worker;
	unsigned home = c->session.home;
	assert(home < w->shared->worker_count && home != w->number && c->pending != NULL);
	connection_uncharge(c);
	if (c->session.tenant != NULL)
		session_detach(&c->session);
	epoll_ctl(w->epoll, EPOLL_CTL_DEL, c->fd, NULL);
	list_remove(&c->link);
	/* The other worker sends the bytes that were pushed in this turn. */
	if (c->output != NULL)
		list_remove(&c->output->push);
	c->session.reply = NULL;
	c->session.env = NULL;
	c->worker = NULL;
	counter_sub(&w->counters.clients, 1);
	counter_sub(&w->counters.states[c->state], 1);
	counter_add(&w->counters.moved, 1);
	c->pending->message.kind = MESSAGE_CONNECTION;
	inbox_post(&w->shared->workers[home]->inbox, &c->pending->message);
}

/* --- its memory ------------------------------------------------------------------------------------------------- */

uint64_t connection_memory(const struct connection *c) {
	uint64_t n = 0;
	if (c->pending != NULL)
		n += sizeof(*c->pending) + c->pending->bytes.cap + reader_memory(&c->pending->reader);
	if (c->output != NULL)
		n += output_memory(c->output);
	const struct task *k = task_of(c);
	if (__builtin_expect(k != NULL, 0))
		n += task_memory(k);
	return n;
}

/* Charges the worker's allowance for clients that have not authenticated. */
static int charge_worker(struct connection *c, uint64_t more) {
	struct worker *w = c->worker;
	if (more > WORKER_UNAUTHENTICATED_BYTES - w->unauthenticated_bytes)
		return ATOMDB_E_OOM;
	w->unauthenticated_bytes += more;
	c->charge.bytes += more;
	return 0;
}

/* A charge may make the tenant evict keys. The invalidations for them may change what this client holds, or overrun it:
 * then the charge fails, and the buffers are freed. */
static int charge_tenant(struct connection *c, uint64_t more, enum charge_mode mode) {
	int error = client_charge_grow(&c->charge, &c->session, more, mode);
	if (error == 0 && __builtin_expect(c->flags & CONNECTION_OVERRUN, 0)) {
		connection_uncharge(c);
		return ATOMDB_E_OOM;
	}
	return error;
}

static int charge_more(struct connection *c, uint64_t more, enum charge_mode mode) {
	if (c->charge.bytes == 0)
		c->charge.tenant = c->session.tenant;
	assert(c->charge.tenant == c->session.tenant);
	return c->charge.tenant != NULL ? charge_tenant(c, more, mode) : charge_worker(c, more);
}

static void charge_less(struct connection *c, uint64_t less) {
	if (c->charge.tenant != NULL) {
		client_charge_shrink(&c->charge, less);
	} else {
		c->charge.bytes -= less;
		c->worker->unauthenticated_bytes -= less;
	}
}

static int charge(struct connection *c, enum charge_mode mode) {
	uint64_t held = connection_memory(c);
	if (held > c->charge.bytes)
		return charge_more(c, held - c->charge.bytes,
				   mode != CHARGE_LATER && held <= GRACE_BYTES ? CHARGE_LITTLE : mode);
	if (held < c->charge.bytes)
		charge_less(c, c->charge.bytes - held);
	return 0;
}

/* Returns whether commands that were read only wait for their turn. They are few, and soon gone: a refusal would close
 * the client because others keep the worker busy. */
static bool waits_for_turn(const struct connection *c) {
	return (c->flags & CONNECTION_WAITING) && !(c->session.flags & SESSION_PAUSED) && c->output == NULL &&
	       c->pending != NULL && c->pending->bytes.len <= WORKER_READ;
}

int connection_charge(struct connection *c) {
	if (__builtin_expect(task_of(c) != NULL || waits_for_turn(c), 0))
		return charge(c, CHARGE_LITTLE);
	return charge(c, c->pending != NULL ? CHARGE_INPUT : CHARGE_NOW);
}

int connection_charge_later(struct connection *c) {
	return charge(c, CHARGE_LATER);
}

int connection_charge_reply(struct connection *c, uint64_t bytes) {
	return charge_more(c, bytes, CHARGE_LATER);
}

void connection_uncharge_to(struct connection *c, uint64_t bytes) {
	if (c->charge.bytes > bytes)
		charge_less(c, c->charge.bytes - bytes);
}

void connection_uncharge(struct connection *c) {
	connection_uncharge_to(c, 0);
}

void connection_report_evicted(const struct connection *c) {
	if (c->session.tenant != NULL)
		counter_add(&c->session.tenant->counters.clients_evicted, 1);
	report_evicted(c, connection_memory(c));
}

void connection_evict(struct connection *c) {
	if (c->flags & CONNECTION_OVERRUN)
		return;
	connection_report_evicted(c);
	connection_overrun(c);
}
