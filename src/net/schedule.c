#include "net/schedule.h"

#include <stdlib.h>

#include "atomdb/dispatch/transaction.h"
#include "atomdb/events/events.h"
#include "atomdb/store/shard.h"
#include "atomdb/store/suspend.h"
#include "atomdb/store/tenant.h"
#include "atomdb/util/token_bucket.h"
#include "net/batch.h"
#include "net/connection.h"
#include "net/input.h"
#include "net/messages.h"
#include "net/output.h"
#include "net/pending.h"
#include "net/report.h"
#include "net/stall.h"
#include "net/task.h"
#include "net/worker.h"

/* Bounds of a slice, in clock_ticks(), if the clock was read too early to know its rate. */
#define SLICE_LEAST ((double)(1 << 18))
#define SLICE_MOST  ((double)(1 << 24))

/* Time for the evictions of a tenant that has to give memory back, between two commands of it that are suspended. */
#define GIVE_WAY_NS UINT64_C(100000000)

/* --- the slices -------------------------------------------------------------------------------------------------- */

/* Returns how many slices a command has before it stays suspended for good: $ATOMDB_TEST_HOLD. A test ends the process
 * in the middle of its commands. */
static uint64_t slices_before_hold(void) {
#ifdef ATOMDB_TEST_HOOKS
	const char *slices = getenv("ATOMDB_TEST_HOLD");
	if (slices != NULL)
		return strtoull(slices, NULL, 10);
#endif
	return UINT64_MAX;
}

void schedule_set_slice(struct worker *w, double ticks) {
	if (fiber_test_yields() || slices_before_hold() != UINT64_MAX) {
		w->slice_ticks = 0;
		return;
	}
	ticks = ticks < SLICE_LEAST ? SLICE_LEAST : ticks;
	w->slice_ticks = (uint64_t)(ticks > SLICE_MOST ? SLICE_MOST : ticks);
}

/* Returns whether a task may run in this turn. */
static bool has_time(struct worker *w) {
	uint64_t turn = 1 + counter_get(&w->counters.turns);
	bool first = w->slice_turn != turn;
	if (first)
		w->slice_left = w->slice_ticks;
	w->slice_turn = turn;
	return first || w->slice_left > 0;
}

static void count_slice(struct worker *w, uint64_t ticks) {
	w->slice_left = ticks < w->slice_left ? w->slice_left - ticks : 0;
}

/* The most bytes that the reply may have. */
static size_t reply_limit(const struct connection *c) {
	size_t limit = output_limit(c);
	return limit == SIZE_MAX ? SIZE_MAX : limit - c->worker->output_begin;
}

/* The `grow` of a task's writer. */
static bool grow_reply(struct writer *writer, size_t n) {
	struct task *k = list_entry(writer, struct task, writer);
	return batch_grow_reply(k->connection, writer, reply_limit(k->connection), n);
}

/* Tests suspend each command also before it begins and after its last change. A command that is to wait must not miss
 * what wakes it. */
static void check_for_tests(void) {
	if (fiber_test_yields())
		(void)fiber_check();
}

static void run(void *context) {
	struct task *k = context;
	check_for_tests();
	if (k->connection == NULL) {
		events_send_unsent(k->tenant);
		return;
	}
	k->outcome = dispatch_run_admitted(&k->connection->session, &k->request, &k->ticks);
	if (outcome_is_final(k->outcome))
		check_for_tests();
}

/* Exchanges the worker's state of the running command with that of the task. */
static void swap_state(struct task *k) {
	struct environment *env = &k->worker->env;
	struct buffer scratch = env->scratch;
	struct pinned pinned = env->pinned;
	uint64_t pattern_work = env->pattern_work;
	int64_t now_ms = env->now_ms;
	env->scratch = k->scratch;
	env->pinned = k->pinned;
	env->pattern_work = k->pattern_work;
	k->scratch = scratch;
	k->pinned = pinned;
	k->pattern_work = pattern_work;
	env->now_ms = k->now_ms;
	k->now_ms = now_ms;
	(void)shard_swap_now(k->tenant->shard, env->now_ms);
}

/* While the command runs, its arguments are not charged: what it stores takes their place. The shard still counts them
 * as memory. Returns their bytes. */
