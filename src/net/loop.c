/* A turn: wait for events, read the clocks once, serve ready connections, and run the due work of shards. While a shard
 * has more work, the wait returns at once, so that slices of its work alternate with clients.
 *
 * One timerfd serves the wheel and the timeouts. It is set only to an earlier time, and again after it fires: serving a
 * client sets it only for a deadline that is earlier than all others. */
#include "net/loop.h"

#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "atomdb/events/events.h"
#include "atomdb/store/shard.h"
#include "atomdb/util/heap.h"
#include "atomdb/util/work_meter.h"
#include "net/accept.h"
#include "net/connection.h"
#include "net/fanout.h"
#include "net/input.h"
#include "net/messages.h"
#include "net/output.h"
#include "net/pending.h"
#include "net/push.h"
#include "net/schedule.h"
#include "net/sweep.h"
#include "net/task.h"
#include "net/worker.h"

/* Work of a shard in one turn, in entries: some tenths of a millisecond. */
#define WORK_UNITS 512
/* Time of a turn in clock_ticks after which only tenants that are not ahead are served: about SHARE_SLICE_NS. */
#define SHARE_TICKS ((uint64_t)1 << 21)
/* Time in a turn for deferred clients after the first, in clock_ticks. */
#define GREEDY_TICKS ((uint64_t)1 << 18)
/* Interval at which a stopping worker checks the clock. */
#define STOP_STEP_MS 10
/* Time in a turn for all commands on fibers together. */
#define SLICE_SECONDS 1e-3
/* Bytes of freed large blocks of the heap that a turn gives back: some tenths of a millisecond. */
#define RECLAIM_BYTES ((size_t)4 << 20)
/* Time that commands on fibers have to end before the process does. */
#define DRAIN_NS UINT64_C(3000000000)
/* Turns between two measurements of the rate of ticks. */
#define SCALE_TURNS 1024

/* --- the timer -------------------------------------------------------------------------------------------------- */

#ifdef ATOMDB_TEST_HOOKS
/* The kernel does not know the clock of tests: this replaces the cancellation of the timer. */
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
	/* The kernel cancels the timer when the clock is set. The worker then computes the deadline again. */
	timerfd_settime(w->timer, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &spec, NULL);
	w->armed_ms = at_ms;
}

static void read_timer(struct worker *w) {
	uint64_t ignored;
	(void)!read(w->timer, &ignored, sizeof(ignored));
	w->armed_ms = INT64_MAX;
}

/* --- a turn ----------------------------------------------------------------------------------------------------- */

