/* The loop of a worker.
 *
 * A turn: wait, read the clocks once, serve what is ready, let the shard work where something is due. While the shard
 * has more to do, waiting takes no time, so that its slices and the clients alternate.
 *
 * One timerfd serves the wheel and the timeouts. It is set only to an earlier time than it is set to, and again after
 * it fired: serving a client touches it only when a deadline comes that is earlier than all others. */
#include "net/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "atomdb/events/tracking.h"
#include "atomdb/net/handover.h"
#include "atomdb/util/error.h"
#include "atomdb/util/secure_memory.h"
#include "net/connection.h"

/* Entries' worth of the shard's work in one turn: some tenths of a millisecond. */
#define WORK_UNITS 512
/* Time in a turn for clients that keep the worker long, beyond the first of them, in clock_ticks. */
#define GREEDY_TICKS ((uint64_t)1 << 18)
/* How often a worker that is stopping looks at the clock. */
#define STOP_STEP_MS 10
/* Bytes that are read at once of a client, and of those that are staged. */
#define INPUT_BYTES (WORKER_HEAD + (1 + WORKER_STAGED) * WORKER_READ)
/* Turns after which the rate of ticks is looked at again. */
#define SCALE_TURNS 1024

/* --- the timer -------------------------------------------------------------------------------------------------- */

#ifdef ATOMDB_TEST_HOOKS
/* The kernel does not know of a clock that a test sets: stands for the cancellation of the timer. */
static int64_t follow_test_clock(struct worker *w) {
	int64_t shift_ms = clock_test_shift_ms();
	if (w->test_shift_ms != shift_ms)
		w->armed_ms = INT64_MAX;
	w->test_shift_ms = shift_ms;
	return shift_ms;
}
#else
static int64_t follow_test_clock(struct worker *w) {
	(void)w;
	return 0;
}
#endif

static void set_timer(struct worker *w, int64_t at_ms) {
	int64_t kernel_ms = at_ms - follow_test_clock(w);
	struct itimerspec spec = {
		.it_value = {.tv_sec = kernel_ms / 1000, .tv_nsec = kernel_ms % 1000 * 1000000},
	};
	/* Cancelled when the clock is set: then the deadline is worked out anew. */
	timerfd_settime(w->timer, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &spec, NULL);
	w->armed_ms = at_ms;
}

static void read_timer(struct worker *w) {
	uint64_t ignored;
	(void)!read(w->timer, &ignored, sizeof(ignored));
	w->armed_ms = INT64_MAX;
}

/* --- a turn ----------------------------------------------------------------------------------------------------- */

static void serve_connection(struct connection *c, uint32_t events) {
	if (__builtin_expect(c->fd < 0 || (c->flags & CONNECTION_OVERRUN), 0))
		return;
	if (__builtin_expect(events & EPOLLOUT, 0)) {
		if (output_flush(c) < 0) {
			connection_close(c);
			return;
		}
		if (c->flags & CONNECTION_FINISHED) {
			connection_finish(c);
			return;
		}
		if (connection_charge(c) < 0) {
			connection_close(c);
			return;
		}
		if ((c->flags & (CONNECTION_RUNNABLE | CONNECTION_WAITING)) == CONNECTION_RUNNABLE) {
			input_resume(c);
			return;
		}
		connection_settle(c);
	}
	if (__builtin_expect(c->flags & CONNECTION_FINISHED, 0))
		input_discard(c);
	else if (__builtin_expect(c->interest & EPOLLIN, 1)) {
		if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
			input_ready(c);
	} else if (events & (EPOLLHUP | EPOLLERR)) {
		connection_close(c);
	}
}

static void serve(struct worker *w, const struct epoll_event *event) {
	if (__builtin_expect(event->data.u64 >= SOURCE_END, 1))
		serve_connection(event->data.ptr, event->events);
	else if (event->data.u64 == SOURCE_INBOX)
		worker_read_inbox(w);
	else if (event->data.u64 == SOURCE_TIMER)
		read_timer(w);
	else
		worker_accept(w, w->listeners[event->data.u64 - SOURCE_LISTENER]);
}