static uint64_t begin_charge(struct task *k) {
	struct connection *c = k->connection;
	if (c == NULL)
		return 0;
	uint64_t bytes = c->charge.bytes > k->charged ? c->charge.bytes - k->charged : 0;
	if (bytes > 0)
		shard_hold_memory(c->worker->shards[0], bytes);
	connection_uncharge_to(c, k->charged);
	return bytes;
}

static void end_charge(struct task *k, uint64_t held) {
	struct connection *c = k->connection;
	if (c == NULL)
		return;
	k->charged = c->charge.bytes;
	if (held > 0)
		shard_release_memory(c->worker->shards[0], held);
}

/* Counts a slice in which the command missed its check points. Logs the first one of a command. */
static void check_stall(struct task *k, uint64_t begin) {
	uint64_t ms = stall_count(k->worker, begin);
	if (ms > 0 && !k->stalled && k->connection != NULL)
		report_stall(k->connection, k->request.command, ms);
	k->stalled |= ms > 0;
}

/* Lets the command run until the slice is used up. Returns whether it has ended. */
static bool run_slice(struct task *k) {
	struct connection *c = k->connection;
	struct worker *w = k->worker;
	struct environment *env = &w->env;
	struct session *running = env->running;
	uint64_t held = begin_charge(k), begin = clock_ticks();
	if (tenant_suspended(k->tenant))
		shard_resume(k->tenant);
	env->running = c == NULL ? running : &c->session;
	env->away_ticks = k->fiber->away + (begin - k->fiber->suspended);
	if (c != NULL)
		c->session.reply = &k->writer;
	swap_state(k);
	cpu_time_enter(&w->cpu, k->tenant);
	bool done = fiber_resume(k->fiber, w->slice_left);
	swap_state(k);
	if (c != NULL)
		c->session.reply = &w->writer;
	env->away_ticks = 0;
	env->running = running;
	if (!done)
		shard_suspend(k->tenant);
	end_charge(k, held);
	uint64_t ticks = clock_ticks() - begin;
	count_slice(w, ticks);
	if (__builtin_expect(ticks > STALL_TICKS, 0))
		check_stall(k, begin);
	/* After check_stall(), whose measurement gives the rate of this piece. */
	cpu_time_leave(&w->cpu);
	return done;
}

/* --- the beginning ------------------------------------------------------------------------------------------------ */

static void begin_reply(struct task *k) {
	const struct writer *from = &k->worker->writer;
	size_t limit = reply_limit(k->connection);
	writer_init(&k->writer, &k->out, limit < OUTPUT_KEPT ? limit : OUTPUT_KEPT);
	k->writer.grow = grow_reply;
	k->writer.protocol = from->protocol;
	k->writer.muted = from->muted;
}

/* The command has ended in its first slice: it is as if it had run without a fiber. */
static enum outcome end_at_once(struct task *k) {
	enum outcome outcome = k->outcome;
	k->tenant->clients.task = NULL;
	output_queue_all(k->worker, k->tenant, &k->pushed);
	if (k->connection != NULL && outcome_is_final(outcome))
		task_take_reply(k);
	task_free(k);
	return outcome;
}

/* Begins to send the messages of a tenant on a fiber. Returns whether the rest is sent later. */
static bool begin_sending(struct worker *w, struct tenant *t) {
	struct task *k = task_new_sender(w, t);
	if (k == NULL) {
		events_send_unsent(t);
		return false;
	}
	fiber_start(k->fiber, run, k);
	if (!list_empty(&w->tasks) || !has_time(w)) {
		shard_suspend(t);
	} else if (run_slice(k)) {
		(void)end_at_once(k);
		return false;
	}
	list_push_back(&w->tasks, &k->link);
	w->busy = true;
	return true;
}

void schedule_send_unsent(struct worker *w, struct tenant *t) {
	cpu_time_enter(&w->cpu, t);
	if (events_send_is_long(t))
		(void)begin_sending(w, t);
	else
		events_send_unsent(t);
	cpu_time_leave(&w->cpu);
}

/* Sends the messages that earlier commands have caused. Returns whether the rest is sent later. */
static bool send_before(struct worker *w, struct tenant *t) {
	if (!events_has_unsent(t))
		return false;
	if (events_send_is_long(t))
		return begin_sending(w, t);
	events_send_unsent(t);
	return false;
}