static void serve_client(struct connection *c, uint32_t events) {
	if (__builtin_expect(c->fd < 0 || (c->flags & (CONNECTION_OVERRUN | CONNECTION_LEAVING)), 0))
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

static void serve_connection(struct connection *c, uint32_t events) {
	struct worker *w = c->worker;
	cpu_time_enter(&w->cpu, c->session.tenant);
	serve_client(c, events);
	cpu_time_leave(&w->cpu);
}

static void serve(struct worker *w, const struct epoll_event *event) {
	if (__builtin_expect(event->data.u64 >= SOURCE_END, 1))
		serve_connection(event->data.ptr, event->events);
	else if (event->data.u64 == SOURCE_INBOX)
		worker_read_inbox(w);
	else if (event->data.u64 == SOURCE_TIMER)
		read_timer(w);
	else
		accept_ready(w, w->listeners[event->data.u64 - SOURCE_LISTENER]);
}

/* Serving one connection overlaps with the cache misses of the next. */
static void prefetch_connection(const struct epoll_event *event) {
	const char *c = event->data.ptr;
	if (event->data.u64 < SOURCE_END)
		return;
	for (size_t at = 0; at < sizeof(struct connection); at += 64)
		__builtin_prefetch(c + at);
}

/* Returns whether a client is served after the others: it recently kept the worker long, or its tenant is ahead of the
 * others in CPU time, or has messages to send first. */
static bool is_deferred(struct worker *w, const struct epoll_event *event) {
	if (event->data.u64 < SOURCE_END)
		return false;
	const struct connection *c = event->data.ptr;
	if (w->cpu.read > w->share_end_ticks)
		w->share.ahead_ns = 0;
	bool admitted = share_admits(&w->share, c->session.tenant);
	return !admitted || c->greedy > 0 || worker_is_behind(w, c->session.tenant);
}

/* Notes that the tenants with suspended commands, waiting commands and unsent messages have work in this turn, so that
 * virtual time does not pass them. */
static __attribute__((cold, noinline)) void note_waiting(struct worker *w) {
	list_for_each (node, &w->tasks)
		(void)share_admits(&w->share, list_entry(node, struct task, link)->tenant);
	list_for_each (node, &w->waiting)
		(void)share_admits(&w->share, list_entry(node, struct pending, wait)->connection->session.tenant);
	list_for_each (node, &w->pushing)
		(void)share_admits(&w->share, list_entry(node, struct tenant, clients.pushing));
}

/* Serves some of the deferred clients, starting where the last turn stopped. The others stay ready for the next turn.
 * Clients that are not deferred thus wait for one deferred client, not for all. */
static void serve_deferred(struct worker *w, unsigned count) {
	uint64_t end = clock_ticks() + GREEDY_TICKS;
	unsigned first = w->first_deferred % count, tried = 0;
	bool served = false;
	share_serve_ahead(&w->share);
	while (tried < count && (!served || clock_ticks() < end)) {
		const struct epoll_event *event = &w->deferred[(first + tried++) % count];
		struct tenant *t = ((const struct connection *)event->data.ptr)->session.tenant;
		if (!share_admits(&w->share, t) || worker_is_behind(w, t))
			continue;
		serve(w, event);
		served = true;
	}
	w->first_deferred = first + tried;
}

/* Runs the staged commands. Does each step for all of them, so that their cache misses overlap. */
static void run_staged(struct worker *w) {
	struct window *begin = &w->windows[1], *end = begin + w->staged;
	if (w->staged_commands > 1) {
		for (struct window *v = begin; v < end; v++)
			dispatch_fetch_entries(&v->connection->session, v->requests, v->count);
		for (struct window *v = begin; v < end; v++)
			dispatch_fetch_links(&v->connection->session, v->requests, v->count);
	}
	for (struct window *v = begin; v < end; v++) {
		cpu_time_enter(&w->cpu, v->connection->session.tenant);
		input_run(v->connection, v);
		cpu_time_leave(&w->cpu);
	}
	w->staged = w->staged_commands = 0;
}

/* Reads the input of a client. Its commands run together with the commands of the next clients. */
static void stage(struct worker *w, struct connection *c) {
	struct window *v = &w->windows[1 + w->staged];
	cpu_time_enter(&w->cpu, c->session.tenant);
	bool staged = input_stage(c, v);
	cpu_time_leave(&w->cpu);
	if (!staged)
		return;
	w->staged++;
	w->staged_commands += v->count;
	if (w->staged == WORKER_STAGED || w->staged_commands >= WORKER_WINDOW)
		run_staged(w);
}

/* Serves the ready connections, starting where the last turn began to defer them. */
static void serve_ready(struct worker *w, unsigned count) {
	unsigned first = w->first_event < count ? w->first_event : 0, deferred = 0;
	w->first_event = 0;
	for (unsigned i = 0; i < count; i++) {
		unsigned at = first + i < count ? first + i : first + i - count;
		struct epoll_event *event = &w->events[at];
		if (at + 1 < count)
			prefetch_connection(event + 1);
		if (__builtin_expect(is_deferred(w, event), 0)) {
			if (deferred == 0)
				w->first_event = at;
			w->deferred[deferred++] = *event;
		} else if (event->data.u64 >= SOURCE_END && event->events == EPOLLIN && input_usual(event->data.ptr)) {
			stage(w, event->data.ptr);
		} else {
			run_staged(w);
			serve(w, event);
		}
	}
	run_staged(w);
	output_end_replies(w);
	if (__builtin_expect(deferred > 0, 0))
		serve_deferred(w, deferred);
}

/* Tries each waiting command once, if its tenant is not ahead, for at most GREEDY_TICKS. The next call continues with
 * the rest. */
static void retry_waiting(struct worker *w) {
	struct list tries, ahead;
	list_init(&tries);
	list_init(&ahead);
	list_move_all(&tries, &w->waiting);
	share_serve_ahead(&w->share);
	uint64_t begin = clock_ticks();
	while (!list_empty(&tries) && clock_ticks() - begin <= GREEDY_TICKS) {
		struct pending *p = list_entry(tries.next, struct pending, wait);
		struct tenant *t = p->connection->session.tenant;
		list_remove(&p->wait);
		if (!share_admits(&w->share, t) || worker_is_behind(w, t)) {
			list_push_back(&ahead, &p->wait);
			continue;
		}
		/* It runs after its replies are sent, if they must be sent first. */
		p->connection->flags &= (uint16_t)~CONNECTION_WAITING;
		cpu_time_enter(&w->cpu, t);
		input_resume(p->connection);
		cpu_time_leave(&w->cpu);
	}
	list_move_all(&ahead, &tries);
	list_move_all(&ahead, &w->waiting);
	list_move_all(&w->waiting, &ahead);
}

/* Queues the commands whose wait is over. */
static void resume_paused(struct worker *w) {
	w->resume_ms = INT64_MAX;
	list_for_each (node, &w->paused) {
		struct session *s = &list_entry(node, struct pending, wait)->connection->session;
		if (s->wait_ms <= w->env.steady_ms) {
			s->wait_ms = 0;
			(void)share_admits(&w->share, s->tenant);
			list_remove(node);
			list_push_back(&w->waiting, node);
		} else if (s->wait_ms < w->resume_ms) {
			w->resume_ms = s->wait_ms;
		}
	}
}

void loop_read_clocks(struct worker *w) {
	w->env.now_ns = clock_monotonic_ns();
	w->env.steady_ms = (int64_t)(w->env.now_ns / 1000000);
	w->real_ms = clock_realtime_ms();
	(void)follow_test_clock(w);
	for (unsigned i = 0; i < w->shard_count; i++)
		shard_set_now(w->shards[i], w->real_ms, w->env.now_ns);
	/* All shards have the same clock. */
	w->env.now_ms = w->shard_count > 0 ? shard_now(w->shards[0]) : w->real_ms;
}

/* --- the account of the shards' work ------------------------------------------------------------------------------ */

static struct tenant *begin_work(void *context) {
	struct worker *w = context;
	struct tenant *before = w->cpu.tenant;
	cpu_time_leave(&w->cpu);
	w->part_begin = w->cpu.read;
	return before;
}

static void work_for(void *context, struct tenant *t) {
	struct worker *w = context;
	cpu_time_leave(&w->cpu);
	/* Its work counts in its share, as if a client had sent it. */
	if (t != NULL)
		(void)share_admits(&w->share, t);
	cpu_time_enter(&w->cpu, t);
}

static bool has_time(void *context) {
	return worker_has_time(context);
}

void loop_account(struct worker *w) {
	w->account = (struct work_account){begin_work, work_for, has_time, w};
	for (unsigned i = 0; i < w->shard_count; i++)
		shard_set_account(w->shards[i], &w->account);
}

/* --- the work of a turn ------------------------------------------------------------------------------------------- */

/* Runs the due work of each shard. Returns the time of the next due work. */
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

/* Closes clients whose time is over, and retries listeners that could not be watched. */
static void sweep(struct worker *w) {
	sweep_run(w);
	if (!w->stopping && accept_listen(w, true) < 0)
		w->tick_ms = w->env.steady_ms + SWEEP_MS;
}

/* Does the due work, and sets the timer for the next. */
static void work(struct worker *w) {
	int64_t next = work_shards(w);
	if (__builtin_expect(w->resume_ms <= w->env.steady_ms, 0))
		resume_paused(w);
	if (__builtin_expect(!list_empty(&w->visits), 0))
		fanout_visit(w);
	if (__builtin_expect(!list_empty(&w->tasks), 0))
		schedule_run(w);
	if (__builtin_expect(!list_empty(&w->waiting), 0)) {
		retry_waiting(w);
		w->busy |= !list_empty(&w->waiting);
	}
	w->busy |= heap_reclaim(RECLAIM_BYTES);
	if (w->tick_ms <= w->env.steady_ms)
		sweep(w);
	int64_t wake_ms = w->resume_ms < w->tick_ms ? w->resume_ms : w->tick_ms;
	if (wake_ms != INT64_MAX && w->real_ms + (wake_ms - w->env.steady_ms) < next)
		next = w->real_ms + (wake_ms - w->env.steady_ms);
	if (next < w->armed_ms && !w->busy)
		set_timer(w, next > w->real_ms ? next : w->real_ms + 1);
}

/* Measures the rate of clock_ticks(). The result becomes more precise over time. */
static void set_scale(struct worker *w) {
	double seconds = clock_ticks_to_seconds(&w->env.clock_start, 1000000000);
	double scale = seconds / DURATION_UNIT_NS * (double)(UINT64_C(1) << DURATION_SCALE_BITS);
	/* A tick lasts between a hundredth of a nanosecond and a microsecond. */
	if (scale < 1e4 || scale > 1.1e9)
		return;
	w->env.duration_scale = (uint64_t)scale;
	if (w->slice_ticks > 0)
		schedule_set_slice(w, SLICE_SECONDS / seconds * 1e9);
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
	cpu_time_end_turn(&w->cpu, ticks);
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

/* Closes clients that hold too much or leave, and sends pushed messages, for a part of the turn each. */
static __attribute__((cold, noinline)) void end_clients_and_pushes(struct worker *w) {
	connection_close_evicted(w);
	connection_shed_leaving(w);
	push_flush(w);
	w->pushes_left = !list_empty(&w->pushing);
	w->end_work = w->pushes_left || !list_empty(&w->pushed) || !list_empty(&w->evicted) || !list_empty(&w->leaving);
	w->busy |= w->end_work;
}

/* Sends the messages of tenants that have unsent ones, for a part of the turn. */
static __attribute__((cold, noinline)) void make_messages(struct worker *w) {
	struct tenant *t;
	w->part_begin = clock_ticks();
	do {
		t = events_next_unsent(&w->env);
		if (t != NULL)
			schedule_send_unsent(w, t);
	} while (t != NULL && worker_has_time(w));
	w->busy |= w->env.unsent != NULL;
}

/* Sends the replies, messages and lines of the turn. */
static inline void end_turn(struct worker *w) {
	output_end_replies(w);
	if (__builtin_expect(w->env.unsent != NULL, 0))
		make_messages(w);
	if (__builtin_expect(w->env.feed.lines.len != 0 || w->env.feed.lost, 0))
		worker_send_monitor_feed(w);
	if (__builtin_expect(w->end_work, 0))
		end_clients_and_pushes(w);
	if (__builtin_expect(!list_empty(&w->closed), 0))
		connection_free_closed(w);
}

void loop_turn(struct worker *w, int wait_ms) {
	int n = epoll_take(w->epoll, w->events, WORKER_EVENTS, wait_ms);
	uint64_t begin = clock_ticks();
	work_meter_point();
	share_begin_turn(&w->share);
	if (__builtin_expect(w->busy, 0))
		note_waiting(w);
	w->share_end_ticks = begin + SHARE_TICKS;
	hang(w);
	loop_read_clocks(w);
	cpu_time_begin_turn(&w->cpu, begin, w->env.now_ns);
	serve_ready(w, n > 0 ? (unsigned)n : 0);
	work(w);
	end_turn(w);
	work_meter_point();
	note_turn(w, clock_ticks() - begin);
}

/* --- the end ---------------------------------------------------------------------------------------------------- */

/* Returns whether any worker has clients: AUTH may still send one here. */
static bool has_clients(const struct worker *w) {
	return atomic_load_explicit(&w->shared->clients, memory_order_relaxed) > 0;
}

/* Runs the received commands of every client, and closes each client after its replies. */
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
		/* A connection that has left its list was handled, and may belong to another worker. */
		if (l->prev == &c->link && !(c->flags & CONNECTION_RUNNABLE))
			connection_finish(c);
	}
	connection_free_closed(w);
}

