#include "net/accept.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "atomdb/store/tenant.h"
#include "net/connection.h"
#include "net/worker.h"

/* Connections that one turn accepts of a listener. The other workers, or the next turn, accept the others. */
#define ACCEPT_BATCH 8
/* Time without accepting after there was no descriptor for a connection. */
#define ACCEPT_PAUSE_MS 100
/* With fewer places than these, tenants have no shares. */
#define SHARED_PLACES 8
/* Part of the places that is reserved: a 64th. */
#define KEPT_SHARE 64
/* A client that has not authenticated for this long may be closed in favour of a new one. A real client sends AUTH
 * within a round trip, so that the clients of a flood are the oldest. */
#define PATIENCE_MS 100

int accept_listen(struct worker *w, bool on) {
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
	accept_listen(w, false);
	int64_t until = w->env.steady_ms + ACCEPT_PAUSE_MS;
	if (until < w->tick_ms)
		w->tick_ms = until;
}

/* Accepts and closes a client for which there is no descriptor: it must not hang, and the listener must not stay
 * readable. The worker closes its reserve descriptor for that time. */
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

/* --- places -----------------------------------------------------------------------------------------------------
 *
 * A tenant may have at most as many clients as places of max_clients are free (the dynamic thresholds of Choudhury and
 * Hahne, 1998): one tenant alone gets half of the places, each of two gets a third, and there is always room for
 * another tenant. All clients without a tenant together count as one tenant. The operator may use every free place. */

static uint64_t count_unauthenticated(const struct worker_shared *shared) {
	uint64_t count = 0;
	for (unsigned i = 0; i < shared->worker_count; i++)
		count += counter_get(&shared->workers[i]->counters.states[CLIENT_UNAUTHENTICATED]);
	return count;
}

uint64_t accept_authenticated(const struct worker_shared *shared) {
	uint64_t all = atomic_load_explicit(&shared->clients, memory_order_relaxed),
		 unauthenticated = count_unauthenticated(shared);
	return all > unauthenticated ? all - unauthenticated : 0;
}

uint64_t accept_kept_places(uint32_t most) {
	return most < SHARED_PLACES ? 0 : most / KEPT_SHARE + 1;
}

static bool has_place(const struct worker *w, const struct tenant *t) {
	uint32_t most = w->env.settings.max_clients;
	if (most < SHARED_PLACES || t->is_operator)
		return true;
	uint64_t taken = accept_authenticated(w->shared) + accept_kept_places(most);
	if (taken >= most)
		return false;
	return t->limits.max_clients != 0 || counter_get(&t->counters.clients) < most - taken;
}

bool accept_has_place(struct worker *w, const struct tenant *t) {
	bool has = has_place(w, t);
	if (!has)
		counter_add(&w->counters.rejected[REJECT_MAX_CLIENTS], 1);
	return has;
}

/* Returns whether there is a place for one more client without a tenant, in addition to `clients`. */
static bool has_place_for_unauthenticated(const struct worker *w, uint64_t clients) {
	uint32_t most = w->env.settings.max_clients;
	if (most == 0)
		return true;
	if (most < SHARED_PLACES || clients >= most)
		return clients < most;
	return count_unauthenticated(w->shared) < most - clients;
}

/* Closes the oldest client that has not authenticated, to free a place for a new one. Returns whether there is one. */
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

void accept_admit(struct worker *w, const struct listener *l, int fd) {
	if (take_place(w, l))
		connection_open(w, fd, listener_port(l) != 0);
	else
		reject(w, l, fd);
}

void accept_ready(struct worker *w, const struct listener *l) {
	/* A client of a worker that has already stopped may connect again while this worker still listens. */
	if (atomic_load_explicit(&w->shared->deaf, memory_order_acquire))
		return;
	for (int i = 0; i < ACCEPT_BATCH && w->accepting; i++) {
		int fd = accept4(listener_fd(l), NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0) {
			if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
				shed(w, l, -errno);
			/* Another worker took the client, or the client left before it was accepted. */
			return;
		}
		accept_admit(w, l, fd);
	}
}
