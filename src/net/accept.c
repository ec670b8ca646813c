/* New clients, and when they come to an end by the clock. */
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/connection.h"
#include "net/worker.h"

/* Connections that one turn accepts of a listener: the others are for the other workers, or the next turn. */
#define ACCEPT_BATCH 8
/* How long no connection is accepted when there is no descriptor for it, and none to get rid of it. */
#define ACCEPT_PAUSE_MS 100
#define SWEEP_MS        1000
/* How long replies of a closed session may wait for their reader. */
#define LINGER_MS 10000
/* Members that one sweep looks at, at least. */
#define SWEEP_COUNT ((uint64_t)256)
/* With fewer places than these there is nothing to share. */
#define SHARED_PLACES 8
/* Of the places, those that no tenant gets: a 64th. */
#define KEPT_SHARE 64
/* A client that has not authenticated for this long gives way to a new one. A client sends AUTH within a round trip, so
 * that those of a flood wait longer than all others. */
#define PATIENCE_MS 100

int worker_listen(struct worker *w, bool on) {
	if (w->accepting == on)
		return 0;
	for (unsigned i = 0; i < w->listener_count; i++) {
		struct epoll_event event = {.events = EPOLLIN | EPOLLEXCLUSIVE, .data.u64 = SOURCE_LISTENER + i};
		if (epoll_ctl(w->epoll, on ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, listener_fd(w->listeners[i]), &event) < 0 &&
		    on && errno != EEXIST)
			return -errno;
	}
	w->accepting = on;
	return 0;
}

static void report_failure(struct worker *w, const struct listener *l, int error) {
	counter_add(&w->counters.rejected[REJECT_FILES], 1);
	log_report(w->env.events,
		   &(struct log_event){.id = LOG_EVENT_ACCEPT_FAILED, .address = listener_address(l), .error = error});
}

static void pause_accepting(struct worker *w) {
	worker_listen(w, false);
	int64_t until = w->env.steady_ms + ACCEPT_PAUSE_MS;
	if (until < w->tick_ms)
		w->tick_ms = until;
}

/* There is no descriptor left. The client must not be left hanging, nor may the listener stay readable: the reserve is
 * given up for as long as it takes to accept and close. */
static void shed(struct worker *w, const struct listener *l, int error) {
	report_failure(w, l, error);
	if (w->reserve >= 0) {
		close(w->reserve);
		int fd = accept4(listener_fd(l), NULL, NULL, SOCK_CLOEXEC);
		if (fd >= 0)
			close(fd);
		w->reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
		if (fd >= 0)
			return;
	} else {
		w->reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
	}
	pause_accepting(w);
}

static void count_rejected(struct worker *w, const struct listener *l) {
	counter_add(&w->counters.rejected[REJECT_MAX_CLIENTS], 1);
	log_report(w->env.events, &(struct log_event){.id = LOG_EVENT_CLIENT_REJECTED, .address = listener_address(l)});
}