/* Returns whether evictions come before the next command that may be suspended. */
static bool gives_way(const struct worker *w, const struct tenant *t) {
	return w->env.now_ns < t->clients.task_end_ns + GIVE_WAY_NS && shard_must_evict(t);
}

enum outcome schedule_run_long(struct session *s, struct request *r, uint64_t *ticks) {
	struct connection *c = list_entry(s, struct connection, session);
	struct worker *w = c->worker;
	if (w->starts_no_tasks || gives_way(w, s->tenant))
		return OUTCOME_RETRY;
	/* The messages of earlier commands do not wait for a command that takes long. */
	if (command_is_long(s, r) && send_before(w, s->tenant)) {
		w->env.awaited = s->tenant;
		return OUTCOME_BUSY;
	}
	if (w->writer.failed)
		return OUTCOME_CLOSE;
	struct task *k = task_new(c, r);
	if (k == NULL)
		return dispatch_run_admitted(s, r, ticks);
	begin_reply(k);
	k->ticks = *ticks;
	fiber_start(k->fiber, run, k);
	if (!list_empty(&w->tasks) || !has_time(w)) {
		shard_suspend(k->tenant);
	} else if (run_slice(k)) {
		*ticks = clock_ticks();
		return end_at_once(k);
	}
	*ticks = clock_ticks();
	task_own_arguments(k);
	s->flags |= SESSION_SUSPENDED;
	list_push_back(&w->tasks, &k->link);
	w->busy = true;
	return OUTCOME_SUSPENDED;
}

/* --- the end ------------------------------------------------------------------------------------------------------ */

/* Takes the task from the worker and the tenant. Those who waited for it are tried again. */
static void detach(struct task *k) {
	struct worker *w = k->worker;
	list_remove(&k->link);
	k->tenant->clients.task = NULL;
	k->tenant->clients.task_end_ns = w->env.now_ns;
	if (k->connection != NULL)
		k->connection->session.flags &= ~(uint32_t)SESSION_SUSPENDED;
	list_move_all(&w->waiting, &k->waiting);
}

/* Closes the connections that stayed for the task. */
static void close_leaving(struct worker *w, struct list *leaving) {
	while (!list_empty(leaving)) {
		struct connection *c = list_entry(leaving->next, struct connection, link);
		list_remove(&c->link);
		list_push_back(&w->lingering, &c->link);
		connection_close(c);
	}
}

static void handle_messages(struct worker *w, struct message *m) {
	while (m != NULL) {
		struct message *next = m->next;
		worker_handle_message(w, m);
		m = next;
	}
}

static void end_task(struct task *k) {
	struct connection *c = k->connection;
	struct worker *w = k->worker;
	struct message *messages = k->messages;
	struct list leaving;
	list_init(&leaving);
	detach(k);
	output_queue_all(k->worker, k->tenant, &k->pushed);
	list_move_all(&leaving, &k->closing);
	k->messages = NULL;
	/* The same command asks for its token again. */
	if (c != NULL && !outcome_is_final(k->outcome) && !(k->request.command->flags & CMD_NO_AUTH))
		token_bucket_give_back(&k->tenant->commands);
	/* A message that removes the tenant closes all its clients. Closing the last one here would free the tenant. */
	if (c != NULL && !(c->flags & CONNECTION_LEAVING) && !k->tenant->clients.removed)
		input_answer(c, k);
	task_free(k);
	handle_messages(w, messages);
	close_leaving(w, &leaving);
}

/* Returns whether the task has had the slices that a test allows. Its tenant does not hold up the time of the others.
 */
static bool is_held(const struct task *k) {
	bool held = k->fiber->slices >= slices_before_hold();
	if (held)
		share_use(k->tenant, SHARE_SLICE_NS);
	return held;
}

/* Returns the task of the tenant with the least virtual time, or NULL if all of them are ahead of other tenants. Of
 * equal ones, returns the task that waited longest. */
static struct task *next_task(struct worker *w) {
	struct task *least = NULL;
	list_for_each (node, &w->tasks) {
		struct task *k = list_entry(node, struct task, link);
		if (!is_held(k) && share_admits(&w->share, k->tenant) && !worker_is_behind(w, k->tenant) &&
		    (least == NULL || k->tenant->share_ns < least->tenant->share_ns))
			least = k;
	}
	return least;
}