/* Serving one hides the cache misses of the next. */
static void prefetch_connection(const struct epoll_event *event) {
	const char *c = event->data.ptr;
	if (event->data.u64 < SOURCE_END)
		return;
	for (size_t at = 0; at < sizeof(struct connection); at += 64)
		__builtin_prefetch(c + at);
}

static bool is_greedy(const struct epoll_event *event) {
	if (event->data.u64 < SOURCE_END)
		return false;
	return ((const struct connection *)event->data.ptr)->greedy > 0;
}

/* Serves some of the greedy clients, from where the last turn stopped. The others stay ready, and come again with the
 * next turn: behind those who ask for little, who so wait for one greedy client and not for all. */
static void serve_greedy(struct worker *w, unsigned count) {
	uint64_t end = clock_ticks() + GREEDY_TICKS;
	unsigned first = w->greedy_next % count, served = 0;
	do {
		serve(w, &w->events[(first + served) % count]);
		served++;
	} while (served < count && clock_ticks() < end);
	w->greedy_next = first + served;
}

/* Runs what was staged. Each step is one for all of them, so that the misses of one overlap with the others'. */
static void run_staged(struct worker *w) {
	struct window *begin = &w->windows[1], *end = begin + w->staged;
	if (w->staged_commands > 1) {
		for (struct window *v = begin; v < end; v++)
			dispatch_fetch_entries(&v->connection->session, v->requests, v->count);
		for (struct window *v = begin; v < end; v++)
			dispatch_fetch_links(&v->connection->session, v->requests, v->count);
	}
	for (struct window *v = begin; v < end; v++)
		input_run(v->connection, v);
	w->staged = w->staged_commands = 0;
}

/* Reads what a client has sent; what it asks for runs with what the next ones do. */
static void stage(struct worker *w, struct connection *c) {
	struct window *v = &w->windows[1 + w->staged];
	if (!input_stage(c, v))
		return;
	w->staged++;
	w->staged_commands += v->count;
	if (w->staged == WORKER_STAGED || w->staged_commands >= WORKER_WINDOW)
		run_staged(w);
}

/* Serves what is ready: the greedy ones are gathered at the front of the events, until the others are done. */
static void serve_ready(struct worker *w, int count) {
	unsigned greedy = 0;
	for (int i = 0; i < count; i++) {
		struct epoll_event *event = &w->events[i];
		if (i + 1 < count)
			prefetch_connection(event + 1);
		if (__builtin_expect(is_greedy(event), 0)) {
			w->events[greedy++] = *event;
		} else if (event->data.u64 >= SOURCE_END && event->events == EPOLLIN && input_usual(event->data.ptr)) {
			stage(w, event->data.ptr);
		} else {
			run_staged(w);
			serve(w, event);
		}
	}
	run_staged(w);
	output_end_replies(w);
	if (__builtin_expect(greedy > 0, 0))
		serve_greedy(w, greedy);
}

static void move_all(struct list *to, struct list *from) {
	while (!list_empty(from)) {
		struct list *node = from->next;
		list_remove(node);
		list_push_back(to, node);
	}
}

/* Tries the commands again that waited, each once, until it takes longer than `most` ticks: the rest is the first to
 * be tried the next time. */
static void retry(struct list *waiting, uint64_t most) {
	struct list tries;
	list_init(&tries);
	move_all(&tries, waiting);
	uint64_t begin = clock_ticks();
	while (!list_empty(&tries) && clock_ticks() - begin <= most) {
		struct pending *p = list_entry(tries.next, struct pending, wait);
		list_remove(&p->wait);
		/* If it does not run for the replies that are to be sent first, it runs behind those. */
		p->connection->flags &= (uint8_t)~CONNECTION_WAITING;
		input_resume(p->connection);
	}
	move_all(&tries, waiting);
	move_all(waiting, &tries);
}

/* Tries the commands again whose time to wait is over. */
static void retry_paused(struct worker *w) {
	struct list due;
	list_init(&due);
	w->resume_ms = INT64_MAX;
	list_for_each (node, &w->paused) {
		struct session *s = &list_entry(node, struct pending, wait)->connection->session;
		if (s->wait_ms <= w->env.steady_ms) {
			s->wait_ms = 0;
			list_remove(node);
			list_push_back(&due, node);
		} else if (s->wait_ms < w->resume_ms) {
			w->resume_ms = s->wait_ms;
		}
	}
	retry(&due, UINT64_MAX);
}

