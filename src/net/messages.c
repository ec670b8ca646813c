#include "net/messages.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "atomdb/store/registry_lifecycle.h"
#include "atomdb/store/shard_tenants.h"
#include "atomdb/store/tenant.h"
#include "net/accept.h"
#include "net/connection.h"
#include "net/fanout.h"
#include "net/input.h"
#include "net/output.h"
#include "net/pending.h"
#include "net/task.h"
#include "net/worker.h"

struct settings_message {
	struct message message;
	struct settings settings;
};

/* MESSAGE_LIMITS, MESSAGE_OPENED_LIMITS, MESSAGE_DEFAULTS (no tenant), MESSAGE_REMOVAL and MESSAGE_ORPHANED (no
 * limits). */
struct tenant_message {
	struct message message;
	struct tenant *tenant;
	struct tenant_limits limits;
};

struct accepted_message {
	struct message message;
	const struct listener *listener;
	int fd; /* owned */
};

int worker_post_settings(struct worker *w, const struct settings *settings) {
	struct settings_message *m = calloc(1, sizeof(*m));
	if (m == NULL)
		return -ENOMEM;
	m->message.kind = MESSAGE_SETTINGS;
	m->settings = *settings;
	inbox_post(&w->inbox, &m->message);
	return 0;
}

static int post_tenant(struct worker *w, enum message_kind kind, struct tenant *t, const struct tenant_limits *limits) {
	struct tenant_message *m = calloc(1, sizeof(*m));
	if (m == NULL)
		return -ENOMEM;
	m->message.kind = kind;
	m->tenant = t;
	if (limits != NULL)
		m->limits = *limits;
	inbox_post(&w->inbox, &m->message);
	return 0;
}

int worker_post_limits(struct worker *w, struct tenant *t, const struct tenant_limits *limits) {
	return post_tenant(w, MESSAGE_LIMITS, t, limits);
}

int worker_post_opened_limits(struct worker *w, struct tenant *t, const struct tenant_limits *limits) {
	return post_tenant(w, MESSAGE_OPENED_LIMITS, t, limits);
}

int worker_post_defaults(struct worker *w, const struct tenant_limits *limits) {
	return post_tenant(w, MESSAGE_DEFAULTS, NULL, limits);
}

int worker_post_removal(struct worker *w, struct tenant *t) {
	return post_tenant(w, MESSAGE_REMOVAL, t, NULL);
}

static void post_accepted(struct worker *w, const struct listener *l, int fd) {
	struct accepted_message *m = calloc(1, sizeof(*m));
	if (m == NULL) {
		close(fd);
		return;
	}
	*m = (struct accepted_message){{.kind = MESSAGE_ACCEPTED}, l, fd};
	inbox_post(&w->inbox, &m->message);
}

/* Distributes the connections that wait at a listener over the workers, up to a full queue. */
static void accept_waiting(struct worker_shared *shared, const struct listener *l) {
	for (unsigned i = 0; i < LISTENER_BACKLOG; i++) {
		int fd = accept4(listener_fd(l), NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0)
			return;
		post_accepted(shared->workers[i % shared->worker_count], l, fd);
	}
}

void worker_end_listener(struct worker_shared *shared, struct listener *l) {
	accept_waiting(shared, l);
	listener_refuse(l);
	/* A Unix socket still delivers clients that connected between the two calls. */
	accept_waiting(shared, l);
}

int worker_post_orphaned(struct worker *w, struct tenant *t) {
	return post_tenant(w, MESSAGE_ORPHANED, t, NULL);
}

void worker_ping(struct worker *w) {
	atomic_fetch_add_explicit(&w->pings, 1, memory_order_relaxed);
	inbox_wake(&w->inbox);
}

void worker_wake(struct worker *w) {
	inbox_wake(&w->inbox);
}

void worker_stop(struct worker *w, unsigned timeout_ms) {
	atomic_store_explicit(&w->stop_request, (uint64_t)timeout_ms + 1, memory_order_release);
	inbox_wake(&w->inbox);
}

void worker_freeze(struct worker *w) {
	atomic_store_explicit(&w->stop_request, STOP_FROZEN, memory_order_release);
	inbox_wake(&w->inbox);
}

#ifdef ATOMDB_TEST_HOOKS
void worker_test_hang(struct worker *w, bool hang) {
	atomic_store(&w->hang, hang);
	inbox_wake(&w->inbox);
}
#endif

/* Closes all clients of a tenant that has clients. The tenant may end with the last of them. Some may leave later. */
static void close_clients(struct tenant *t) {
	struct list *next = t->clients.sessions.next, *node;
	const struct list *end = &t->clients.sessions;
	do {
		node = next;
		next = node->next;
		struct session *s = list_entry(node, struct session, tenant_link);
		connection_close(list_entry(s, struct connection, session));
	} while (next != end);
}

