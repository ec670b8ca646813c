/* From a client's bytes to its commands.
 *
 * The bytes are read to the worker's input buffer, behind what is pending of an unfinished command (copied there while
 * it is small); a large command is read straight into the pending buffer. Commands are parsed up to WORKER_WINDOW
 * ahead, prepared together and run in order; then all their replies are sent at once. What is left over (an unfinished
 * command, or commands that must wait) becomes pending. */
#include <errno.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>

#include "atomdb/session/client_memory.h"
#include "atomdb/session/hotkeys.h"
#include "atomdb/util/error.h"
#include "net/connection.h"
#include "net/sniff.h"
#include "net/worker.h"

/* Replies are sent in the middle of a batch when they are more than this. */
#define OUTPUT_EARLY ((size_t)256 << 10)
/* A large argument is read in pieces of at most this. */
#define LARGE_READ ((size_t)1 << 20)
/* What a client may send before it authenticates, and what one of its arguments may be. */
#define UNAUTHENTICATED_ARGS  10
#define UNAUTHENTICATED_BULK  ((uint64_t)16 << 10)
#define UNAUTHENTICATED_BYTES ((size_t)256 << 10)
/* Argument slots beyond which the reader is trimmed after the batch. */
#define SLOTS_KEPT 1024
/* How much of the offending bytes is reported. */
#define REPORTED ((size_t)128)
/* Time for the commands of one client before the others have theirs, in clock_ticks: some milliseconds at most. Bytes
 * alone do not bound it, since a few of them can ask for a walk through all keys. */
#define SLICE_TICKS ((uint64_t)1 << 22)
/* A client that had so many commands run at once is greedy until some of its turns in a row were short, as the end of a
 * long pipeline is, too. It is read less at once then. */
#define GREEDY_COMMANDS 256u
#define GREEDY_TURNS    8
#define GREEDY_READ     ((size_t)16 << 10)

/* Parsing and running are loops that each want the processor's registers to themselves. */
#define APART __attribute__((noinline))

/* How the commands at hand ended. */
enum verdict {
	VERDICT_DONE,       /* no byte is left */
	VERDICT_WINDOW,     /* the window was used up: there is more */
	VERDICT_UNFINISHED, /* the rest is the beginning of a command */
	VERDICT_TOO_LARGE,  /* the same, and its client may not hold it */
	VERDICT_STALLED,    /* the rest waits until replies are sent */
	VERDICT_AGAIN,      /* the rest waits until the shard has caught up, or the others have been served */
	VERDICT_LATER,      /* the rest waits until the tenant's pause ends, or the session is woken */
	VERDICT_ELSEWHERE,  /* the rest is for another worker */
	VERDICT_CLOSE,      /* close after the replies */
	VERDICT_DROP,       /* close at once */
};

/* The bytes at hand. */
struct feed {
	char *data;
	size_t len;
	size_t done; /* bytes whose commands have run */
};

/* Pending input may begin with a secret, and is about to be run elsewhere or dropped. If it is larger, the secret has
 * been run in place. */
static void wipe_pending(struct buffer *b) {
	if (b->len > 0 && b->len <= WORKER_HEAD)
		explicit_bzero(b->data, b->len);
}

void input_drop(struct connection *c) {
	struct pending *p = c->pending;
	if (p == NULL)
		return;
	list_remove(&p->wait);
	wipe_pending(&p->bytes);
	reader_deinit(&p->reader);
	buffer_deinit(&p->bytes);
	free(p);
	c->pending = NULL;
	c->flags &= (uint8_t) ~(CONNECTION_RUNNABLE | CONNECTION_WAITING);
}

static size_t query_limit(const struct connection *c) {
	uint64_t most = c->worker->env.settings.query_buffer;
	if (most == 0 || most > SIZE_MAX)
		most = SIZE_MAX;
	if (!session_authenticated(&c->session) && most > UNAUTHENTICATED_BYTES)
		most = UNAUTHENTICATED_BYTES;
	return (size_t)most;
}

/* --- parsing and running ---------------------------------------------------------------------------------------- */

/* The offending bytes, as far as they may be reported: what follows these words may be a secret. */
static struct slice reported(struct slice bytes) {
	static const struct slice words[] = {{"AUTH", 4}, {"SECRET", 6}};
	if (bytes.len > REPORTED)
		bytes.len = REPORTED;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		for (size_t end = words[i].len; end < bytes.len; end++) {
			if (strncasecmp(bytes.data + end - words[i].len, words[i].data, words[i].len) == 0)
				bytes.len = end;
		}
	}
	return bytes;
}

