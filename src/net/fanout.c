/* How calls get to those who answer them, and lines for the operator's MONITOR to the operator. */
#include "atomdb/session/fanout.h"

#include <errno.h>
#include <stdlib.h>

#include "net/connection.h"
#include "net/worker.h"

/* Lines for the operator's MONITOR that may be on their way together; more are lost. */
#define WATCH_BYTES ((uint64_t)16 << 20)

/* MESSAGE_CALL and MESSAGE_ANSWER. All that a call needs are made with it: one for each worker, the last for the
 * answer. They are the call's, and end with it. */
struct envelope {
	struct message message;
	struct call *call;
};

struct watch_message {
	struct message message;
	struct worker_shared *shared;
	uint64_t counted; /* in shared->watch_bytes */
	struct buffer lines;
	bool lost;
};

int worker_prepare_call(struct environment *env, struct call *c) {
	(void)env;
	struct envelope *all = calloc((size_t)c->workers + 1, sizeof(*all));
	if (all == NULL)
		return -ENOMEM;
	for (unsigned i = 0; i <= c->workers; i++)
		all[i] = (struct envelope){{NULL, i < c->workers ? MESSAGE_CALL : MESSAGE_ANSWER}, c};
	c->envelopes = all;
	return 0;
}

static void post(struct worker_shared *shared, struct call *c, unsigned worker) {
	struct envelope *all = c->envelopes;
	inbox_post(&shared->workers[worker]->inbox, &all[worker].message);
}

static void answer(struct worker_shared *shared, struct call *c) {
	struct envelope *all = c->envelopes;
	if (call_answered(c))
		inbox_post(&shared->workers[c->worker]->inbox, &all[c->workers].message);
}

void worker_send_call(struct environment *env, struct call *c) {
	struct worker_shared *shared = list_entry(env, struct worker, env)->shared;
	if (c->kind->part == NULL) {
		shared->control.ask(shared->control.context, c);
		return;
	}
	/* It may end with the last of them. */
	unsigned workers = c->workers, own = env->worker;
	for (unsigned i = 0; i < workers; i++) {
		if (i != own)
			post(shared, c, i);
	}
}

void worker_answer_behind_all(struct worker_shared *shared, struct call *c) {
	unsigned workers = c->workers;
	atomic_store_explicit(&c->waiting, workers, memory_order_relaxed);
	for (unsigned i = 0; i < workers; i++)
		post(shared, c, i);
}

void worker_discard_call(struct call *c) {
	if (call_answered(c))
		call_free(c);
}

/* Where the operator does not take the lines, there is an end: he is told by being closed. */
void worker_send_watched(struct worker *w) {
	struct buffer *lines = &w->env.feed.lines;
	struct watch_message *m = calloc(1, sizeof(*m));
	if (m == NULL) {
		lines->len = 0;
		return;
	}
	uint64_t before = atomic_fetch_add_explicit(&w->shared->watch_bytes, lines->len, memory_order_relaxed);
	*m = (struct watch_message){
		{NULL, MESSAGE_WATCH}, w->shared, lines->len, *lines, before > WATCH_BYTES || w->env.feed.lost};
	w->env.feed.lost = false;
	buffer_init(lines);
	if (m->lost)
		buffer_deinit(&m->lines);
	inbox_post(&w->shared->workers[w->env.feed.worker]->inbox, &m->message);
}

static void free_watched(struct watch_message *m) {
	atomic_fetch_sub_explicit(&m->shared->watch_bytes, m->counted, memory_order_relaxed);
	buffer_deinit(&m->lines);
	free(m);
}

void worker_take_call(struct worker *w, struct message *m) {
	struct call *c = ((struct envelope *)(void *)m)->call;
	struct watch_message *watched = (struct watch_message *)(void *)m;
	switch (m->kind) {
	case MESSAGE_CALL:
		if (c->kind->part != NULL)
			c->kind->part(&w->env, c, &c->answers[w->number]);
		answer(w->shared, c);
		break;
	case MESSAGE_ANSWER:
		call_done(&w->env, c);
		break;
	default:
		session_watched(&w->env, buffer_slice(&watched->lines), watched->lost);
		free_watched(watched);
	}
}

void worker_end_call(struct worker *w, struct message *m) {
	struct call *c = ((struct envelope *)(void *)m)->call;
	if (m->kind == MESSAGE_ANSWER || call_answered(c))
		call_done(&w->shared->workers[c->worker]->env, c);
}

void worker_drop_call(struct message *m) {
	if (m->kind == MESSAGE_WATCH)
		free_watched((struct watch_message *)(void *)m);
	else if (m->kind == MESSAGE_ANSWER)
		call_free(((struct envelope *)(void *)m)->call);
	else
		worker_discard_call(((struct envelope *)(void *)m)->call);
}
