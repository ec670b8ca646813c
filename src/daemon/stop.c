#include "daemon/stop.h"

#include <sys/eventfd.h>
#include <systemd/sd-daemon.h>

#include "daemon/daemon_state.h"
#include "daemon/sockets.h"

/* Time for clients to read their replies if nothing keeps the data. */
#define STOP_MS 5000

/* Waits for the workers' threads, so that the loop can continue. */
static void *reap(void *context) {
	struct daemon *d = context;
	for (unsigned i = 0; i < d->started; i++) {
		worker_join(d->workers[i]);
		atomic_fetch_add(&d->joined, 1);
	}
	eventfd_write(d->stopped_fd, 1);
	return NULL;
}

void stop_begin(struct daemon *d) {
	if (d->stopping)
		return;
	d->stopping = true;
	d->health.state = HEALTH_STOPPING;
	sd_notify(0, "STOPPING=1\nSTATUS=Stopping");
	log_report(d->events, &(struct log_event){.id = LOG_EVENT_STOPPING});
	/* Only the final message depends on this, not the stop. */
	if (d->has_store)
		d->unit_job = unit_job_ask();
	sockets_stop_listening(d);
	/* If there can be a next process, hands everything over to it: systemd does not always tell a restart from a
	 * stop. */
	for (unsigned i = 0; i < d->worker_count; i++) {
		if (d->has_store)
			worker_freeze(d->workers[i]);
		else
			worker_stop(d->workers[i], STOP_MS);
	}
	int error = pthread_create(&d->reaper, NULL, reap, d);
	d->reaper_started = error == 0;
	if (error != 0)
		sd_event_exit(d->loop, 0);
}
