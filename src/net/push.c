#include "net/push.h"

#include <errno.h>

#include "net/connection.h"
#include "net/output.h"
#include "net/pending.h"
#include "net/task.h"
#include "net/worker.h"

/* Pushed bytes above this size are sent before the turn ends. */
#define PUSH_EARLY ((size_t)256 << 10)

/* Holds the bytes that a suspended command pushes until the command has ended. */
static void hold_back(struct connection *c, struct task *k) {
	struct output *o = c->output;
	if (o->held)
		return;
	output_hold_back(o);
	list_remove(&o->push);
	list_push_back(&k->pushed, &o->push);
	if (c->interest & EPOLLOUT)
		connection_settle(c);
}

/* Prepares the output for pushed bytes. Returns NULL if the client receives no more. */
static struct output *begin_push(struct connection *c) {
	struct worker *w = c->worker;
	if (c->flags & (CONNECTION_FINISHED | CONNECTION_OVERRUN))
		return NULL;
	/* Pushed bytes follow the replies. */
	if (c->flags & CONNECTION_REPLIED)
		output_send_replies(w);
	/* Closing the connection shows the client that a message is lost. */
	if (c->output == NULL && output_make(c) < 0) {
		connection_overrun(c);
		return NULL;
	}
	struct task *k = c->session.tenant != NULL ? c->session.tenant->clients.task : NULL;
	if (__builtin_expect(k != NULL, 0))
		hold_back(c, k);
	else if (!list_linked(&c->output->push))
		list_push_back(&w->pushed, &c->output->push);
	output_compact(c->output);
	return c->output;
}

/* Sends large output early, and closes a client that does not read. */
static void end_push(struct connection *c, uint64_t before) {
	if (output_unread(c) > PUSH_EARLY)
		(void)output_send_held(c);
	if (output_check_limit(c) < 0)
		connection_overrun(c);
	else if (output_memory(c->output) > before && connection_charge_later(c) < 0)
		connection_evict(c);
}

void push_bytes(struct connection *c, struct slice bytes) {
	struct output *o = begin_push(c);
	if (o == NULL)
		return;
	uint64_t before = output_memory(o);
	if (buffer_append(&o->bytes, bytes.data, bytes.len, SIZE_MAX) < 0)
		connection_overrun(c);
	else
		end_push(c, before);
}

void push_shared(struct connection *c, struct slice head, struct shared *shared) {
	struct output *o = begin_push(c);
	if (o == NULL)
		return;
	uint64_t before = output_memory(o);
	if (buffer_append(&o->bytes, head.data, head.len, SIZE_MAX) < 0 ||
	    output_insert(c, buffer_slice(&shared->bytes), NULL, shared_buffer_hold(shared)) == NULL)
		connection_overrun(c);
	else
		end_push(c, before);
}

void push_flush(struct worker *w) {
	while (!list_empty(&w->pushed)) {
		struct connection *c = list_entry(w->pushed.next, struct output, push)->connection;
		list_remove(&c->output->push);
		cpu_time_enter(&w->cpu, c->session.tenant);
		bool failed = output_flush(c) < 0;
		cpu_time_leave(&w->cpu);
		if (failed) {
			connection_close(c);
			continue;
		}
		if (c->flags & CONNECTION_FINISHED)
			continue;
		if (connection_charge(c) < 0) {
			connection_evict(c);
			continue;
		}
		/* If the socket took all of it, epoll does not report it. */
		pending_wake(c);
		connection_settle(c);
	}
}