/* The client does not speak RESP. */
static void report_foreign(const struct connection *c, enum log_event_id id, struct slice bytes) {
	counter_add(&c->worker->counters.protocol_errors, 1);
	connection_report(c, id, reported(bytes), NULL);
}

static enum verdict protocol_error(struct connection *c, const struct feed *f, const char *reason) {
	struct slice bytes = {f->data + f->done, f->len - f->done};
	if (sniff_begins_like_http(bytes)) {
		report_foreign(c, LOG_EVENT_HTTP_ON_RESP, bytes);
		return VERDICT_CLOSE;
	}
	report_foreign(c, LOG_EVENT_PROTOCOL_ERROR, bytes);
	writer_errorf(&c->worker->writer, "ERR %s", reason);
	return VERDICT_CLOSE;
}

/* Reads usual commands, up to a window of them. */
static APART unsigned parse_usual(struct window *v, const char *data, size_t len) {
	unsigned n = reader_read_usual(data, len, v->slots, WORKER_SLOTS, v->commands, WORKER_WINDOW);
	for (unsigned i = 0; i < n; i++) {
		v->requests[i].argv = v->commands[i].argv;
		v->requests[i].argc = v->commands[i].argc;
	}
	return n;
}

/* Reads one command of any kind. Returns what the reader says. */
static APART int parse_any(struct connection *c, struct feed *f, struct window *v) {
	struct reader *r = &c->worker->reader;
	bool authenticated = session_authenticated(&c->session);
	/* A command that runs does it, too; here there may be none. */
	connection_touch(c);
	struct reader_limits limits = {
		.max_args = authenticated ? INT32_MAX : UNAUTHENTICATED_ARGS,
		.max_bulk = authenticated ? KEYSPACE_VALUE_MAX : UNAUTHENTICATED_BULK,
		.authenticated = authenticated,
		.max_bytes = query_limit(c),
	};
	if (c->session.tenant != NULL && tenant_client_limit(c->session.tenant) < limits.max_bytes)
		limits.max_bytes = (size_t)tenant_client_limit(c->session.tenant);
	size_t consumed = 0;
	int result = reader_read(r, f->data + f->done, f->len - f->done, &limits, &consumed);
	if (result == READER_COMMAND) {
		v->commands[0].end = consumed;
		v->requests[0].argv = r->argv;
		v->requests[0].argc = r->argc;
		v->count = 1;
	} else if (result == READER_EMPTY || result == READER_UNFINISHED) {
		f->done += consumed;
	}
	return result;
}

/* Fills the window from byte f->done on, and prepares it. Returns what the reader says. */
static int parse(struct connection *c, struct feed *f, struct window *v) {
	int result = READER_COMMAND;
	/* An unauthenticated client's next command may be AUTH, which changes the limits of those behind it. */
	if (c->session.tenant != NULL && !reader_busy(&c->worker->reader))
		v->count = parse_usual(v, f->data + f->done, f->len - f->done);
	if (v->count == 0)
		result = parse_any(c, f, v);
	dispatch_prepare(&c->session, v->requests, v->count);
	if (v->count > 1) {
		dispatch_fetch_entries(&c->session, v->requests, v->count);
		dispatch_fetch_links(&c->session, v->requests, v->count);
	}
	return result;
}

/* The value that the reply ends with is to be sent before anything else. */
static APART enum verdict pin_reply(struct connection *c) {
	struct worker *w = c->worker;
	struct pinned pinned = w->env.pinned;
	w->env.pinned = (struct pinned){0};
	if (w->writer.failed) {
		pin_release(pinned.pin);
		return VERDICT_DONE;
	}
	return output_pin(c, pinned) < 0 ? VERDICT_DROP : VERDICT_STALLED;
}

/* Overwrites the command that has just run, from byte `begin` on. */
static APART void wipe_command(struct connection *c, const struct feed *f, size_t begin) {
	c->session.flags &= ~(uint32_t)SESSION_SECRET;
	explicit_bzero(f->data + begin, f->done - begin);
	reader_wipe(&c->worker->reader);
}

