#include "daemon/main_loop.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "atomdb/daemon/ask_reload.h"
#include "atomdb/store/shard.h"
#include "atomdb/util/clock.h"
#include "atomdb/util/error.h"
#include "daemon/control_plane.h"
#include "daemon/daemon_state.h"
#include "daemon/limits.h"
#include "daemon/notify.h"
#include "daemon/reload.h"
#include "daemon/stop.h"

#define TICK_USEC     UINT64_C(1000000)
#define STUCK_NS      UINT64_C(3000000000)
#define STATUS_TICKS  2
#define TURN_TICKS    60 /* /metrics shows the longest turn of the last minute */
#define ANY_ACCURACY  0  /* accuracy of timers: sd-event's default, a quarter of a second */
#define FINE_ACCURACY 1000

/* Sets the timer of an HTTP address to the time at which libmicrohttpd must run without input. */
static int http_arm(struct http_source *s) {
	int64_t timeout = http_timeout(s->http, clock_monotonic_ns());
	if (timeout < 0)
		return sd_event_source_set_enabled(s->timer, SD_EVENT_OFF);
	int error = sd_event_source_set_time_relative(s->timer, (uint64_t)timeout * 1000);
	return error < 0 ? error : sd_event_source_set_enabled(s->timer, SD_EVENT_ONESHOT);
}

static int http_input(sd_event_source *source, int fd, uint32_t events, void *context) {
	(void)source, (void)fd, (void)events;
	struct http_source *s = context;
	http_run(s->http, clock_monotonic_ns());
	return http_arm(s);
}

static int http_timer(sd_event_source *source, uint64_t usec, void *context) {
	(void)source, (void)usec;
	struct http_source *s = context;
	http_run(s->http, clock_monotonic_ns());
	return http_arm(s);
}

static int add_http(struct daemon *d, unsigned i) {
	struct http_source *s = &d->http[i];
	int error = http_new(&s->http, listener_fd(d->http_listeners[i]), &d->content);
	if (error == 0)
		error = sd_event_add_io(d->loop, &s->input, http_fd(s->http), EPOLLIN, http_input, s);
	if (error >= 0)
		error = sd_event_add_time_relative(d->loop, &s->timer, CLOCK_MONOTONIC, 0, FINE_ACCURACY, http_timer,
						   s);
	return error < 0 ? error : http_arm(s);
}

static int stopped(sd_event_source *source, int fd, uint32_t events, void *context) {
	(void)source, (void)fd, (void)events;
	struct daemon *d = context;
	return sd_event_exit(d->loop, 0);
}

/* The second signal ends the process at once. */
static int stop(sd_event_source *source, const struct signalfd_siginfo *info, void *context) {
	(void)source;
	struct daemon *d = context;
	if (d->stopping)
		_exit(128 + (int)info->ssi_signo);
	stop_begin(d);
	return 0;
}

/* ask_reload() sends a signal with ASK_RELOAD, and waits for the result. */
static int reload(sd_event_source *source, const struct signalfd_siginfo *info, void *context) {
	(void)source;
	struct daemon *d = context;
	if (!d->stopping)
		reload_configuration(d);
	if (info->ssi_code == SI_QUEUE && info->ssi_int == ASK_RELOAD)
		sigqueue((pid_t)info->ssi_pid, SIGUSR1,
			 (union sigval){.sival_int = d->stopping || d->reload_failed ? ASK_RELOAD_REFUSED
										     : ASK_RELOAD_DONE});
	return 0;
}

#ifdef ATOMDB_TEST_HOOKS
static int hang(sd_event_source *source, const struct signalfd_siginfo *info, void *context) {
	(void)source, (void)info;
	struct daemon *d = context;
	worker_test_hang(d->workers[0], true);
	return 0;
}
#endif

