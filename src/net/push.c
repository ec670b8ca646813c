#include "net/push.h"

#include <errno.h>

#include "net/connection.h"
#include "net/output.h"
#include "net/pending.h"
#include "net/task.h"
#include "net/worker.h"

/* Pushed bytes above this size are sent before the turn ends. */
#define PUSH_EARLY ((size_t)256 << 10)
/* Clients that one turn sends to at least. */
#define FLUSHED_LEAST 16

/* Holds the bytes that a suspended command pushes until the command has ended. */
static void hold_back(struct connection *c, struct task *k) {
	struct output *o = c->output;
	if (o->held == k->number)
		return;
	output_hold_back(o, k->number);
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
		output_queue(c);
	output_compact(c->output, PUSH_EARLY);
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

/* Sends the output of a client. May end its tenant. */
static void flush_client(struct connection *c) {
	struct worker *w = c->worker;
	list_remove(&c->output->push);
	cpu_time_enter(&w->cpu, c->session.tenant);
	bool failed = output_flush(c) < 0;
	cpu_time_leave(&w->cpu);
	if (failed) {
		connection_close(c);
		return;
	}
	if (c->flags & CONNECTION_FINISHED)
		return;
	if (connection_charge(c) < 0) {
		connection_evict(c);
		return;
	}
	/* If the socket took all of it, epoll does not report it. */
	pending_wake(c);
	connection_settle(c);
}

static struct connection *first_of(const struct list *outputs) {
	return list_entry(outputs->next, struct output, push)->connection;
}

/* Takes the next client of the next tenant, which comes last then. Returns NULL if the tenant has none left. */
static struct connection *next_client(struct worker *w) {
	struct tenant *t = list_entry(w->pushing.next, struct tenant, clients.pushing);
	const struct list *outputs = &t->clients.pushed;
	list_remove(&t->clients.pushing);
	if (list_empty(outputs))
		return NULL;
	if (outputs->next != outputs->prev)
		list_push_back(&w->pushing, &t->clients.pushing);
	return first_of(outputs);
}

void push_flush(struct worker *w) {
	w->part_begin = clock_ticks();
	while (!list_empty(&w->pushed))
		flush_client(first_of(&w->pushed));
	for (unsigned i = 0; !list_empty(&w->pushing) && (i < FLUSHED_LEAST || worker_has_time(w)); i++) {
		struct connection *c = next_client(w);
		if (c != NULL)
			flush_client(c);
	}
}