/* There was no room for the command's reply: the client is told so. False: it has left more unread than it may. */
static APART bool drop_reply(struct connection *c) {
	struct worker *w = c->worker;
	if (w->writer.limit >= output_limit(c)) {
		counter_add(&w->counters.output_limit, 1);
		connection_report(c, LOG_EVENT_OUTPUT_LIMIT, (struct slice){0}, NULL);
		return false;
	}
	connection_uncharge(c);
	w->writer.limit = output_free_limit(c);
	dispatch_drop_reply(&c->session);
	return true;
}

/* Runs the window's commands. VERDICT_DONE when all ran, or the time is over and nothing is left. */
static APART enum verdict run_window(struct connection *c, struct feed *f, struct window *v, uint64_t *ticks,
				     uint64_t end) {
	struct worker *w = c->worker;
	struct session *s = &c->session;
	const size_t begin = f->done;
	enum verdict verdict;
	for (unsigned i = 0; i < v->count; i++) {
		dispatch_fetch_ahead(s, &v->requests[i], v->count - i);
		enum outcome outcome = dispatch_run(s, &v->requests[i], ticks);
		if (__builtin_expect(outcome != OUTCOME_DONE, 0)) {
			if (outcome == OUTCOME_RETRY)
				return VERDICT_AGAIN;
			if (outcome == OUTCOME_BLOCKED)
				return VERDICT_LATER;
			if (outcome == OUTCOME_MIGRATE)
				return VERDICT_ELSEWHERE;
			if (outcome == OUTCOME_HTTP) {
				struct slice line = {f->data + f->done, begin + v->commands[i].end - f->done};
				report_foreign(c, LOG_EVENT_HTTP_ON_RESP, line);
				return VERDICT_CLOSE;
			}
			if (outcome == OUTCOME_PINNED_TAIL && (verdict = pin_reply(c)) != VERDICT_DONE) {
				f->done = begin + v->commands[i].end;
				return verdict;
			}
		}
		f->done = begin + v->commands[i].end;
		if (__builtin_expect(w->writer.failed, 0) && !drop_reply(c))
			return VERDICT_DROP;
		if (__builtin_expect(outcome == OUTCOME_CLOSE || (s->flags & (SESSION_CLOSING | SESSION_SECRET)), 0)) {
			if (s->flags & SESSION_SECRET)
				wipe_command(c, f, begin + (i > 0 ? v->commands[i - 1].end : 0));
			if (outcome == OUTCOME_CLOSE || (s->flags & SESSION_CLOSING))
				return VERDICT_CLOSE;
		}
		if (__builtin_expect(w->output.len > OUTPUT_EARLY, 0)) {
			if (output_flush(c) < 0)
				return VERDICT_DROP;
			connection_uncharge(c);
			w->writer.limit = output_free_limit(c);
			if (connection_is_behind(c))
				return VERDICT_STALLED;
		}
		if (__builtin_expect(*ticks > end, 0) && f->done < f->len)
			return VERDICT_AGAIN;
	}
	return VERDICT_DONE;
}

/* What comes behind the commands that have run, when the reader said `result` of the last that it read. */
static enum verdict behind(struct connection *c, const struct feed *f, int result) {
	if (result == READER_COMMAND || result == READER_EMPTY)
		return f->done < f->len ? VERDICT_WINDOW : VERDICT_DONE;
	if (result == READER_UNFINISHED)
		return VERDICT_UNFINISHED;
	if (result == ATOMDB_E_PROTOCOL)
		return protocol_error(c, f, c->worker->reader.error);
	if (result == ATOMDB_E_RANGE && c->session.tenant != NULL &&
	    tenant_client_limit(c->session.tenant) < query_limit(c))
		return VERDICT_TOO_LARGE;
	if (result == ATOMDB_E_RANGE)
		return protocol_error(c, f, "Protocol error: query buffer limit exceeded");
	return VERDICT_DROP;
}

/* Whether the connection's first bytes may go on to the reader. */
static bool check_greeting(struct connection *c, const struct feed *f) {
	struct slice line = {0};
	switch (sniff_first_line((struct slice){f->data, f->len}, &line)) {
	case SNIFF_HTTP:
		report_foreign(c, LOG_EVENT_HTTP_ON_RESP, line);
		return false;
	case SNIFF_TLS:
		report_foreign(c, LOG_EVENT_TLS_ON_RESP, (struct slice){0});
		return false;
	case SNIFF_OTHER:
		c->flags |= CONNECTION_GREETED;
		return true;
	default:
		return true;
	}
}