void worker_take_accepted(struct worker *w, struct message *m) {
	struct accepted_message *a = (struct accepted_message *)(void *)m;
	accept_admit(w, a->listener, a->fd);
	free(a);
}

/* Removes a tenant. If it has clients, the last one that leaves calls registry_remove_done, and `t` is freed. */
static void remove_tenant(struct worker *w, struct tenant *t) {
	t->clients.removed = true;
	if (list_empty(&t->clients.sessions))
		registry_remove_done(w->env.registry, t);
	else
		close_clients(t);
}

/* Closes the clients of an orphaned tenant, which exists at least until registry_orphan_told. */
static void orphan_tenant(struct worker *w, struct tenant *t) {
	if (tenant_orphaned(t) && !list_empty(&t->clients.sessions))
		close_clients(t);
	registry_orphan_told(w->env.registry, t);
}

/* Serves a connection that another worker sent. */
static void take_connection(struct worker *w, struct message *m) {
	/* The message is part of the connection. */
	struct connection *c = ((struct pending *)(void *)m)->connection;
	c->session.env = &w->env;
	if (connection_enter(w, c) < 0) {
		session_deinit(&c->session);
		connection_discard(c);
		atomic_fetch_sub_explicit(&w->shared->clients, 1, memory_order_relaxed);
		return;
	}
	c->flags |= CONNECTION_RUNNABLE;
	if (c->flags & CONNECTION_OVERRUN)
		connection_close(c);
	else if (!output_is_behind(c))
		input_resume(c);
	else if (connection_charge(c) < 0)
		connection_close(c);
	else
		connection_settle(c);
}

/* Has a message that ends clients of a tenant wait for the tenant's suspended command. Returns false if there is none.
 */
static bool wait_for_task(const struct tenant_message *m) {
	struct tenant *t = m->tenant;
	if (t->clients.task == NULL)
		return false;
	if (m->message.kind == MESSAGE_REMOVAL) {
		t->clients.removed = true;
		task_cancel(t->clients.task);
	}
	task_hold_message(t->clients.task, (struct message *)(void *)m);
	return true;
}

void worker_handle_message(struct worker *w, struct message *m) {
	struct settings_message *s = (struct settings_message *)(void *)m;
	struct tenant_message *t = (struct tenant_message *)(void *)m;
	if ((m->kind == MESSAGE_REMOVAL || m->kind == MESSAGE_ORPHANED) && wait_for_task(t))
		return;
	switch (m->kind) {
	case MESSAGE_CONNECTION:
		take_connection(w, m);
		return;
	case MESSAGE_SETTINGS:
		w->env.settings = s->settings;
		worker_want_sweep(w);
		break;
	case MESSAGE_LIMITS:
		tenant_set_limits(t->tenant, &t->limits, w->env.now_ns);
		session_follow_limits(t->tenant);
		break;
	case MESSAGE_OPENED_LIMITS:
		tenant_set_limits(t->tenant, &t->limits, w->env.now_ns);
		registry_limits_told(w->env.registry, t->tenant);
		break;
	case MESSAGE_DEFAULTS:
		for (unsigned i = 0; i < w->shard_count; i++)
			shard_set_defaults(w->shards[i], &t->limits);
		break;
	case MESSAGE_REMOVAL:
		remove_tenant(w, t->tenant);
		break;
	case MESSAGE_ACCEPTED:
		worker_take_accepted(w, m);
		return;
	case MESSAGE_ORPHANED:
		orphan_tenant(w, t->tenant);
		break;
	case MESSAGE_FANOUT:
	case MESSAGE_ANSWER:
	case MESSAGE_MONITOR:
		worker_take_fanout(w, m);
		return;
	}
	free(m);
}

void worker_read_inbox(struct worker *w) {
	struct message *m = inbox_take(&w->inbox);
	while (m != NULL) {
		/* worker_handle_message() frees the message. */
		struct message *next = m->next;
		counter_add(&w->counters.messages, 1);
		worker_handle_message(w, m);
		m = next;
	}
	uint64_t pings = atomic_exchange_explicit(&w->pings, 0, memory_order_relaxed);
	counter_add(&w->counters.pongs, pings);
	if (pings > 0)
		registry_take_up(w->env.registry, w->number);
}

void worker_discard_inbox(struct worker *w) {
	struct message *m = inbox_take(&w->inbox);
	while (m != NULL) {
		struct message *next = m->next;
		if (m->kind == MESSAGE_CONNECTION) {
			struct connection *c = ((struct pending *)(void *)m)->connection;
			c->session.env = &w->env;
			session_deinit(&c->session);
			connection_discard(c);
			atomic_fetch_sub_explicit(&w->shared->clients, 1, memory_order_relaxed);
		} else if (m->kind >= MESSAGE_FANOUT) {
			worker_drop_fanout(m);
		} else {
			if (m->kind == MESSAGE_ACCEPTED)
				close(((struct accepted_message *)(void *)m)->fd);
			free(m);
		}
		m = next;
	}
}
