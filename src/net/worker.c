#include "net/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "atomdb/dispatch/modules.h"
#include "atomdb/store/shard_open.h"
#include "atomdb/util/error.h"
#include "atomdb/util/secure_memory.h"
#include "net/accept.h"
#include "net/connection.h"
#include "net/connection_host.h"
#include "net/loop.h"
#include "net/messages.h"

/* Size of worker.input in bytes. */
#define INPUT_BYTES (WORKER_HEAD + (1 + WORKER_STAGED) * WORKER_READ)

static void init_environment(struct worker *w, const struct settings *settings) {
	const struct worker_shared *shared = w->shared;
	w->env.registry = shared->registry;
	w->env.worker = w->number;
	w->env.worker_count = shared->worker_count;
	w->env.settings = *settings;
	w->env.host = &connection_host;
	w->env.command_set = shared->command_set;
	w->env.modules = &dispatch_modules;
	w->env.events = shared->events;
	w->env.clock_start = shared->clock_start;
	w->env.start_ms = shared->start_ms;
	w->env.run_id = shared->run_id;
	w->env.config_file = shared->config_file;
	buffer_init(&w->env.scratch);
	buffer_init(&w->env.feed.lines);
}

static int watch_source(struct worker *w, int fd, enum source source) {
	struct epoll_event event = {.events = EPOLLIN, .data.u64 = source};
	return epoll_ctl(w->epoll, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

static int open_sources(struct worker *w) {
	w->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (w->epoll < 0)
		return -errno;
	w->timer = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK | TFD_CLOEXEC);
	if (w->timer < 0)
		return -errno;
	w->reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (w->reserve < 0)
		return -errno;
	int r = inbox_open(&w->inbox);
	if (r == 0)
		r = watch_source(w, w->inbox.fd, SOURCE_INBOX);
	if (r == 0)
		r = watch_source(w, w->timer, SOURCE_TIMER);
	return r;
}

static struct worker *allocate(void) {
	struct worker *w = aligned_alloc(_Alignof(struct worker), sizeof(*w));
	if (w == NULL)
		return NULL;
	memset(w, 0, sizeof(*w));
	w->epoll = w->timer = w->reserve = w->inbox.fd = -1;
	list_init(&w->unauthenticated);
	list_init(&w->authenticated);
	list_init(&w->lingering);
	list_init(&w->waiting);
	list_init(&w->paused);
	list_init(&w->pushed);
	list_init(&w->pushing);
	list_init(&w->leaving);
	list_init(&w->visits);
	list_init(&w->evicted);
	list_init(&w->closed);
	list_init(&w->tasks);
	fiber_pool_init(&w->fibers);
	share_init(&w->share);
	reader_init(&w->reader);
	buffer_init(&w->output);
	w->armed_ms = w->resume_ms = w->tick_ms = INT64_MAX;
	return w;
}

int worker_new(struct worker **out, unsigned number, struct worker_shared *shared, const struct settings *settings,
	       struct listener *const *listeners, unsigned listener_count) {
	if (listener_count > SOURCE_END - SOURCE_LISTENER)
		return ATOMDB_E_RANGE;
	struct worker *w = allocate();
	if (w == NULL)
		return -ENOMEM;
	w->number = number;
	w->shared = shared;
	w->listeners = listeners;
	w->listener_count = listener_count;
	init_environment(w, settings);
	w->input = secure_alloc(INPUT_BYTES);
	int r = w->input == NULL ? -ENOMEM : open_sources(w);
	if (r < 0) {
		worker_free(w);
		return r;
	}
	loop_read_clocks(w);
	*out = w;
	return 0;
}

static void close_list(struct list *l) {
	while (!list_empty(l))
		connection_close(list_entry(l->next, struct connection, link));
}

void worker_close_clients(struct worker *w) {
	w->closes_at_once = true;
	close_list(&w->unauthenticated);
	close_list(&w->authenticated);
	close_list(&w->lingering);
	close_list(&w->evicted);
	close_list(&w->leaving);
	connection_free_closed(w);
}

static void *run(void *argument) {
	struct worker *w = argument;
	/* The kernel keeps 15 bytes of a thread's name. */
	char name[32];
	snprintf(name, sizeof(name), w->number < 10 ? "atomdb-worker-%u" : "atomdb-work-%u", w->number);
	name[15] = '\0';
	pthread_setname_np(pthread_self(), name);
	loop_run(w);
	if (atomic_load_explicit(&w->stop_request, memory_order_acquire) != STOP_FROZEN)
		worker_close_clients(w);
	return NULL;
}

int worker_start(struct worker *w) {
	sigset_t all, before;
	w->env.registry = w->shared->registry;
	int r = accept_listen(w, true);
	if (r < 0)
		return r;
	/* The main thread handles all signals. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(&w->thread, NULL, run, w);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	w->started = r == 0;
	return -r;
}

void worker_join(struct worker *w) {
	if (w->started)
		pthread_join(w->thread, NULL);
	w->started = false;
}

static void close_fd(int fd) {
	if (fd >= 0)
		close(fd);
}

void worker_free(struct worker *w) {
	if (w == NULL)
		return;
	if (w->inbox.fd >= 0)
		worker_discard_inbox(w);
	inbox_close(&w->inbox);
	close_fd(w->epoll);
	close_fd(w->timer);
	close_fd(w->reserve);
	reader_deinit(&w->reader);
	buffer_deinit(&w->output);
	buffer_deinit(&w->env.scratch);
	buffer_deinit(&w->env.feed.lines);
	secure_free(w->input, INPUT_BYTES);
	fiber_pool_deinit(&w->fibers);
	for (unsigned i = 0; i < w->shard_count; i++)
		shard_free(w->shards[i]);
	free(w->shards);
	free(w);
}

int worker_add_shard(struct worker *w, struct shard *s) {
	struct shard **shards = realloc(w->shards, (w->shard_count + 1) * sizeof(struct shard *));
	if (shards == NULL)
		return -ENOMEM;
	w->shards = shards;
	shards[w->shard_count++] = s;
	loop_account(w);
	loop_read_clocks(w);
	return 0;
}

const char *const client_state_names[CLIENT_STATES] = {
	"stranger", "authenticated", "transaction", "subscribed", "monitor", "waiting", "closing",
};

const struct worker_counters *worker_counters(const struct worker *w) {
	return &w->counters;
}

const struct environment *worker_environment(const struct worker *w) {
	return &w->env;
}

uint64_t worker_take_longest_turn(struct worker *w) {
	return atomic_exchange_explicit(&w->counters.longest_turn_ns, 0, memory_order_relaxed);
}