/* Ends the commands that only read and that have delayed evictions for busy_limit. */
static void enforce_busy_limit(struct worker *w) {
	uint64_t limit_ns = (uint64_t)w->env.settings.busy_limit * 1000000000;
	list_for_each (node, &w->tasks) {
		struct task *k = list_entry(node, struct task, link);
		uint64_t ns = w->env.now_ns - k->begin_ns;
		if (limit_ns == 0 || ns <= limit_ns || k->fiber->cancelled || k->fiber->slices == 0 ||
		    !task_only_reads(k) || !shard_must_evict(k->tenant))
			continue;
		report_ended(k->connection, k->request.command, ns / 1000000);
		task_end_reader(k);
	}
}

void schedule_run(struct worker *w) {
	struct task *k;
	enforce_busy_limit(w);
	/* Their tenants have work in this turn. */
	(void)next_task(w);
	share_serve_ahead(&w->share);
	while (has_time(w) && (k = next_task(w)) != NULL) {
		list_remove(&k->link);
		list_push_back(&w->tasks, &k->link);
		if (run_slice(k)) {
			cpu_time_enter(&w->cpu, k->tenant);
			end_task(k);
			cpu_time_leave(&w->cpu);
		} else if (k->connection != NULL && !(k->connection->flags & CONNECTION_LEAVING)) {
			(void)connection_charge(k->connection);
		}
	}
	w->busy |= !list_empty(&w->tasks);
}

/* Returns whether the next process may run the command from its begin. Recovery takes back an open undo scope, but no
 * scope that the command has committed, and no change of sessions, as SUBSCRIBE, DISCARD and CLIENT KILL make. */
static bool is_repeatable(const struct task *k) {
	if (k->connection == NULL)
		return false;
	uint64_t flags = k->request.command->flags;
	if (k->fiber->slices == 0 || flags & (CMD_READONLY | CMD_MAY_WRITE))
		return true;
	if (flags & CMD_RUNS_QUEUE && !transaction_is_repeatable(&k->connection->session))
		return false;
	return flags & (CMD_WRITE | CMD_RUNS_QUEUE) && k->tenant->suspension.scope.depth != 0;
}

/* Runs a command on until it ends or is repeatable. */
static void run_on(struct task *k) {
	struct worker *w = k->worker;
	bool done = false;
	while (!done && !is_repeatable(k)) {
		w->slice_left = w->slice_ticks;
		done = run_slice(k);
	}
	if (done)
		end_task(k);
}

void schedule_finish(struct worker *w) {
	struct list todo;
	list_init(&todo);
	list_move_all(&todo, &w->tasks);
	while (!list_empty(&todo)) {
		struct task *k = list_entry(todo.next, struct task, link);
		list_remove(&k->link);
		list_push_back(&w->tasks, &k->link);
		run_on(k);
	}
}

static void drop_messages(struct task *k) {
	while (k->messages != NULL) {
		struct message *m = k->messages;
		k->messages = m->next;
		free(m);
	}
}

/* Messages that the command has pushed are sent when it runs again. */
static void take_back_pushed(struct task *k) {
	while (!list_empty(&k->pushed)) {
		struct output *o = list_entry(k->pushed.next, struct output, push);
		list_remove(&o->push);
		output_take_back(o);
	}
}

static void abandon(struct task *k) {
	struct connection *c = k->connection;
	struct worker *w = k->worker;
	struct list leaving;
	list_init(&leaving);
	detach(k);
	take_back_pushed(k);
	list_move_all(&leaving, &k->closing);
	drop_messages(k);
	if (c == NULL || k->request.command->flags & CMD_READONLY)
		shard_resume(k->tenant);
	if (c != NULL && !(c->flags & CONNECTION_LEAVING)) {
		session_select(&c->session, k->database);
		c->session.flags &= ~(uint32_t)SESSION_EXECUTING;
		if (task_put_back(k) < 0)
			connection_close(c);
	}
	task_free(k);
	close_leaving(w, &leaving);
}

void schedule_abandon(struct worker *w) {
	while (!list_empty(&w->tasks))
		abandon(list_entry(w->tasks.next, struct task, link));
}
