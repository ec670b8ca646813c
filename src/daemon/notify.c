#include "daemon/notify.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "daemon/daemon_state.h"
#include "daemon/sockets.h"

/* Time that a step of a stop or of a take-over requests from systemd. */
#define STEP_EXTENSION_USEC 5000000u
/* Shortest interval between two requests: less than half of every watchdog interval. */
#define STEP_INTERVAL_NS UINT64_C(100000000)
/* Seconds without progress of a stop, after which the process ends without its workers. This is less than
 * TimeoutStopSec= of the unit. Without systemd nothing else would end the process. */
#define STOP_LOOKS 10
/* Seconds for which /health shows a refusal, about. */
#define LATELY_TICKS 10

static void build_status(struct daemon *d, char *out, size_t size) {
	uint64_t keys = 0;
	for (unsigned i = 0; i < d->shard_count; i++)
		keys += counter_get(&d->shard_counters[i]->keys);
	int n = snprintf(out, size, "%zu tenants, %" PRIu64 " keys, %" PRIu64 " clients", registry_count(d->registry),
			 keys, (uint64_t)atomic_load_explicit(&d->shared.clients, memory_order_relaxed));
	if (n > 0 && (size_t)n < size && d->health.stuck)
		n += snprintf(out + n, size - (size_t)n, "; worker %u does not answer", d->health.stuck_worker);
	if (n > 0 && (size_t)n < size && d->live_count != 0)
		n += snprintf(out + n, size - (size_t)n, "; live changes that are not in the configuration: %" PRIu64,
			      d->live_count);
	size_t orphans = registry_orphans(d->registry);
	if (n > 0 && (size_t)n < size && orphans != 0)
		n += snprintf(out + n, size - (size_t)n, "; tenants that are not in the configuration: %zu", orphans);
	if (n > 0 && (size_t)n < size && d->reload_failed)
		snprintf(out + n, size - (size_t)n, "; the changed configuration is not in force");
}

void notify_ready(struct daemon *d) {
	build_status(d, d->status, sizeof(d->status));
	sd_notifyf(0, "READY=1\nSTATUS=%s", d->status);
}

void notify_status(struct daemon *d) {
	char status[sizeof(d->status)];
	build_status(d, status, sizeof(status));
	if (strcmp(status, d->status) == 0)
		return;
	memcpy(d->status, status, sizeof(status));
	sd_notifyf(0, "STATUS=%s", status);
}

/* Logs once that a worker does not answer. /health shows it as long as it lasts. */
static void set_stuck(struct daemon *d, bool stuck, unsigned worker) {
	if (stuck && (!d->health.stuck || d->health.stuck_worker != worker)) {
		char detail[32];
		snprintf(detail, sizeof(detail), "worker %u", worker);
		log_report(d->events, &(struct log_event){.id = LOG_EVENT_WORKER_STUCK, .detail = detail});
	}
	d->health.stuck = stuck;
	d->health.stuck_worker = worker;
}

/* Requests more time from systemd. Each step of long work calls it. If a step hangs, the unit's timeouts apply. */
static void notify_step(struct daemon *d, const char *what) {
	uint64_t now = clock_monotonic_ns();
	if (now - d->step_ns < STEP_INTERVAL_NS)
		return;
	d->step_ns = now;
	sd_notifyf(0, "WATCHDOG=1\nEXTEND_TIMEOUT_USEC=%u\nSTATUS=%s, %" PRIu64 " clients", STEP_EXTENSION_USEC, what,
		   (uint64_t)atomic_load_explicit(&d->shared.clients, memory_order_relaxed));
}

void notify_leaving(struct daemon *d) {
	notify_step(d, "Stopping, handing over");
}

void notify_resuming(struct daemon *d) {
	notify_step(d, "Starting, taking over");
}

static bool refused_lately(struct refusals *r, uint64_t count) {
	if (count != r->seen)
		r->hold = LATELY_TICKS;
	else if (r->hold > 0)
		r->hold--;
	r->seen = count;
	return r->hold > 0;
}

/* Updates the health from counters of refusals. */
static void check_room(struct daemon *d) {
	uint64_t memory = 0, tenants = 0;
	for (unsigned i = 0; i < d->shard_count; i++)
		memory += counter_get(&d->shard_counters[i]->refused);
	for (unsigned i = 0; i < d->worker_count; i++)
		tenants += counter_get(&worker_environment(d->workers[i])->rejected_tenants);
	uint64_t clients = atomic_load_explicit(&d->shared.clients, memory_order_relaxed);
	uint32_t most = d->sources.max_clients;
	d->health.clients_full =
		most != 0 && (clients >= most || accept_authenticated(&d->shared) + accept_kept_places(most) >= most);
	d->health.memory_full = refused_lately(&d->refused_memory, memory);
	d->health.tenants_full = refused_lately(&d->refused_tenants, tenants);
}

/* Ends the process if a worker's thread does not end. The effect is that of a crash: the files in systemd's store are
 * kept. */
static void abandon(struct daemon *d) {
	char detail[96];
	snprintf(detail, sizeof(detail), "worker %u; %s", atomic_load(&d->joined),
		 d->has_store ? "the next process rebuilds the data that systemd keeps" : "the data is lost");
	log_report(d->events, &(struct log_event){.id = LOG_EVENT_STOP_STUCK, .detail = detail});
	journal_settle(d->journal);
	/* Closes the sockets last: the worker may still use them. */
	sockets_close(d);
	_exit(EXIT_FAILURE);
}

/* Returns a sum of counters that rise while the workers finish. */
static uint64_t stop_progress(struct daemon *d) {
	uint64_t sum = atomic_load(&d->joined);
	for (unsigned i = 0; i < d->worker_count; i++) {
		const struct worker_counters *f = worker_counters(d->workers[i]);
		sum += counter_get(&f->turns) + counter_get(&f->input_bytes) + counter_get(&f->output_bytes);
	}
	return sum;
}

static void watchdog_stop(struct daemon *d) {
	if (watchdog_advances(&d->watchdog_stop, stop_progress(d)))
		notify_step(d, "Stopping, still serving");
	else if (d->watchdog_stop.idle >= STOP_LOOKS)
		abandon(d);
}

void notify_watchdog(struct daemon *d) {
	check_room(d);
	if (d->stopping) {
		watchdog_stop(d);
		return;
	}
	bool answered = true, stuck = false;
	unsigned which = 0;
	uint64_t now = clock_monotonic_ns();
	for (unsigned i = d->worker_count; i-- > 0;) {
		uint64_t pongs = counter_get(&worker_counters(d->workers[i])->pongs);
		struct watchdog_turn turn = watchdog_look(&d->watchdog[i], pongs, now, d->watchdog_limit_ns);
		if (turn.ping)
			worker_ping(d->workers[i]);
		answered = answered && turn.answered;
		stuck = stuck || turn.stuck;
		which = turn.stuck ? i : which;
	}
	set_stuck(d, stuck, which);
	if (answered && d->watchdog_usec != 0)
		sd_notify(0, "WATCHDOG=1");
}