/* The client's replies go to the worker's output. */
static inline void begin_replies(struct connection *c) {
	struct worker *w = c->worker;
	writer_init(&w->writer, &w->output, output_free_limit(c));
	w->writer.grow = output_grow;
	w->writer.protocol = c->session.protocol;
	w->writer.muted = (c->session.flags & SESSION_REPLY_OFF) != 0;
	c->session.reply = &w->writer;
}

/* While its commands run, a client's buffers are not charged to its tenant: what they make takes the place of what they
 * are made from. They are memory all the same. */
static APART uint64_t hold_memory(struct connection *c) {
	uint64_t bytes = c->session.tenant != NULL ? c->charged : 0;
	if (bytes > 0)
		shard_hold_memory(c->worker->shards[0], bytes);
	connection_uncharge(c);
	return bytes;
}

/* Runs every complete command, those first that are in the window already. */
static enum verdict run_feed(struct connection *c, struct feed *f, struct window *v) {
	struct worker *w = c->worker;
	if (__builtin_expect(!(c->flags & CONNECTION_GREETED), 0) && !check_greeting(c, f))
		return VERDICT_DROP;
	uint64_t ticks = clock_ticks();
	if (__builtin_expect(output_is_due(w, ticks), 0) || __builtin_expect(c->flags & CONNECTION_REPLIED, 0))
		output_end_replies(w);
	begin_replies(c);
	w->env.running = &c->session;
	const uint64_t end = ticks + SLICE_TICKS;
	unsigned commands = 0;
	uint64_t held = 0;
	enum verdict verdict;
	do {
		/* A connection that waited for its replies to be sent may have nothing left to run. */
		int result = READER_EMPTY;
		if (v->count > 0 || f->done < f->len)
			result = v->count > 0 ? READER_COMMAND : parse(c, f, v);
		verdict = VERDICT_DONE;
		if (__builtin_expect(v->count > 0, 1)) {
			commands += v->count;
			if (__builtin_expect(c->charged > 0, 0))
				held += hold_memory(c);
			hotkeys_count(&c->session, v->requests, v->count);
			verdict = run_window(c, f, v, &ticks, end);
			v->count = 0;
		}
		if (__builtin_expect(verdict == VERDICT_DONE, 1))
			verdict = behind(c, f, result);
	} while (verdict == VERDICT_WINDOW);
	if (__builtin_expect(commands > GREEDY_COMMANDS, 0))
		c->greedy = GREEDY_TURNS;
	else if (__builtin_expect(c->greedy > 0, 0))
		c->greedy--;
	w->env.running = NULL;
	if (__builtin_expect(held > 0, 0))
		shard_release_memory(w->shards[0], held);
	return verdict;
}

/* --- what is left over ------------------------------------------------------------------------------------------ */

static struct pending *make_pending(struct connection *c) {
	if (c->pending == NULL) {
		struct pending *p = calloc(1, sizeof(*p));
		if (p == NULL)
			return NULL;
		p->connection = c;
		list_init(&p->wait);
		reader_init(&p->reader);
		c->pending = p;
	}
	return c->pending;
}

/* Moves the bytes to the front of a buffer that is not much larger than they are. */
static int keep_bytes(struct buffer *b, char *rest, size_t len) {
	bool inside = b->data != NULL && (uintptr_t)rest - (uintptr_t)b->data <= b->cap;
	if (len == 0) {
		buffer_deinit(b);
		return 0;
	}
	if (inside && (b->cap <= GRACE_BYTES || len >= b->cap / 4)) {
		memmove(b->data, rest, len);
		b->len = len;
		return 0;
	}
	struct buffer fresh;
	buffer_init(&fresh);
	if (!inside) {
		wipe_pending(b);
		b->len = 0;
		int r = buffer_append(b, rest, len, SIZE_MAX);
		explicit_bzero(rest, len);
		return r;
	}
	int r = buffer_append(&fresh, rest, len, SIZE_MAX);
	if (r == 0) {
		buffer_deinit(b);
		*b = fresh;
	}
	return r;
}

/* Makes the bytes that did not run pending; 0 or -ENOMEM. */
static int keep_rest(struct connection *c, const struct feed *f, bool unfinished) {
	char *rest = f->data + f->done;
	struct pending *p = make_pending(c);
	if (p == NULL)
		return -ENOMEM;
	/* Where they are now is only a number after this: their buffer may be gone. */
	int r = keep_bytes(&p->bytes, rest, f->len - f->done);
	if (r < 0)
		return r;
	if (unfinished) {
		struct reader *from = &c->worker->reader;
		struct reader state = *from;
		*from = p->reader;
		p->reader = state;
		reader_rebase(&p->reader, rest, p->bytes.data);
		reader_reset(from);
	} else {
		reader_reset(&p->reader);
		reader_wipe(&c->worker->reader);
	}
	return 0;
}