static void stop(struct worker *w) {
	w->stopping = true;
	accept_listen(w, false);
	loop_read_clocks(w);
	/* Takes connections that were accepted for this worker, or sent by another one. */
	worker_read_inbox(w);
	uint64_t most = atomic_load_explicit(&w->stop_request, memory_order_acquire) - 1;
	w->stop_ns = w->env.now_ns + most * 1000000;
	finish_list(w, &w->unauthenticated);
	finish_list(w, &w->authenticated);
	w->resume_ms = 0;
	while (has_clients(w) && w->env.now_ns < w->stop_ns) {
		loop_turn(w, w->busy ? 0 : STOP_STEP_MS);
		sweep_lingering(w);
	}
}

/* Lets the commands on fibers come to their end while the other clients are served. */
static void drain(struct worker *w) {
	uint64_t end_ns = w->env.now_ns + DRAIN_NS;
	w->starts_no_tasks = true;
	while (!list_empty(&w->tasks) && w->env.now_ns < end_ns)
		loop_turn(w, 0);
	schedule_finish(w);
	do {
		end_turn(w);
		schedule_finish(w);
	} while (w->pushes_left || events_can_send(&w->env));
}

void loop_run(struct worker *w) {
	heap_keep(true);
	schedule_set_slice(w, 1);
	set_scale(w);
	cpu_time_start(&w->cpu, clock_ticks_to_seconds(&w->env.clock_start, 1000000000), clock_monotonic_ns());
	while (atomic_load_explicit(&w->stop_request, memory_order_acquire) == 0)
		loop_turn(w, w->busy ? 0 : -1);
	if (atomic_load_explicit(&w->stop_request, memory_order_acquire) != STOP_FROZEN)
		stop(w);
	else
		drain(w);
	w->closes_at_once = true;
	fanout_visit(w);
	schedule_abandon(w);
	connection_close_leaving(w);
	heap_keep(false);
}
