#include "net/connection.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "atomdb/session/client_memory.h"
#include "atomdb/util/error.h"
#include "atomdb/util/hash.h"
#include "net/worker.h"

/* Unsent replies beyond which a client is no longer served. A client may write a long pipeline before it reads: this,
 * with the kernel's buffers, is how long its replies may be. */
#define BACKLOG_AUTHENTICATED ((size_t)1 << 20)
static struct connection *connection_of(struct session *s) {
	return list_entry(s, struct connection, session);
}

bool connection_is_behind(const struct connection *c) {
	if (__builtin_expect(c->output == NULL, 1))
		return false;
	return output_unsent(c) > (c->session.tenant != NULL ? BACKLOG_AUTHENTICATED : 0) || c->output->pinned != NULL;
}

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

/* Makes the worker watch the socket; 0 or -errno. */
static int enter(struct worker *w, struct connection *c) {
	c->worker = w;
	c->interest = EPOLLIN;
	struct epoll_event event = {.events = c->interest, .data.ptr = c};
	if (epoll_ctl(w->epoll, EPOLL_CTL_ADD, c->fd, &event) < 0)
		return -errno;
	/* Who came from another worker may have been there for longer than an unauthenticated client may stay. */
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
	if (enter(w, c) == 0)
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
	input_drop(c);
	output_drop(c);
	close(c->fd);
	free(c);
}

void connection_close(struct connection *c) {
	struct worker *w = c->worker;
	if (c->fd < 0)
		return;
	if (c->flags & CONNECTION_REPLIED)
		output_send_replies(w);
	/* It may have been sent here to open a tenant that its secret made, and goes before it was let in. */
	bool kept_out = c->session.tenant == NULL && (c->flags & CONNECTION_RUNNABLE) != 0;
	connection_uncharge(c);
	/* Its tenant may end with the session, and what it pins with it. */
	output_drop(c);
	session_deinit(&c->session);
	if (kept_out)
		registry_tidy(w->env.registry, w->number);
	input_drop(c);
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
	input_drop(c);
	output_drop(c);
	connection_uncharge(c);
	list_remove(&c->link);
	list_push_back(&w->evicted, &c->link);
}

void connection_close_evicted(struct worker *w) {
	while (!list_empty(&w->evicted))
		connection_close(list_entry(w->evicted.next, struct connection, link));
}

void connection_free_closed(struct worker *w) {
	list_for_each (node, &w->closed) {
		struct connection *c = list_entry(node, struct connection, link);
		list_remove(node);
		free(c);
	}
}

static void watch(struct connection *c, uint32_t interest) {
	if (c->interest == interest)
		return;
	struct epoll_event event = {.events = interest, .data.ptr = c};
	/* Only the want of kernel memory could make it fail, and not for a change. */
	if (epoll_ctl(c->worker->epoll, EPOLL_CTL_MOD, c->fd, &event) == 0)
		c->interest = interest;
}

/* Whether the peer has not yet taken what was sent. */
static bool is_in_flight(const struct connection *c) {
	int bytes;
	return ioctl(c->fd, SIOCOUTQ, &bytes) == 0 && bytes > 0;
}

/* Whether input waits that nobody will read. */
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
	if (c->flags & CONNECTION_REPLIED)
		output_send_replies(c->worker);
	input_drop(c);
	connection_uncharge(c);
	bool unsent = output_unsent(c) > 0;
	/* Closing a socket on which input has come in or still comes in makes the kernel throw away the replies that
	 * are on their way: until they have arrived the input is read, and dropped. */
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
	bool held_back = (c->flags & CONNECTION_RUNNABLE) || connection_is_behind(c);
	watch(c, (unsent > 0 ? (uint32_t)EPOLLOUT : 0) | (held_back ? 0 : (uint32_t)EPOLLIN));
}