int input_hold(struct connection *c, struct slice bytes) {
	struct worker *w = c->worker;
	struct pending *p = make_pending(c);
	if (p == NULL || buffer_append(&p->bytes, bytes.data, bytes.len, SIZE_MAX) < 0)
		return -ENOMEM;
	c->flags |= CONNECTION_WAITING | CONNECTION_RUNNABLE;
	list_push_back(&w->waiting, &p->wait);
	w->busy = true;
	return 0;
}

void input_wake(struct connection *c) {
	struct worker *w = c->worker;
	if ((c->flags & (CONNECTION_RUNNABLE | CONNECTION_WAITING)) != CONNECTION_RUNNABLE || connection_is_behind(c))
		return;
	c->flags |= CONNECTION_WAITING;
	list_push_back(&w->waiting, &c->pending->wait);
	w->busy = true;
}

/* The client holds more than it may, and what it holds cannot be passed over: it is told so, and closed. */
static void refuse_memory(struct connection *c) {
	struct worker *w = c->worker;
	connection_report_evicted(c);
	input_drop(c);
	writer_init(&w->writer, &w->output, SIZE_MAX);
	writer_error(&w->writer, "OOM command not allowed when used memory > 'maxmemory'.");
	if (output_flush(c) < 0)
		connection_close(c);
	else
		connection_finish(c);
}

/* An unfinished command that is known to need more than it may. */
static bool is_too_large(const struct connection *c) {
	size_t most = query_limit(c);
	return c->pending->bytes.len >= most || reader_need(&c->pending->reader) > most;
}

static void refuse_query(struct connection *c) {
	struct feed f = {.data = c->pending->bytes.data, .len = c->pending->bytes.len};
	protocol_error(c, &f, "Protocol error: query buffer limit exceeded");
	if (output_flush(c) < 0)
		connection_close(c);
	else
		connection_finish(c);
}

/* Until the session's own wait or the tenant's pause ends, or the session is woken. */
static void wait_for_pause(struct connection *c) {
	struct worker *w = c->worker;
	int64_t end = c->session.wait_ms != 0 ? c->session.wait_ms : c->session.tenant->pause_end_ms;
	c->flags |= CONNECTION_WAITING | CONNECTION_RUNNABLE;
	list_push_back(&w->paused, &c->pending->wait);
	if (end > w->env.steady_ms && end < w->resume_ms)
		w->resume_ms = end;
}

/* Closes the connection, maybe in the middle of a command, of which the next client must find nothing in the reader. */
static void abandon(struct connection *c) {
	reader_reset(&c->worker->reader);
	connection_close(c);
}

/* Takes over what is known of the pending command, whose bytes are at `to` now. */
static void resume_reader(struct connection *c, const char *to) {
	struct pending *p = c->pending;
	struct reader *r = &c->worker->reader;
	struct reader state = *r;
	*r = p->reader;
	p->reader = state;
	reader_rebase(r, p->bytes.data, to);
}

/* An unfinished command that its client may not hold, whatever else there is room for. */
static bool never_fits(const struct connection *c) {
	const struct tenant *t = c->session.tenant;
	return t != NULL && client_memory_refuses(t, reader_need(&c->pending->reader), c->charged);
}

static void conclude(struct connection *c, const struct feed *f, enum verdict verdict);

/* Answers an unfinished command that cannot be held, and passes over the rest of it. */
static void refuse_command(struct connection *c) {
	struct worker *w = c->worker;
	struct pending *p = c->pending;
	size_t done = c->session.tenant == NULL ? 0 : reader_give_up(&p->reader);
	if (done == 0 || keep_bytes(&p->bytes, p->bytes.data + done, p->bytes.len - done) < 0) {
		refuse_memory(c);
		return;
	}
	begin_replies(c);
	dispatch_refuse(&c->session);
	/* It leaves so much unread that not even this is room for. */
	if (w->writer.failed || output_flush(c) < 0) {
		connection_close(c);
		return;
	}
	struct feed f = {.data = p->bytes.data, .len = p->bytes.len};
	resume_reader(c, f.data);
	conclude(c, &f, run_feed(c, &f, w->windows));
}

