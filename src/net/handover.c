#include "atomdb/net/handover.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "atomdb/command/call.h"
#include "atomdb/command/handover.h"
#include "atomdb/util/error.h"
#include "net/connection.h"
#include "net/worker.h"

/* The flags that are a state of their own. */
#define KEPT_FLAGS ((unsigned)(CONNECTION_GREETED | CONNECTION_MEMBER | CONNECTION_FINISHED | CONNECTION_ENDED))

/* Written with them: of a value that is being sent, the arena keeps the rest. A release that does not know this takes
 * no client with such a flag, rather than leave the rest out. */
#define FLAG_LENT (1u << 8)
#define ALL_FLAGS (UINT8_MAX | FLAG_LENT)

/* --- writing ---------------------------------------------------------------------------------------------------- */

static void pack_connection(const struct connection *c, struct pack *p) {
	const struct pending *in = c->pending;
	size_t begin = pack_begin(p);
	pack_number(p, c->session.tenant != NULL);
	if (c->session.tenant != NULL)
		tenant_pack_identity(c->session.tenant, p);
	session_pack(&c->session, p);
	pack_number(p, (c->flags & KEPT_FLAGS) | (output_is_lent(c) ? FLAG_LENT : 0));
	pack_bytes(p, in != NULL ? buffer_slice(&in->bytes) : (struct slice){NULL, 0});
	output_pack(c, p);
	session_pack_id(&c->session, p);
	if (output_is_lent(c))
		output_pack_lent(c, p);
	pack_end(p, begin);
}

static size_t pack_one(const struct connection *c, struct pack *p, struct buffer *sockets) {
	pack_connection(c, p);
	if (p->error == 0)
		p->error = buffer_append(sockets, &c->fd, sizeof(c->fd), SIZE_MAX);
	return 1;
}

void worker_take_arrivals(struct worker *w) {
	struct message *m = inbox_take(&w->inbox);
	while (m != NULL) {
		struct message *next = m->next;
		if (m->kind == MESSAGE_CONNECTION) {
			struct connection *c = ((struct pending *)(void *)m)->connection;
			c->worker = w;
			c->session.env = &w->env;
			list_push_back(&w->strangers, &c->link);
			counter_add(&w->figures.clients, 1);
		} else if (m->kind == MESSAGE_CALL || m->kind == MESSAGE_ANSWER) {
			worker_end_call(w, m);
		} else if (m->kind == MESSAGE_WATCH) {
			worker_take_call(w, m);
		} else if (m->kind == MESSAGE_ACCEPTED) {
			worker_take_accepted(w, m);
		} else {
			free(m);
		}
		m = next;
	}
}

/* Whether the control plane did what the client waits to hear of: the next process would do it again. To stop is done
 * in any case, and nothing that the next one should do. */
static bool was_obeyed(const struct session *s) {
	const struct call *call = call_of(s);
	return call != NULL && call->kind->part == NULL && (call->done || call->kind->control == CONTROL_SHUTDOWN);
}

size_t worker_pack_clients(struct worker *w, struct pack *p, struct buffer *sockets) {
	const struct list *lists[] = {&w->strangers, &w->members, &w->lingering};
	size_t count = 0;
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		for (const struct list *node = lists[i]->next; node != lists[i]; node = node->next) {
			const struct connection *c = list_entry(node, struct connection, link);
			if (!was_obeyed(&c->session))
				count += pack_one(c, p, sockets);
			if (w->shared->control.packed != NULL)
				w->shared->control.packed(w->shared->control.context);
		}
	}
	return count;
}

/* --- reading ---------------------------------------------------------------------------------------------------- */

static int check_socket(int fd) {
	int type = 0;
	socklen_t size = sizeof(type);
	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) < 0)
		return -errno;
	int flags = fcntl(fd, F_GETFL);
	if (flags < 0)
		return -errno;
	return type == SOCK_STREAM && (flags & O_NONBLOCK) ? 0 : ATOMDB_E_FORMAT;
}

/* NULL: it has none. */
static int find_tenant(struct worker_shared *shared, struct unpack *u, struct tenant **out) {
	*out = NULL;
	if (unpack_up_to(u, 1) == 0)
		return u->failed ? ATOMDB_E_FORMAT : 0;
	struct tenant_identity identity;
	int error = tenant_unpack_identity(u, &identity);
	return error != 0 ? error : registry_resume(shared->registry, &identity, out);
}

/* Brings back what is behind the session. */
static int unpack_rest(struct connection *c, struct unpack *u) {
	unsigned flags = (unsigned)unpack_up_to(u, ALL_FLAGS);
	struct slice in = unpack_bytes(u), out = unpack_bytes(u);
	if (u->failed)
		return ATOMDB_E_FORMAT;
	session_unpack_id(&c->session, u);
	c->flags |= (uint8_t)(flags & KEPT_FLAGS & ~(unsigned)CONNECTION_FINISHED);
	if (c->flags & CONNECTION_MEMBER) {
		list_remove(&c->link);
		list_push_back(&c->worker->members, &c->link);
	}
	int error = out.len > 0 ? output_hold(c, out) : 0;
	if (error == 0 && (flags & FLAG_LENT))
		error = output_unpack_lent(c, u);
	if (error == 0 && in.len > 0)
		error = input_hold(c, in);
	if (error == 0)
		error = connection_charge(c);
	if (error == 0 && (flags & CONNECTION_FINISHED))
		connection_finish(c);
	else if (error == 0)
		connection_settle(c);
	return error;
}

int worker_resume_client(struct worker_shared *shared, unsigned turn, int fd, struct slice state) {
	struct unpack u = {.rest = state};
	struct tenant *t;
	int error = check_socket(fd);
	if (error == 0)
		error = find_tenant(shared, &u, &t);
	if (error != 0) {
		close(fd);
		return error;
	}
	struct worker *w = shared->workers[t != NULL ? shard_worker(t->shard) : turn % shared->worker_count];
	w->env.registry = shared->registry;
	struct connection *c = connection_new(w, fd, 0);
	if (c == NULL)
		return -ENOMEM;
	atomic_fetch_add_explicit(&shared->clients, 1, memory_order_relaxed);
	c->session.flags |= SESSION_RESUMED;
	if (t != NULL)
		error = session_attach(&c->session, t);
	c->session.flags &= ~(uint32_t)SESSION_RESUMED;
	if (error == 0)
		error = session_unpack(&c->session, &u);
	if (error == 0)
		error = unpack_rest(c, &u);
	if (error != 0)
		connection_close(c);
	connection_bury(w);
	return error;
}

void worker_link_clients(struct worker *w) {
	list_for_each (node, &w->members) {
		struct session *s = &list_entry(node, struct connection, link)->session;
		if (!session_link(s))
			continue;
		for (unsigned i = 0; i < w->shared->worker_count; i++)
			session_feed(s, &w->shared->workers[i]->env);
	}
}