static void read_clocks(struct worker *w) {
	w->env.now_ns = clock_monotonic_ns();
	w->env.steady_ms = (int64_t)(w->env.now_ns / 1000000);
	w->real_ms = clock_realtime_ms();
	(void)follow_test_clock(w);
	for (unsigned i = 0; i < w->shard_count; i++)
		shard_set_now(w->shards[i], w->real_ms, w->env.now_ns);
	/* All have been told the same times since they were added. */
	w->env.now_ms = w->shard_count > 0 ? shard_now(w->shards[0]) : w->real_ms;
}

/* Lets the shards work where something is due; when the first of them needs it next. */
static int64_t work_shards(struct worker *w) {
	int64_t first = INT64_MAX;
	w->busy = false;
	for (unsigned i = 0; i < w->shard_count; i++) {
		int64_t next = shard_deadline(w->shards[i]);
		if (next <= w->env.now_ms) {
			w->busy |= shard_work(w->shards[i], WORK_UNITS);
			next = shard_deadline(w->shards[i]);
		}
		if (next < first)
			first = next;
	}
	return first;
}

/* Works, and sees to it that the worker wakes up in time for what comes next. */
static void work(struct worker *w) {
	int64_t next = work_shards(w);
	if (__builtin_expect(!list_empty(&w->waiting), 0)) {
		retry(&w->waiting, GREEDY_TICKS);
		w->busy |= !list_empty(&w->waiting);
	}
	if (__builtin_expect(w->resume_ms <= w->env.steady_ms, 0)) {
		retry_paused(w);
	}
	if (w->tick_ms <= w->env.steady_ms)
		worker_sweep(w);
	int64_t wake_ms = w->resume_ms < w->tick_ms ? w->resume_ms : w->tick_ms;
	if (wake_ms != INT64_MAX && w->real_ms + (wake_ms - w->env.steady_ms) < next)
		next = w->real_ms + (wake_ms - w->env.steady_ms);
	if (next < w->armed_ms && !w->busy)
		set_timer(w, next > w->real_ms ? next : w->real_ms + 1);
}

/* The rate of ticks is known ever better. */
static void set_scale(struct worker *w) {
	double seconds = clock_ticks_to_seconds(&w->env.clock_start, 1000000000);
	double scale = seconds / DURATION_UNIT_NS * (double)(UINT64_C(1) << DURATION_SCALE_BITS);
	/* A tick lasts between a hundredth of a nanosecond and a microsecond. */
	if (scale >= 1e4 && scale <= 1.1e9)
		w->env.duration_scale = (uint64_t)scale;
}

static void note_turn(struct worker *w, uint64_t ticks) {
	if (__builtin_expect(counter_get(&w->counters.longest_turn_ns) == 0, 0))
		w->longest_ticks = 0;
	if (__builtin_expect(ticks > w->longest_ticks, 0)) {
		w->longest_ticks = ticks;
		double seconds = clock_ticks_to_seconds(&w->env.clock_start, ticks);
		counter_set(&w->counters.longest_turn_ns, 1 + (uint64_t)(seconds * 1e9));
	}
	counter_add(&w->counters.busy_ticks, ticks);
	counter_add(&w->counters.turns, 1);
	if (__builtin_expect(counter_get(&w->counters.turns) % SCALE_TURNS == 0, 0))
		set_scale(w);
}

static void hang(struct worker *w) {
#ifdef ATOMDB_TEST_HOOKS
	while (atomic_load(&w->hang))
		nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
#else
	(void)w;
#endif
}

