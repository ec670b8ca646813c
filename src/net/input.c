/* Reads bytes to the worker's input buffer, behind the pending bytes of an unfinished command, which are copied there
 * if they are few. Reads a large command straight into the pending buffer. Runs the bytes as a batch, then sends all
 * replies at once. The remaining bytes become pending. */
#include "net/input.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "atomdb/store/tenant.h"
#include "atomdb/util/error.h"
#include "net/batch.h"
#include "net/connection.h"
#include "net/output.h"
#include "net/pending.h"
#include "net/task.h"
#include "net/worker.h"

/* Largest piece of a large argument that one read takes. */
#define LARGE_READ ((size_t)1 << 20)
/* The reader is trimmed after a batch that used more argument slots. */
#define SLOTS_KEPT 1024
/* Most bytes of a greedy client that one read takes. */
#define GREEDY_READ ((size_t)16 << 10)

/* Replies an error that CLIENT REPLY cannot suppress to a client that holds too much, and closes it. */
static void refuse_memory(struct connection *c) {
	struct worker *w = c->worker;
	connection_report_evicted(c);
	pending_drop(c);
	writer_init(&w->writer, &w->output, SIZE_MAX);
	writer_error(&w->writer, "OOM command not allowed when used memory > 'maxmemory'.");
	if (output_flush(c) < 0)
		connection_close(c);
	else
		connection_finish(c);
}

/* Returns whether the unfinished command is known to exceed the client's limit. */
static bool is_too_large(const struct connection *c) {
	size_t most = batch_query_limit(c);
	return c->pending->bytes.len >= most || reader_need(&c->pending->reader) > most;
}

static void refuse_query(struct connection *c) {
	struct batch b = {.data = c->pending->bytes.data, .len = c->pending->bytes.len};
	batch_protocol_error(c, &b, "Protocol error: query buffer limit exceeded");
	if (output_flush(c) < 0)
		connection_close(c);
	else
		connection_finish(c);
}

/* Makes the commands wait until the session's own wait or the tenant's pause ends, or the session is woken. */
static void wait_for_pause(struct connection *c) {
	struct worker *w = c->worker;
	int64_t end = c->session.wait_ms != 0 ? c->session.wait_ms : c->session.tenant->clients.pause_end_ms;
	c->flags |= CONNECTION_WAITING | CONNECTION_RUNNABLE;
	list_push_back(&w->paused, &c->pending->wait);
	if (end > w->env.steady_ms && end < w->resume_ms)
		w->resume_ms = end;
}

/* Closes the connection, possibly in the middle of a command, whose state must not stay in the reader. */
static void abandon(struct connection *c) {
	reader_reset(&c->worker->reader);
	connection_close(c);
}

/* Returns whether the tenant has no room for the unfinished command even after evictions. */
static bool never_fits(const struct connection *c) {
	const struct tenant *t = c->session.tenant;
	return t != NULL && client_memory_refuses(t, reader_need(&c->pending->reader), c->charge.bytes);
}

/* Returns whether the bytes that did not run begin with a command that the reader has read a part of. */
static bool is_unfinished(const struct connection *c, const struct batch *b, enum verdict verdict) {
	return verdict == VERDICT_UNFINISHED || verdict == VERDICT_TOO_LARGE ||
	       (verdict == VERDICT_BUSY && b->done == 0 && reader_busy(&c->worker->reader));
}

/* Makes the bytes that did not run pending. Returns 0 or -ENOMEM. */
static int keep_rest(struct connection *c, const struct batch *b, enum verdict verdict) {
	/* A batch without input has no data. */
	char *rest = b->done == 0 ? b->data : b->data + b->done;
	return pending_keep(c, rest, b->len - b->done, is_unfinished(c, b, verdict));
}

/* Has the commands wait until the suspended command of the tenant that they are for has ended. */
static void wait_for_task(struct connection *c) {
	c->flags |= CONNECTION_WAITING | CONNECTION_RUNNABLE;
	list_push_back(&c->worker->env.awaited->clients.task->waiting, &c->pending->wait);
}

static void conclude(struct connection *c, const struct batch *b, enum verdict verdict);

/* Replies an error to an unfinished command that cannot be held, and skips the rest of it. */
static void refuse_command(struct connection *c) {
	struct worker *w = c->worker;
	struct pending *p = c->pending;
	size_t done = c->session.tenant == NULL ? 0 : reader_give_up(&p->reader);
	if (done == 0 || pending_skip(p, done) < 0) {
		refuse_memory(c);
		return;
	}
	batch_begin_replies(c);
	dispatch_refuse(&c->session);
	/* There is no room for this reply, because of the client's unread replies. */
	if (w->writer.failed || output_flush(c) < 0) {
		connection_close(c);
		return;
	}
	struct batch b = {.data = p->bytes.data, .len = p->bytes.len};
	pending_resume(c, b.data);
	conclude(c, &b, batch_run(c, &b, w->windows));
}

