#include "net/fanout.h"

#include <errno.h>
#include <stdlib.h>

#include "atomdb/events/monitor.h"
#include "atomdb/session/fanout.h"
#include "net/connection.h"
#include "net/worker.h"

/* Most bytes of lines for the operator's MONITOR in all inboxes. Further lines are lost. */
#define MONITOR_BYTES ((uint64_t)16 << 20)

/* MESSAGE_FANOUT and MESSAGE_ANSWER. A fanout owns an array of them: one for each worker, and the last one for the
 * answer. */
struct envelope {
	struct message message;
	struct fanout *fanout;
};

/* A visit of all sessions of a worker. In memory, the visits of a fanout, one for each worker, follow its envelopes. */
struct visit {
	struct list link; /* in worker->visits */
	struct fanout *fanout;
	uint32_t number; /* not 0 */
};

static struct visit *visits_of(const struct fanout *c) {
	return (struct visit *)(void *)((struct envelope *)c->envelopes + c->workers + 1);
}

struct monitor_message {
	struct message message;
	struct worker_shared *shared;
	uint64_t counted; /* bytes that it adds to shared->monitor_bytes */
	struct buffer lines;
	bool lost;
};

int worker_prepare_fanout(struct environment *env, struct fanout *c) {
	struct worker_shared *shared = list_entry(env, struct worker, env)->shared;
	size_t bytes = ((size_t)c->workers + 1) * sizeof(struct envelope) + c->workers * sizeof(struct visit);
	struct envelope *all = calloc(1, bytes);
	if (all == NULL)
		return -ENOMEM;
	for (unsigned i = 0; i <= c->workers; i++)
		all[i] = (struct envelope){{NULL, i < c->workers ? MESSAGE_FANOUT : MESSAGE_ANSWER}, c};
	c->envelopes = all;
	/* One number for all workers: a client that moves to another worker is visited once. */
	uint32_t number = atomic_fetch_add_explicit(&shared->visits, 1, memory_order_relaxed) + 1;
	for (unsigned i = 0; i < c->workers; i++)
		visits_of(c)[i] = (struct visit){.fanout = c, .number = number != 0 ? number : 1};
	return 0;
}

static void post(struct worker_shared *shared, struct fanout *c, unsigned worker) {
	struct envelope *all = c->envelopes;
	inbox_post(&shared->workers[worker]->inbox, &all[worker].message);
}

static void answer(struct worker_shared *shared, struct fanout *c) {
	struct envelope *all = c->envelopes;
	if (fanout_answered(c))
		inbox_post(&shared->workers[c->worker]->inbox, &all[c->workers].message);
}

void worker_send_fanout(struct environment *env, struct fanout *c) {
	struct worker_shared *shared = list_entry(env, struct worker, env)->shared;
	if (c->kind->on_worker == NULL && c->kind->on_session == NULL) {
		shared->control.ask(shared->control.context, c);
		return;
	}
	/* The fanout may be freed with the last message. */
	unsigned workers = c->workers, own = env->worker;
	for (unsigned i = 0; i < workers; i++) {
		if (i != own)
			post(shared, c, i);
	}
}

void worker_answer_behind_all(struct worker_shared *shared, struct fanout *c) {
	unsigned workers = c->workers;
	atomic_store_explicit(&c->waiting, workers, memory_order_relaxed);
	for (unsigned i = 0; i < workers; i++)
		post(shared, c, i);
}

void worker_discard_fanout(struct fanout *c) {
	if (fanout_answered(c))
		fanout_free(c);
}

/* If the operator does not read, lines are lost and the operator's connection is closed. */
void worker_send_monitor_feed(struct worker *w) {
	struct buffer *lines = &w->env.feed.lines;
	struct monitor_message *m = calloc(1, sizeof(*m));
	if (m == NULL) {
		lines->len = 0;
		return;
	}
	uint64_t before = atomic_fetch_add_explicit(&w->shared->monitor_bytes, lines->len, memory_order_relaxed);
	*m = (struct monitor_message){
		{NULL, MESSAGE_MONITOR}, w->shared, lines->len, *lines, before > MONITOR_BYTES || w->env.feed.lost};
	w->env.feed.lost = false;
	buffer_init(lines);
	if (m->lost)
		buffer_deinit(&m->lines);
	inbox_post(&w->shared->workers[w->env.feed.worker]->inbox, &m->message);
}

static void free_monitor_message(struct monitor_message *m) {
	atomic_fetch_sub_explicit(&m->shared->monitor_bytes, m->counted, memory_order_relaxed);
	buffer_deinit(&m->lines);
	free(m);
}

/* --- visits of all sessions --------------------------------------------------------------------------------------- */

/* Visits at least one session of the list, and more while the turn has time. Returns whether some may be left. */
static bool visit_list(struct worker *w, const struct visit *v, struct list *connections) {
	struct fanout *c = v->fanout;
	list_for_each (node, connections) {
		struct connection *of = list_entry(node, struct connection, link);
		if (of->visited == v->number)
			continue;
		of->visited = v->number;
		c->kind->on_session(&w->env, c, &c->answers[w->number], &of->session);
		if (!w->closes_at_once && !worker_has_time(w))
			return true;
	}
	return false;
}

static bool visit(struct worker *w, const struct visit *v) {
	return visit_list(w, v, &w->unauthenticated) || visit_list(w, v, &w->authenticated) ||
	       visit_list(w, v, &w->lingering);
}

void worker_visit(struct environment *env, struct fanout *c) {
	struct worker *w = list_entry(env, struct worker, env);
	struct visit *v = &visits_of(c)[w->number];
	list_push_back(&w->visits, &v->link);
	w->busy = true;
	if (w->closes_at_once)
		fanout_visit(w);
}

void fanout_visit(struct worker *w) {
	w->part_begin = clock_ticks();
	do {
		struct visit *v = list_entry(w->visits.next, struct visit, link);
		if (list_empty(&w->visits) || visit(w, v))
			break;
		list_remove(&v->link);
		answer(w->shared, v->fanout);
	} while (w->closes_at_once || worker_has_time(w));
	w->busy |= !list_empty(&w->visits);
}

void worker_take_fanout(struct worker *w, struct message *m) {
	struct fanout *c = ((struct envelope *)(void *)m)->fanout;
	struct monitor_message *message = (struct monitor_message *)(void *)m;
	switch (m->kind) {
	case MESSAGE_FANOUT:
		if (c->kind->on_worker != NULL)
			c->kind->on_worker(&w->env, c, &c->answers[w->number]);
		if (c->kind->on_session != NULL)
			worker_visit(&w->env, c);
		else
			answer(w->shared, c);
		break;
	case MESSAGE_ANSWER:
		fanout_done(&w->env, c);
		break;
	default:
		monitor_take_lines(&w->env, buffer_slice(&message->lines), message->lost);
		free_monitor_message(message);
	}
}

void worker_end_fanout(struct worker *w, struct message *m) {
	struct fanout *c = ((struct envelope *)(void *)m)->fanout;
	if (m->kind == MESSAGE_ANSWER || fanout_answered(c))
		fanout_done(&w->shared->workers[c->worker]->env, c);
}

void worker_drop_fanout(struct message *m) {
	if (m->kind == MESSAGE_MONITOR)
		free_monitor_message((struct monitor_message *)(void *)m);
	else if (m->kind == MESSAGE_ANSWER)
		fanout_free(((struct envelope *)(void *)m)->fanout);
	else
		worker_discard_fanout(((struct envelope *)(void *)m)->fanout);
}