static int tick(sd_event_source *source, uint64_t usec, void *context) {
	(void)usec;
	struct daemon *d = context;
	/* This precedes the pings, which wake workers that have memory to release. */
	if (!d->stopping)
		limits_watch_memory(d);
	notify_watchdog(d);
	for (unsigned i = 0; i < d->shard_count && d->config->huge_pages && !d->stopping; i++)
		shard_collapse(d->shards[i]);
	uint64_t now_ns = clock_monotonic_ns();
	/* The history ignores changes of the clock since the start. */
	(void)status_api_tick(d->status_api, now_ns,
			      d->shared.start_ms + (int64_t)((now_ns - d->shared.clock_start.ns) / 1000000));
	d->ticks++;
	if (!d->stopping && d->ticks % STATUS_TICKS == 0)
		notify_status(d);
	if (d->ticks % TURN_TICKS == 0) {
		journal_flush(d->journal);
		for (unsigned i = 0; i < d->worker_count; i++)
			worker_take_longest_turn(d->workers[i]);
	}
	uint64_t interval = TICK_USEC;
	if (d->watchdog_usec != 0 && d->watchdog_usec / 2 < interval)
		interval = d->watchdog_usec / 2;
	int error = sd_event_source_set_time_relative(source, interval);
	return error < 0 ? error : sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

static int answer_fanouts(sd_event_source *source, int fd, uint32_t events, void *context) {
	(void)source, (void)fd, (void)events;
	control_plane_answer(context);
	return 0;
}

static int add_signals(struct daemon *d) {
	/* The sources are floating: the loop owns them. */
	int error = sd_event_add_signal(d->loop, NULL, SIGTERM, stop, d);
	if (error >= 0)
		error = sd_event_add_signal(d->loop, NULL, SIGINT, stop, d);
	if (error >= 0)
		error = sd_event_add_signal(d->loop, NULL, SIGHUP, reload, d);
#ifdef ATOMDB_TEST_HOOKS
	if (error >= 0)
		error = sd_event_add_signal(d->loop, NULL, SIGUSR2, hang, d);
#endif
	return error;
}

int main_loop_open(struct daemon *d) {
	d->watchdog_limit_ns = STUCK_NS;
	if (sd_watchdog_enabled(0, &d->watchdog_usec) <= 0)
		d->watchdog_usec = 0;
	else if (d->watchdog_usec * 1000 / 2 < STUCK_NS)
		d->watchdog_limit_ns = d->watchdog_usec * 1000 / 2;
	d->content = (struct http_content){
		.health = &d->health,
		.metrics = d->metrics,
		.http_auth = &d->http_auth,
		.hosts = &d->hosts,
		.status_api = d->status_api,
		.page = d->page,
	};
	d->stopped_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	d->fanouts_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (d->stopped_fd < 0 || d->fanouts_fd < 0)
		return -errno;
	int error = sd_event_new(&d->loop);
	if (error >= 0)
		error = add_signals(d);
	if (error >= 0)
		error = sd_event_add_io(d->loop, NULL, d->stopped_fd, EPOLLIN, stopped, d);
	if (error >= 0)
		error = sd_event_add_io(d->loop, NULL, d->fanouts_fd, EPOLLIN, answer_fanouts, d);
	if (error >= 0)
		error = sd_event_add_time_relative(d->loop, &d->tick, CLOCK_MONOTONIC, 0, ANY_ACCURACY, tick, d);
	for (unsigned i = 0; i < d->http_count && error >= 0; i++)
		error = add_http(d, i);
	return error < 0 ? error : 0;
}

int main_loop_run(struct daemon *d) {
	int error = sd_event_loop(d->loop);
	if (d->reaper_started)
		pthread_join(d->reaper, NULL);
	return error;
}

void main_loop_close(struct daemon *d) {
	for (unsigned i = 0; i < d->http_count; i++) {
		sd_event_source_disable_unref(d->http[i].input);
		sd_event_source_disable_unref(d->http[i].timer);
		http_free(d->http[i].http);
	}
	sd_event_source_disable_unref(d->tick);
	sd_event_unref(d->loop);
	if (d->stopped_fd >= 0)
		close(d->stopped_fd);
	if (d->fanouts_fd >= 0)
		close(d->fanouts_fd);
}