/* Brings the connection into the state for the verdict. May close the connection. */
static void conclude(struct connection *c, const struct batch *b, enum verdict verdict) {
	struct worker *w = c->worker;
	bool rest = false;
	if (__builtin_expect(w->reader.cap > SLOTS_KEPT, 0) && !is_unfinished(c, b, verdict))
		reader_reset(&w->reader);
	bool later = verdict == VERDICT_DONE && !w->stopping && output_later(c);
	if (!later && (verdict == VERDICT_DROP || output_flush(c) < 0)) {
		w->output.len = w->output_begin;
		abandon(c);
		return;
	}
	if (__builtin_expect(verdict == VERDICT_DONE, 1)) {
		pending_drop(c);
	} else if (verdict == VERDICT_CLOSE) {
		reader_reset(&w->reader);
		connection_finish(c);
		return;
	} else {
		rest = true;
		if (keep_rest(c, b, verdict) < 0) {
			abandon(c);
			return;
		}
		if (verdict == VERDICT_MIGRATE) {
			connection_depart(c);
			return;
		}
		if (verdict == VERDICT_UNFINISHED && is_too_large(c)) {
			refuse_query(c);
			return;
		}
		if (verdict == VERDICT_TOO_LARGE || (verdict == VERDICT_UNFINISHED && never_fits(c))) {
			refuse_command(c);
			return;
		}
		if (verdict == VERDICT_BLOCKED && w->stopping) {
			connection_finish(c);
			return;
		}
		if (verdict == VERDICT_STALLED)
			c->flags |= CONNECTION_RUNNABLE;
		if (verdict == VERDICT_BLOCKED)
			wait_for_pause(c);
		if (verdict == VERDICT_BUSY)
			wait_for_task(c);
		if (verdict == VERDICT_SUSPENDED)
			c->flags |= CONNECTION_WAITING | CONNECTION_RUNNABLE;
		/* If the socket has taken the replies in the meantime, epoll does not report it. */
		if (verdict == VERDICT_RETRY || (verdict == VERDICT_STALLED && !output_is_behind(c))) {
			c->flags |= CONNECTION_WAITING | CONNECTION_RUNNABLE;
			list_push_back(&w->waiting, &c->pending->wait);
		}
	}
	if (__builtin_expect(w->stopping, 0) && (!rest || verdict == VERDICT_UNFINISHED)) {
		connection_finish(c);
		return;
	}
	if (__builtin_expect((rest || c->output != NULL || c->charge.bytes > 0) && connection_charge(c) < 0, 0)) {
		if (c->flags & CONNECTION_OVERRUN)
			return;
		if (verdict == VERDICT_UNFINISHED)
			refuse_command(c);
		else
			refuse_memory(c);
		return;
	}
	connection_settle(c);
}

/* --- reading ---------------------------------------------------------------------------------------------------- */

/* Counts read bytes. Returns false if nothing was read, or the connection has ended, and handles that. */
static bool count_input(struct connection *c, ssize_t n) {
	if (__builtin_expect(n > 0, 1)) {
		counter_add(&c->worker->counters.input_bytes, (uint64_t)n);
		if (c->session.tenant != NULL)
			tenant_count_input(c->session.tenant, (uint64_t)n);
		return true;
	}
	if (n == 0) {
		c->flags |= CONNECTION_ENDED;
		connection_finish(c);
	} else if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) {
		connection_close(c);
	}
	return false;
}

/* Reads a piece of a large command into the pending buffer. The buffer grows with the arrived bytes: an announced
 * length alone costs nothing. */
static void read_large(struct connection *c, size_t need) {
	struct pending *p = c->pending;
	size_t have = p->bytes.len;
	size_t more = need > have ? need - have : WORKER_READ;
	if (more > LARGE_READ)
		more = LARGE_READ;
	size_t limit = (need > have + more ? need : have + more);
	const char *from = p->bytes.data;
	int r = buffer_reserve(&p->bytes, more, limit);
	if (r < 0) {
		connection_close(c);
		return;
	}
	reader_rebase(&p->reader, from, p->bytes.data);
	if (connection_charge(c) < 0) {
		if (!(c->flags & CONNECTION_OVERRUN))
			refuse_command(c);
		return;
	}
	ssize_t n = socket_recv(c->fd, p->bytes.data + have, more);
	if (!count_input(c, n))
		return;
	p->bytes.len += (size_t)n;
	struct batch b = {.data = p->bytes.data, .len = p->bytes.len};
	pending_resume(c, b.data);
	conclude(c, &b, batch_run(c, &b, c->worker->windows));
}

