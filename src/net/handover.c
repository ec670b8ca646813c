#include "atomdb/net/handover.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "atomdb/dispatch/handover.h"
#include "atomdb/session/fanout.h"
#include "atomdb/store/shard.h"
#include "atomdb/store/tenant.h"
#include "atomdb/util/error.h"
#include "net/connection.h"
#include "net/fanout.h"
#include "net/messages.h"
#include "net/output.h"
#include "net/pending.h"
#include "net/worker.h"

struct connection_record {
	uint64_t flags;       /* enum connection_flag */
	struct slice tenant;  /* a record; data is NULL: absent */
	struct slice session; /* a record */
	struct slice input, output;
	struct slice pinned; /* see output_serialize_pinned; data is NULL: absent */
};

#define FLAG(name, flag) \
	{ name, FIELD_FLAG, offsetof(struct connection_record, flags), flag, 0 }
#define BYTES(name, member) \
	{ name, FIELD_BYTES, offsetof(struct connection_record, member), SIZE_MAX, 0 }
/* Describes the rest of a value in the arena. A release that does not know this field must not send the bytes before
 * and behind the value. */
#define PINNED "!lent"

/* The other flags follow from the rest of the record. */
static const struct field fields[] = {
	FLAG("member", CONNECTION_AUTHENTICATED),
	FLAG("greeted", CONNECTION_GREETED),
	FLAG("finished", CONNECTION_FINISHED),
	FLAG("ended", CONNECTION_ENDED),
	BYTES("tenant", tenant),
	BYTES("session", session),
	BYTES("input", input),
	BYTES("output", output),
	BYTES(PINNED, pinned),
};
#define FIELDS (sizeof(fields) / sizeof(fields[0]))

#undef FLAG
#undef BYTES

/* --- writing ---------------------------------------------------------------------------------------------------- */

static void serialize_connection(const struct connection *c, struct serializer *out) {
	const struct connection_record r = {
		.flags = c->flags,
		.input = c->pending != NULL ? buffer_slice(&c->pending->bytes) : (struct slice){NULL, 0},
	};
	size_t element = serialize_begin(out, SERIALIZE_ELEMENT), begin;
	serialize_record(out, fields, FIELDS, &r);
	if (c->session.tenant != NULL) {
		begin = serialize_begin(out, "tenant");
		tenant_serialize_identity(c->session.tenant, out);
		serialize_end(out, begin);
	}
	begin = serialize_begin(out, "session");
	session_serialize(&c->session, out);
	serialize_end(out, begin);
	output_serialize(c, out, "output");
	output_serialize_pinned(c, out, PINNED);
	serialize_end(out, element);
}

static size_t serialize_one(const struct connection *c, struct serializer *out, struct buffer *sockets) {
	serialize_connection(c, out);
	if (out->error == 0)
		out->error = buffer_append(sockets, &c->fd, sizeof(c->fd), SIZE_MAX);
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
			list_push_back(&w->unauthenticated, &c->link);
			counter_add(&w->counters.clients, 1);
		} else if (m->kind == MESSAGE_FANOUT || m->kind == MESSAGE_ANSWER) {
			worker_end_fanout(w, m);
		} else if (m->kind == MESSAGE_MONITOR) {
			worker_take_fanout(w, m);
		} else if (m->kind == MESSAGE_ACCEPTED) {
			worker_take_accepted(w, m);
		} else {
			free(m);
		}
		m = next;
	}
}

/* Returns whether the control plane has run the command that the client waits for, or is running it, as SHUTDOWN. The
 * next process would run it again. */
static bool was_obeyed(const struct session *s) {
	const struct fanout *fanout = fanout_of(s);
	return fanout != NULL && fanout->kind->on_worker == NULL &&
	       (fanout->done || fanout->kind->control == CONTROL_SHUTDOWN);
}

size_t worker_serialize_clients(struct worker *w, struct serializer *out, struct buffer *sockets) {
	const struct list *lists[] = {&w->unauthenticated, &w->authenticated, &w->lingering};
	size_t count = 0;
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		for (const struct list *node = lists[i]->next; node != lists[i]; node = node->next) {
			const struct connection *c = list_entry(node, struct connection, link);
			if (!was_obeyed(&c->session))
				count += serialize_one(c, out, sockets);
			if (w->shared->control.serialized != NULL)
				w->shared->control.serialized(w->shared->control.context);
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

/* Finds the tenant of a record. `*out` is NULL if the client has none. Returns 0 or an error. */
static int find_tenant(struct worker_shared *shared, struct slice record, struct tenant **out) {
	struct tenant_identity identity;
	*out = NULL;
	if (record.data == NULL)
		return 0;
	int error = tenant_deserialize_identity(record, &identity);
	return error != 0 ? error : registry_resume(shared->registry, &identity, out);
}

/* Restores the state of the connection, after its session. */
static int restore(struct connection *c, const struct connection_record *r) {
	c->flags |= (uint16_t)(r->flags & ~(uint64_t)CONNECTION_FINISHED);
	if (c->flags & CONNECTION_AUTHENTICATED) {
		list_remove(&c->link);
		list_push_back(&c->worker->authenticated, &c->link);
	}
	int error = r->output.len > 0 ? output_hold(c, r->output) : 0;
	if (error == 0 && r->pinned.data != NULL)
		error = output_deserialize_pinned(c, r->pinned);
	if (error == 0 && r->input.len > 0)
		error = pending_hold(c, r->input);
	if (error == 0)
		error = connection_charge(c);
	if (error == 0 && (r->flags & CONNECTION_FINISHED))
		connection_finish(c);
	else if (error == 0)
		connection_settle(c);
	return error;
}

int worker_resume_client(struct worker_shared *shared, unsigned turn, int fd, struct slice record) {
	struct connection_record r;
	struct tenant *t;
	int error = check_socket(fd);
	if (error == 0)
		error = deserialize_record(record, fields, FIELDS, &r);
	if (error == 0)
		error = find_tenant(shared, r.tenant, &t);
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
		error = session_deserialize(&c->session, r.session);
	if (error == 0)
		error = restore(c, &r);
	if (error != 0)
		connection_close(c);
	connection_free_closed(w);
	return error;
}

void worker_link_clients(struct worker *w) {
	list_for_each (node, &w->authenticated) {
		struct session *s = &list_entry(node, struct connection, link)->session;
		if (!session_link(s))
			continue;
		for (unsigned i = 0; i < w->shared->worker_count; i++)
			session_count_feed(s, &w->shared->workers[i]->env);
	}
}