static void turn(struct worker *w, int wait_ms) {
	int n = epoll_take(w->epoll, w->events, WORKER_EVENTS, wait_ms);
	uint64_t begin = clock_ticks();
	hang(w);
	read_clocks(w);
	serve_ready(w, n);
	work(w);
	output_end_replies(w);
	if (__builtin_expect(w->env.broadcasts != NULL, 0))
		tracking_turn_ended(&w->env);
	if (__builtin_expect(w->env.feed.lines.len != 0 || w->env.feed.lost, 0))
		worker_send_monitor_feed(w);
	while (__builtin_expect(!list_empty(&w->pushed) || !list_empty(&w->evicted), 0)) {
		connection_close_evicted(w);
		output_flush_pushed(w);
	}
	if (__builtin_expect(!list_empty(&w->closed), 0))
		connection_free_closed(w);
	note_turn(w, clock_ticks() - begin);
}

/* --- the end ---------------------------------------------------------------------------------------------------- */

/* Of any worker: AUTH may still send one here. */
static bool has_clients(const struct worker *w) {
	return atomic_load_explicit(&w->shared->clients, memory_order_relaxed) > 0;
}

/* Serves what every client has sent so far, and lets each go once it is answered. */
static void finish_list(struct worker *w, struct list *l) {
	struct list todo;
	list_init(&todo);
	while (!list_empty(l)) {
		struct list *node = l->next;
		list_remove(node);
		list_push_back(&todo, node);
	}
	while (!list_empty(&todo)) {
		struct connection *c = list_entry(todo.next, struct connection, link);
		list_remove(&c->link);
		list_push_back(l, &c->link);
		if (c->interest & EPOLLIN)
			input_ready(c);
		/* Where it is not in its place any more it was dealt with, and may be another worker's. */
		if (l->prev == &c->link && !(c->flags & CONNECTION_RUNNABLE))
			connection_finish(c);
	}
	connection_free_closed(w);
}

static void close_list(struct list *l) {
	while (!list_empty(l))
		connection_close(list_entry(l->next, struct connection, link));
}

void worker_close_clients(struct worker *w) {
	close_list(&w->unauthenticated);
	close_list(&w->authenticated);
	close_list(&w->lingering);
	close_list(&w->evicted);
	connection_free_closed(w);
}

static void stop(struct worker *w) {
	w->stopping = true;
	worker_listen(w, false);
	read_clocks(w);
	/* Connections that were accepted for it, and those on their way from another worker. */
	worker_read_inbox(w);
	uint64_t most = atomic_load_explicit(&w->stop_request, memory_order_acquire) - 1;
	w->stop_ns = w->env.now_ns + most * 1000000;
	finish_list(w, &w->unauthenticated);
	finish_list(w, &w->authenticated);
	w->resume_ms = 0;
	while (has_clients(w) && w->env.now_ns < w->stop_ns) {
		turn(w, w->busy ? 0 : STOP_STEP_MS);
		worker_sweep_lingering(w);
	}
	worker_close_clients(w);
}

static void *run(void *argument) {
	struct worker *w = argument;
	/* The kernel keeps 15 bytes of a thread's name. */
	char name[32];
	snprintf(name, sizeof(name), w->number < 10 ? "atomdb-worker-%u" : "atomdb-work-%u", w->number);
	name[15] = '\0';
	pthread_setname_np(pthread_self(), name);
	while (atomic_load_explicit(&w->stop_request, memory_order_acquire) == 0)
		turn(w, w->busy ? 0 : -1);
	if (atomic_load_explicit(&w->stop_request, memory_order_acquire) != STOP_FROZEN)
		stop(w);
	return NULL;
}

/* --- life ------------------------------------------------------------------------------------------------------- */

static void init_environment(struct worker *w, const struct settings *settings) {
	const struct worker_shared *shared = w->shared;
	w->env.registry = shared->registry;
	w->env.worker = w->number;
	w->env.worker_count = shared->worker_count;
	w->env.settings = *settings;
	w->env.host = &connection_host;
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
	list_init(&w->evicted);
	list_init(&w->closed);
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
	read_clocks(w);
	*out = w;
	return 0;
}

int worker_start(struct worker *w) {
	sigset_t all, before;
	w->env.registry = w->shared->registry;
	set_scale(w);
	int r = worker_listen(w, true);
	if (r < 0)
		return r;
	/* Signals are the main thread's. */
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
	read_clocks(w);
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