void input_ready(struct connection *c) {
	struct worker *w = c->worker;
	size_t have = 0;
	if (__builtin_expect(c->pending != NULL, 0)) {
		size_t need = reader_need(&c->pending->reader);
		have = c->pending->bytes.len;
		if (have > WORKER_HEAD || need > WORKER_READ) {
			read_large(c, need);
			return;
		}
		if (have > 0)
			memcpy(w->input, c->pending->bytes.data, have);
	}
	ssize_t n = socket_recv(c->fd, w->input + have, __builtin_expect(c->greedy > 0, 0) ? GREEDY_READ : WORKER_READ);
	if (__builtin_expect(n <= 0, 0)) {
		count_input(c, n);
		return;
	}
	count_input(c, n);
	struct batch b = {.data = w->input, .len = have + (size_t)n};
	if (__builtin_expect(c->pending != NULL, 0))
		pending_resume(c, b.data);
	conclude(c, &b, batch_run(c, &b, c->worker->windows));
}

bool input_usual(const struct connection *c) {
	const uint16_t flags = CONNECTION_GREETED | CONNECTION_RUNNABLE | CONNECTION_WAITING | CONNECTION_FINISHED |
			       CONNECTION_OVERRUN;
	return c->fd >= 0 && c->pending == NULL && c->session.tenant != NULL && (c->interest & EPOLLIN) != 0 &&
	       (c->flags & flags) == CONNECTION_GREETED;
}

static char *staged_bytes(struct worker *w, const struct window *v) {
	return w->input + WORKER_HEAD + (size_t)(v - w->windows) * WORKER_READ;
}

bool input_stage(struct connection *c, struct window *v) {
	char *bytes = staged_bytes(c->worker, v);
	ssize_t n = socket_recv(c->fd, bytes, WORKER_READ);
	if (!count_input(c, n))
		return false;
	v->connection = c;
	v->len = (size_t)n;
	v->count = batch_parse_usual(v, bytes, v->len);
	dispatch_prepare(&c->session, v->requests, v->count);
	return true;
}

void input_run(struct connection *c, struct window *v) {
	struct batch b = {.data = staged_bytes(c->worker, v), .len = v->len};
	if (c->fd >= 0 && !(c->flags & (CONNECTION_FINISHED | CONNECTION_OVERRUN)))
		conclude(c, &b, batch_run(c, &b, v));
}

void input_discard(struct connection *c) {
	ssize_t n = socket_recv(c->fd, c->worker->input, WORKER_READ);
	if (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) {
		connection_close(c);
		return;
	}
	if (n == 0)
		c->flags |= CONNECTION_ENDED;
	/* More input is likely to follow during a pipeline: the sweep frees the buffer. */
	if (n <= 0)
		connection_finish(c);
}

void input_resume(struct connection *c) {
	if (c->pending == NULL || output_is_behind(c))
		return;
	list_remove(&c->pending->wait);
	c->flags &= (uint16_t) ~(CONNECTION_RUNNABLE | CONNECTION_WAITING);
	struct batch b = {.data = c->pending->bytes.data, .len = c->pending->bytes.len};
	pending_resume(c, b.data);
	conclude(c, &b, batch_run(c, &b, c->worker->windows));
}

/* Returns how a batch ends with a command that has not replied. */
static enum verdict verdict_of(enum outcome outcome) {
	switch (outcome) {
	case OUTCOME_BLOCKED:
		return VERDICT_BLOCKED;
	case OUTCOME_MIGRATE:
		return VERDICT_MIGRATE;
	default:
		return VERDICT_RETRY;
	}
}

void input_answer(struct connection *c, struct task *k) {
	enum verdict verdict;
	c->flags &= (uint16_t) ~(CONNECTION_RUNNABLE | CONNECTION_WAITING);
	if (outcome_is_final(k->outcome))
		verdict = batch_answer(c, k);
	else
		verdict = task_put_back(k) == 0 ? verdict_of(k->outcome) : VERDICT_DROP;
	struct batch b = {.data = c->pending->bytes.data, .len = c->pending->bytes.len};
	if (verdict == VERDICT_DONE && b.len > 0)
		verdict = VERDICT_RETRY;
	conclude(c, &b, verdict);
}