void connection_arrive(struct worker *w, struct connection *c) {
	c->session.env = &w->env;
	if (enter(w, c) < 0) {
		session_deinit(&c->session);
		connection_discard(c);
		atomic_fetch_sub_explicit(&w->shared->clients, 1, memory_order_relaxed);
		return;
	}
	c->flags |= CONNECTION_RUNNABLE;
	if (c->flags & CONNECTION_OVERRUN)
		connection_close(c);
	else if (!connection_is_behind(c))
		input_resume(c);
	else if (connection_charge(c) < 0)
		connection_close(c);
	else
		connection_settle(c);
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
	/* What was pushed to it in this turn goes with it, and is sent from there. */
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

/* --- what it holds ---------------------------------------------------------------------------------------------- */

static uint64_t held_bytes(const struct connection *c) {
	uint64_t n = 0;
	if (c->pending != NULL)
		n += sizeof(*c->pending) + c->pending->bytes.cap + reader_memory(&c->pending->reader);
	if (c->output != NULL)
		n += output_memory(c->output);
	return n;
}

/* A charge may make the tenant evict keys, which clients are told of, and so change what this one holds, or make it go:
 * then it fails, and what is held is gone. */
static int charge_more(struct connection *c, uint64_t more, enum client_charge how) {
	struct worker *w = c->worker;
	if (c->session.tenant != NULL) {
		int error = client_memory_charge(c->session.tenant, &c->session, more, how);
		if (error < 0)
			return error;
		if (__builtin_expect(c->flags & CONNECTION_OVERRUN, 0)) {
			client_memory_discharge(c->session.tenant, more);
			return ATOMDB_E_OOM;
		}
	} else {
		if (more > WORKER_UNAUTHENTICATED_BYTES - w->unauthenticated_bytes)
			return ATOMDB_E_OOM;
		w->unauthenticated_bytes += more;
	}
	c->charged += more;
	return 0;
}

static int charge(struct connection *c, enum client_charge how) {
	uint64_t held = held_bytes(c);
	if (held > c->charged)
		return charge_more(c, held - c->charged,
				   how != CHARGE_LATER && held <= GRACE_BYTES ? CHARGE_LITTLE : how);
	uint64_t less = c->charged - held;
	if (less > 0 && c->session.tenant != NULL)
		client_memory_discharge(c->session.tenant, less);
	else
		c->worker->unauthenticated_bytes -= less;
	c->charged = held;
	return 0;
}

int connection_charge(struct connection *c) {
	return charge(c, c->pending != NULL ? CHARGE_INPUT : CHARGE_NOW);
}

int connection_charge_later(struct connection *c) {
	return charge(c, CHARGE_LATER);
}

int connection_charge_reply(struct connection *c, uint64_t bytes) {
	return charge_more(c, bytes, CHARGE_LATER);
}

void connection_uncharge(struct connection *c) {
	if (c->charged == 0)
		return;
	if (c->session.tenant != NULL)
		client_memory_discharge(c->session.tenant, c->charged);
	else
		c->worker->unauthenticated_bytes -= c->charged;
	c->charged = 0;
}

/* --- what others see of it -------------------------------------------------------------------------------------- */

static void format_address(const struct sockaddr_storage *from, char *out, size_t size) {
	char host[INET6_ADDRSTRLEN] = "";
	if (from->ss_family == AF_INET) {
		const struct sockaddr_in *v4 = (const struct sockaddr_in *)from;
		inet_ntop(AF_INET, &v4->sin_addr, host, sizeof(host));
		snprintf(out, size, "%s:%u", host, ntohs(v4->sin_port));
	} else if (from->ss_family == AF_INET6) {
		const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)from;
		inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof(host));
		snprintf(out, size, "[%s]:%u", host, ntohs(v6->sin6_port));
	} else if (from->ss_family == AF_UNIX) {
		const struct sockaddr_un *local = (const struct sockaddr_un *)from;
		snprintf(out, size, "%.*s:0", (int)(size - 3), local->sun_path);
	} else {
		snprintf(out, size, "?:0");
	}
}

/* A client of a Unix socket has no address of its own: both ends are the listener's. */
static void find_addresses(const struct connection *c, char *address, char *local_address, size_t size) {
	struct sockaddr_storage subscriber = {0}, own = {0};
	socklen_t length = sizeof(own);
	if (getsockname(c->fd, (struct sockaddr *)&own, &length) < 0)
		own.ss_family = AF_UNSPEC;
	length = sizeof(subscriber);
	if (getpeername(c->fd, (struct sockaddr *)&subscriber, &length) < 0)
		subscriber.ss_family = AF_UNSPEC;
	if (own.ss_family == AF_UNIX)
		subscriber = own;
	format_address(&subscriber, address, size);
	format_address(&own, local_address, size);
}

void connection_report(const struct connection *c, enum log_event_id id, struct slice bytes, const char *detail) {
	struct client_facts facts;
	find_addresses(c, facts.address, facts.local_address, sizeof(facts.address));
	const struct tenant *t = c->session.tenant;
	log_report(c->worker->env.events, &(struct log_event){
						  .id = id,
						  .tenant = t != NULL ? tenant_name(t) : NULL,
						  .client = facts.address,
						  .bytes = bytes,
						  .detail = detail,
					  });
}

static void host_describe(struct session *s, struct client_facts *facts) {
	struct connection *c = connection_of(s);
	*facts = (struct client_facts){
		.fd = c->fd,
		.query_bytes = c->pending != NULL ? c->pending->bytes.len : 0,
		.output_bytes = output_unsent(c),
		.memory = sizeof(*c) + held_bytes(c),
	};
	find_addresses(c, facts->address, facts->local_address, sizeof(facts->address));
}

static void host_close(struct session *s) {
	struct connection *c = connection_of(s);
	if (s->env->running == s)
		s->flags |= SESSION_CLOSING;
	else
		connection_close(c);
}