/* Brings the connection into the state that the verdict on its bytes asks for. It may be gone after it. */
static void conclude(struct connection *c, const struct feed *f, enum verdict verdict) {
	struct worker *w = c->worker;
	bool rest = false;
	if (__builtin_expect(w->reader.cap > SLOTS_KEPT, 0) && verdict != VERDICT_UNFINISHED &&
	    verdict != VERDICT_TOO_LARGE)
		reader_reset(&w->reader);
	bool later = verdict == VERDICT_DONE && !w->stopping && output_later(c);
	if (!later && (verdict == VERDICT_DROP || output_flush(c) < 0)) {
		w->output.len = w->output_begin;
		abandon(c);
		return;
	}
	if (__builtin_expect(verdict == VERDICT_DONE, 1)) {
		input_drop(c);
	} else if (verdict == VERDICT_CLOSE) {
		reader_reset(&w->reader);
		connection_finish(c);
		return;
	} else {
		rest = true;
		if (keep_rest(c, f, verdict == VERDICT_UNFINISHED || verdict == VERDICT_TOO_LARGE) < 0) {
			abandon(c);
			return;
		}
		if (verdict == VERDICT_ELSEWHERE) {
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
		if (verdict == VERDICT_LATER && w->stopping) {
			connection_finish(c);
			return;
		}
		if (verdict == VERDICT_STALLED)
			c->flags |= CONNECTION_RUNNABLE;
		if (verdict == VERDICT_LATER)
			wait_for_pause(c);
		/* Where the socket has taken the replies meanwhile, it will not tell that it can take more. */
		if (verdict == VERDICT_AGAIN || (verdict == VERDICT_STALLED && !connection_is_behind(c))) {
			c->flags |= CONNECTION_WAITING | CONNECTION_RUNNABLE;
			list_push_back(&w->waiting, &c->pending->wait);
		}
	}
	if (__builtin_expect(w->stopping, 0) && (!rest || verdict == VERDICT_UNFINISHED)) {
		connection_finish(c);
		return;
	}
	if (__builtin_expect((rest || c->output != NULL || c->charged > 0) && connection_charge(c) < 0, 0)) {
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

/* Counts what was read; false when the connection is over, and dealt with. */
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

/* Reads a piece of a large command into the pending buffer. The room follows the bytes that have arrived: what a client
 * announces costs nothing. */
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
	struct feed f = {.data = p->bytes.data, .len = p->bytes.len};
	resume_reader(c, f.data);
	conclude(c, &f, run_feed(c, &f, c->worker->windows));
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
	struct feed f = {.data = w->input, .len = have + (size_t)n};
	if (__builtin_expect(c->pending != NULL, 0))
		resume_reader(c, f.data);
	conclude(c, &f, run_feed(c, &f, c->worker->windows));
}

bool input_usual(const struct connection *c) {
	const uint8_t flags = CONNECTION_GREETED | CONNECTION_RUNNABLE | CONNECTION_WAITING | CONNECTION_FINISHED |
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
	v->count = parse_usual(v, bytes, v->len);
	dispatch_prepare(&c->session, v->requests, v->count);
	return true;
}

void input_run(struct connection *c, struct window *v) {
	struct feed f = {.data = staged_bytes(c->worker, v), .len = v->len};
	if (c->fd >= 0 && !(c->flags & (CONNECTION_FINISHED | CONNECTION_OVERRUN)))
		conclude(c, &f, run_feed(c, &f, v));
}

void input_discard(struct connection *c) {
	ssize_t n = socket_recv(c->fd, c->worker->input, WORKER_READ);
	if (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) {
		connection_close(c);
		return;
	}
	if (n == 0)
		c->flags |= CONNECTION_ENDED;
	/* While input comes in, more is likely to follow: the sweep decides. */
	if (n <= 0)
		connection_finish(c);
}

void input_resume(struct connection *c) {
	if (c->pending == NULL || connection_is_behind(c))
		return;
	list_remove(&c->pending->wait);
	c->flags &= (uint8_t) ~(CONNECTION_RUNNABLE | CONNECTION_WAITING);
	struct feed f = {.data = c->pending->bytes.data, .len = c->pending->bytes.len};
	resume_reader(c, f.data);
	conclude(c, &f, run_feed(c, &f, c->worker->windows));
}
