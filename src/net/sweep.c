#include "net/sweep.h"

#include "net/connection.h"
#include "net/worker.h"

/* Time for a finished client to read its replies. */
#define LINGER_MS 10000
/* Minimum number of clients that one sweep checks. */
#define SWEEP_COUNT ((uint64_t)256)

static void close_idle(struct worker *w, struct connection *c) {
	counter_add(&w->counters.idle_closed, 1);
	connection_close(c);
}

/* Returns whether the client has given a secret that opens a tenant, and waits for the suspended command of that
 * tenant. */
static bool waits_to_enter(const struct connection *c) {
	return (c->flags & CONNECTION_WAITING) && (c->session.flags & SESSION_AUTH_PASSED);
}

static void move_back(struct list *to, struct list *from) {
	while (!list_empty(from)) {
		struct list *node = from->next;
		list_remove(node);
		list_push_back(to, node);
	}
}

static void sweep_unauthenticated(struct worker *w) {
	int64_t limit = (int64_t)w->env.settings.auth_timeout * 1000;
	struct list spared;
	if (limit == 0)
		return;
	list_init(&spared);
	while (!list_empty(&w->unauthenticated)) {
		struct connection *c = list_entry(w->unauthenticated.next, struct connection, link);
		if (w->env.steady_ms - c->session.created_ms < limit)
			break;
		if (waits_to_enter(c)) {
			list_remove(&c->link);
			list_push_back(&spared, &c->link);
		} else if (session_authenticated(&c->session)) {
			/* Its first command opens its anonymous tenant. */
			c->flags |= CONNECTION_AUTHENTICATED;
			list_remove(&c->link);
			list_push_back(&w->authenticated, &c->link);
		} else {
			close_idle(w, c);
		}
	}
	move_back(&w->unauthenticated, &spared);
}

void sweep_lingering(struct worker *w) {
	list_for_each (node, &w->lingering) {
		struct connection *c = list_entry(node, struct connection, link);
		if (w->env.steady_ms - c->session.last_ms < LINGER_MS)
			connection_finish(c);
		else
			connection_close(c);
	}
}

/* Checks a tenth of the clients: a timeout is at most ten sweeps late, and no sweep delays the clients for long. */
static void sweep_authenticated(struct worker *w) {
	int64_t limit = (int64_t)w->env.settings.idle_timeout * 1000;
	if (limit == 0)
		return;
	uint64_t count = counter_get(&w->counters.clients) / 10;
	if (count < SWEEP_COUNT)
		count = SWEEP_COUNT;
	struct list seen;
	list_init(&seen);
	while (count-- > 0 && !list_empty(&w->authenticated)) {
		struct connection *c = list_entry(w->authenticated.next, struct connection, link);
		if (w->env.steady_ms - c->session.last_ms >= limit && !connection_may_be_idle(c)) {
			close_idle(w, c);
		} else {
			list_remove(&c->link);
			list_push_back(&seen, &c->link);
		}
	}
	move_back(&w->authenticated, &seen);
}

void sweep_run(struct worker *w) {
	w->tick_ms = INT64_MAX;
	sweep_unauthenticated(w);
	sweep_lingering(w);
	sweep_authenticated(w);
	worker_want_sweep(w);
}
