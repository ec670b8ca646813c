#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "atomdb/util/clock.h"
#include "atomdb/util/error.h"
#include "daemon/daemon_private.h"

#define TICK_USEC      UINT64_C(1000000)
#define STUCK_NS       UINT64_C(3000000000)
#define STOP_MS        5000
#define STATUS_TICKS   2
#define TURN_TICKS     60 /* the longest turn that /metrics shows is that of the last minute */
#define RELOAD_SECONDS 30
#define ANY_ACCURACY   0 /* sd-event's own: a quarter of a second */
#define FINE_ACCURACY  1000

/* What goes with the signals of a reload that somebody waits for. */
enum { RELOAD_ASKED = 0x61746f6d, RELOAD_DONE = 1, RELOAD_REFUSED = 2 };

/* Arms the timer of an HTTP address for when libmicrohttpd wants to run without input. */
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

static void *reap(void *context) {
	struct daemon *d = context;
	for (unsigned i = 0; i < d->started; i++) {
		worker_join(d->workers[i]);
		atomic_fetch_add(&d->joined, 1);
	}
	eventfd_write(d->stopped_fd, 1);
	return NULL;
}

static int stopped(sd_event_source *source, int fd, uint32_t events, void *context) {
	(void)source, (void)fd, (void)events;
	struct daemon *d = context;
	return sd_event_exit(d->loop, 0);
}

/* A second signal does not wait. */
static int stop(sd_event_source *source, const struct signalfd_siginfo *info, void *context) {
	(void)source;
	struct daemon *d = context;
	if (d->stopping)
		_exit(128 + (int)info->ssi_signo);
	daemon_stop(d);
	return 0;
}

/* Asks the workers to finish; the loop, and with it /health, goes on until they have. */
void daemon_stop(struct daemon *d) {
	if (d->stopping)
		return;
	d->stopping = true;
	d->health.state = HEALTH_STOPPING;
	sd_notify(0, "STOPPING=1\nSTATUS=Stopping");
	log_report(d->events, &(struct log_event){.id = LOG_EVENT_STOPPING});
	/* The message at the end tells what becomes of the data; the stop itself is the same. */
	if (d->has_store)
		d->unit_job = unit_job_ask();
	daemon_stop_listening(d);
	/* If there can be a next process, all is left to it: systemd may not have told a restart from a stop. */
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

/* A signal with the mark is of somebody who waits for what became of it. */
static int reload(sd_event_source *source, const struct signalfd_siginfo *info, void *context) {
	(void)source;
	struct daemon *d = context;
	if (!d->stopping)
		daemon_reload(d);
	if (info->ssi_code == SI_QUEUE && info->ssi_int == RELOAD_ASKED)
		sigqueue((pid_t)info->ssi_pid, SIGUSR1,
			 (union sigval){.sival_int = d->stopping || d->reload_failed ? RELOAD_REFUSED : RELOAD_DONE});
	return 0;
}

/* False where /proc tells that the process does not hold SIGHUP back, as a daemon does: the signal would end it. */
static bool takes_reload(pid_t pid) {
	char path[32], line[256];
	bool takes = true;
	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	FILE *file = fopen(path, "re");
	if (file == NULL)
		return true; /* hidden, or gone, which the signal finds out */
	while (fgets(line, sizeof(line), file) != NULL)
		if (strncmp(line, "SigBlk:", 7) == 0)
			takes = (strtoull(line + 7, NULL, 16) & UINT64_C(1) << (SIGHUP - 1)) != 0;
	fclose(file);
	return takes;
}

int daemon_ask_reload(pid_t pid) {
	if (!takes_reload(pid))
		return -EINVAL;
	sigset_t answer;
	sigemptyset(&answer);
	sigaddset(&answer, SIGUSR1);
	sigprocmask(SIG_BLOCK, &answer, NULL);
	if (sigqueue(pid, SIGHUP, (union sigval){.sival_int = RELOAD_ASKED}) != 0)
		return -errno;
	const struct timespec patience = {.tv_sec = RELOAD_SECONDS};
	siginfo_t info;
	int got;
	do
		got = sigtimedwait(&answer, &info, &patience);
	while ((got < 0 && errno == EINTR) || (got >= 0 && info.si_pid != pid));
	if (got < 0)
		return -ETIMEDOUT;
	return info.si_value.sival_int == RELOAD_DONE ? 0 : ATOMDB_E_SYNTAX;
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
	/* Before the workers are pinged, which wakes those that have memory to give up. */
	if (!d->stopping)
		daemon_watch_memory(d);
	daemon_watchdog(d);
	for (unsigned i = 0; i < d->shard_count && d->config->huge_pages && !d->stopping; i++)
		shard_collapse(d->shards[i]);
	uint64_t now_ns = clock_monotonic_ns();
	/* The history has the time that the clock would tell if nobody had set it since the start. */
	(void)status_api_tick(d->status_api, now_ns,
			      d->shared.start_ms + (int64_t)((now_ns - d->shared.clock_start.ns) / 1000000));
	d->ticks++;
	if (!d->stopping && d->ticks % STATUS_TICKS == 0)
		daemon_notify_status(d);
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
	daemon_answer_fanouts(context);
	return 0;
}

static int add_signals(struct daemon *d) {
	/* The sources float: the loop owns them. */
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

int daemon_open_loop(struct daemon *d) {
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

int daemon_run_loop(struct daemon *d) {
	int error = sd_event_loop(d->loop);
	if (d->reaper_started)
		pthread_join(d->reaper, NULL);
	return error;
}

void daemon_close_loop(struct daemon *d) {
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