static void host_push(struct session *s, struct slice bytes) {
	struct connection *c = connection_of(s);
	struct worker *w = c->worker;
	if (s->env->running != s)
		output_push(c, bytes);
	else if (!writer_fits(&w->writer, bytes.len) || buffer_append(&w->output, bytes.data, bytes.len, SIZE_MAX) < 0)
		w->writer.failed = true;
}

static void host_push_shared(struct session *s, struct slice head, struct shared *shared) {
	if (s->env->running != s) {
		output_push_shared(connection_of(s), head, shared);
		return;
	}
	host_push(s, head);
	host_push(s, buffer_slice(&shared->bytes));
}

static void host_wake(struct environment *env) {
	list_entry(env, struct worker, env)->resume_ms = 0;
}

static void visit_list(struct list *l, void (*visit)(void *context, struct session *s), void *context) {
	list_for_each (node, l)
		visit(context, &list_entry(node, struct connection, link)->session);
}

static void host_each(struct environment *env, void (*visit)(void *context, struct session *s), void *context) {
	struct worker *w = list_entry(env, struct worker, env);
	visit_list(&w->unauthenticated, visit, context);
	visit_list(&w->authenticated, visit, context);
	visit_list(&w->lingering, visit, context);
}

static void host_send_monitor_feed(struct environment *env) {
	worker_send_monitor_feed(list_entry(env, struct worker, env));
}

static uint64_t host_held(const struct session *s) {
	const struct connection *c = list_entry(s, const struct connection, session);
	return c->charged + (c->output != NULL ? c->output->shared_bytes : 0);
}

static void report_evicted(const struct connection *c, uint64_t held) {
	char detail[64];
	snprintf(detail, sizeof(detail), "%llu bytes", (unsigned long long)held);
	connection_report(c, LOG_EVENT_CLIENT_EVICTED, (struct slice){0}, detail);
}

static void host_evict(struct session *s, uint64_t held) {
	struct connection *c = connection_of(s);
	report_evicted(c, held);
	connection_overrun(c);
}

void connection_report_evicted(const struct connection *c) {
	if (c->session.tenant != NULL)
		counter_add(&c->session.tenant->counters.clients_evicted, 1);
	report_evicted(c, held_bytes(c));
}

void connection_evict(struct connection *c) {
	if (c->flags & CONNECTION_OVERRUN)
		return;
	connection_report_evicted(c);
	connection_overrun(c);
}

/* IPv6 addresses of one network, a /64, are one host's to choose from. */
static uint64_t source_of_ip(const struct sockaddr_storage *from) {
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	uint8_t text[9] = {(uint8_t)from->ss_family};
	const uint8_t *v4 = NULL;
	if (from->ss_family == AF_INET) {
		v4 = (const uint8_t *)&((const struct sockaddr_in *)from)->sin_addr;
	} else {
		const struct in6_addr *v6 = &((const struct sockaddr_in6 *)from)->sin6_addr;
		if (IN6_IS_ADDR_LOOPBACK(v6))
			return 0;
		if (memcmp(v6->s6_addr, mapped, sizeof(mapped)) == 0)
			v4 = v6->s6_addr + sizeof(mapped);
		else
			memcpy(text + 1, v6->s6_addr, 8);
	}
	if (v4 != NULL) {
		if (v4[0] == 127)
			return 0;
		text[0] = AF_INET;
		memcpy(text + 1, v4, 4);
	}
	static const struct hash_seed seed = {0, 0};
	return hash_bytes(&seed, (const char *)text, sizeof(text)) | 1;
}

static uint64_t host_source(const struct session *s) {
	const struct connection *c = list_entry(s, const struct connection, session);
	struct sockaddr_storage from = {0};
	struct ucred subscriber;
	socklen_t length = sizeof(from);
	if (getpeername(c->fd, (struct sockaddr *)&from, &length) < 0)
		return 0;
	if (from.ss_family == AF_INET || from.ss_family == AF_INET6)
		return source_of_ip(&from);
	length = sizeof(subscriber);
	if (from.ss_family != AF_UNIX || getsockopt(c->fd, SOL_SOCKET, SO_PEERCRED, &subscriber, &length) < 0)
		return 0;
	return (uint64_t)1 << 32 | subscriber.uid;
}

static bool host_has_place(const struct session *s, const struct tenant *t) {
	return worker_has_place(list_entry(s->env, struct worker, env), t);
}

static void host_leaving(struct session *s) {
	struct connection *c = connection_of(s);
	connection_uncharge(c);
	if (output_unshare(c) < 0)
		s->flags |= SESSION_CLOSING;
}

const struct session_host connection_host = {
	.describe = host_describe,
	.close = host_close,
	.push = host_push,
	.push_shared = host_push_shared,
	.wake = host_wake,
	.each = host_each,
	.prepare_fanout = worker_prepare_fanout,
	.send_fanout = worker_send_fanout,
	.has_place = host_has_place,
	.source = host_source,
	.leaving = host_leaving,
	.send_monitor_feed = host_send_monitor_feed,
	.held = host_held,
	.evict = host_evict,
};