static void reject(struct worker *w, const struct listener *l, int fd) {
	static const char full[] = "-ERR max number of clients reached\r\n";
	count_rejected(w, l);
	(void)!send(fd, full, sizeof(full) - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
	close(fd);
}

/* ---- places ----
 *
 * Of what is left free of max_clients a tenant may have as much as it has already (the dynamic thresholds of Choudhury
 * and Hahne, 1998): one alone gets a half, two a third each, and there is always room for another one. The same holds
 * for all clients together that have no tenant yet. The operator gets any place that is left. */

static uint64_t count_unauthenticated(const struct worker_shared *shared) {
	uint64_t count = 0;
	for (unsigned i = 0; i < shared->worker_count; i++)
		count += counter_get(&worker_counters(shared->workers[i])->states[CLIENT_UNAUTHENTICATED]);
	return count;
}

uint64_t worker_authenticated(const struct worker_shared *shared) {
	uint64_t all = atomic_load_explicit(&shared->clients, memory_order_relaxed),
		 unauthenticated = count_unauthenticated(shared);
	return all > unauthenticated ? all - unauthenticated : 0;
}

uint64_t worker_kept_places(uint32_t most) {
	return most < SHARED_PLACES ? 0 : most / KEPT_SHARE + 1;
}

static bool has_place(const struct worker *w, const struct tenant *t) {
	uint32_t most = w->env.settings.max_clients;
	if (most < SHARED_PLACES || t->is_operator)
		return true;
	uint64_t taken = worker_authenticated(w->shared) + worker_kept_places(most);
	if (taken >= most)
		return false;
	return t->limits.max_clients != 0 || counter_get(&t->counters.clients) < most - taken;
}

bool worker_has_place(struct worker *w, const struct tenant *t) {
	bool has = has_place(w, t);
	if (!has)
		counter_add(&w->counters.rejected[REJECT_MAX_CLIENTS], 1);
	return has;
}

/* Whether one more without a tenant fits beside the `clients` that are there. */
static bool has_place_for_unauthenticated(const struct worker *w, uint64_t clients) {
	uint32_t most = w->env.settings.max_clients;
	if (most == 0)
		return true;
	if (most < SHARED_PLACES || clients >= most)
		return clients < most;
	return count_unauthenticated(w->shared) < most - clients;
}

/* Makes the oldest client that does not authenticate give way to a new one. */
static bool displace_unauthenticated(struct worker *w, const struct listener *l) {
	struct connection *c = list_entry(w->unauthenticated.next, struct connection, link);
	if (w->env.settings.max_clients < SHARED_PLACES || list_empty(&w->unauthenticated) ||
	    session_authenticated(&c->session) || w->env.steady_ms - c->session.created_ms < PATIENCE_MS)
		return false;
	count_rejected(w, l);
	connection_close(c);
	return true;
}

static bool take_place(struct worker *w, const struct listener *l) {
	uint64_t clients = atomic_fetch_add_explicit(&w->shared->clients, 1, memory_order_relaxed);
	if (has_place_for_unauthenticated(w, clients) || displace_unauthenticated(w, l))
		return true;
	atomic_fetch_sub_explicit(&w->shared->clients, 1, memory_order_relaxed);
	return false;
}

void worker_admit(struct worker *w, const struct listener *l, int fd) {
	if (take_place(w, l))
		connection_open(w, fd, listener_port(l) != 0);
	else
		reject(w, l, fd);
}

void worker_accept(struct worker *w, const struct listener *l) {
	/* A client of another worker that is stopping already may come back while this one still listens. */
	if (atomic_load_explicit(&w->shared->deaf, memory_order_acquire))
		return;
	for (int i = 0; i < ACCEPT_BATCH && w->accepting; i++) {
		int fd = accept4(listener_fd(l), NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0) {
			if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
				shed(w, l, -errno);
			/* Otherwise: taken by another worker, or gone before it was accepted. */
			return;
		}
		worker_admit(w, l, fd);
	}
}

/* --- timeouts --------------------------------------------------------------------------------------------------- */

static void close_idle(struct worker *w, struct connection *c) {
	counter_add(&w->counters.idle_closed, 1);
	connection_close(c);
}

static void sweep_unauthenticated(struct worker *w) {
	int64_t limit = (int64_t)w->env.settings.auth_timeout * 1000;
	if (limit == 0)
		return;
	while (!list_empty(&w->unauthenticated)) {
		struct connection *c = list_entry(w->unauthenticated.next, struct connection, link);
		if (w->env.steady_ms - c->session.created_ms < limit)
			return;
		if (session_authenticated(&c->session)) {
			/* The anonymous tenant waits for its first command. */
			c->flags |= CONNECTION_AUTHENTICATED;
			list_remove(&c->link);
			list_push_back(&w->authenticated, &c->link);
		} else {
			close_idle(w, c);
		}
	}
}

void worker_sweep_lingering(struct worker *w) {
	list_for_each (node, &w->lingering) {
		struct connection *c = list_entry(node, struct connection, link);
		if (w->env.steady_ms - c->session.last_ms < LINGER_MS)
			connection_finish(c);
		else
			connection_close(c);
	}
}

/* A tenth of the members each time: a timeout is at most ten sweeps late, and no sweep stalls the others for long. */
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
	while (!list_empty(&seen)) {
		struct list *node = seen.next;
		list_remove(node);
		list_push_back(&w->authenticated, node);
	}
}

void worker_want_sweep(struct worker *w) {
	const struct settings *s = &w->env.settings;
	if (w->tick_ms != INT64_MAX)
		return;
	if ((s->auth_timeout > 0 && !list_empty(&w->unauthenticated)) || !list_empty(&w->lingering) ||
	    (s->idle_timeout > 0 && !list_empty(&w->authenticated)))
		w->tick_ms = w->env.steady_ms + SWEEP_MS;
}

void worker_sweep(struct worker *w) {
	w->tick_ms = INT64_MAX;
	sweep_unauthenticated(w);
	worker_sweep_lingering(w);
	sweep_authenticated(w);
	/* What cannot be watched now is tried again later. */
	if (!w->stopping && worker_listen(w, true) < 0)
		w->tick_ms = w->env.steady_ms + SWEEP_MS;
	worker_want_sweep(w);
}
