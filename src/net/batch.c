/* Parses up to WORKER_WINDOW commands ahead, prepares them together, and runs them in order. */
#include "net/batch.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "atomdb/session/hotkeys.h"
#include "atomdb/store/shard.h"
#include "atomdb/store/string.h"
#include "atomdb/store/tenant.h"
#include "atomdb/util/error.h"
#include "atomdb/util/work_meter.h"
#include "net/connection.h"
#include "net/output.h"
#include "net/report.h"
#include "net/sniff.h"
#include "net/stall.h"
#include "net/task.h"
#include "net/worker.h"

/* Longer replies are sent in the middle of a batch. */
#define OUTPUT_EARLY ((size_t)256 << 10)
/* Limits before a client authenticates: arguments, bytes of one argument, bytes of a command. */
#define UNAUTHENTICATED_ARGS  10
#define UNAUTHENTICATED_BULK  ((uint64_t)16 << 10)
#define UNAUTHENTICATED_BYTES ((size_t)256 << 10)
/* Most bytes of an invalid command in the log. */
#define REPORTED ((size_t)128)
/* Time for the commands of one client before other clients are served, in clock_ticks: some milliseconds at most. A
 * limit on bytes is not enough, since a short command may walk through all keys. */
#define SLICE_TICKS ((uint64_t)1 << 22)
/* A client is greedy after it had so many commands run at once, until several of its turns in a row were short. The end
 * of a long pipeline is a short turn too. */
#define GREEDY_COMMANDS 256u
#define GREEDY_TURNS    8
/* A command of more bytes is long, whatever it does. */
#define LARGE ((size_t)128 << 10)
/* Smallest step in bytes by which the limit of a reply grows. */
#define GROW_LEAST ((size_t)64 << 10)

/* Separate functions for parsing and running: each loop needs the processor's registers for itself. */
#define APART __attribute__((noinline))

size_t batch_query_limit(const struct connection *c) {
	uint64_t most = c->worker->env.settings.query_buffer;
	if (most == 0 || most > SIZE_MAX)
		most = SIZE_MAX;
	if (!session_authenticated(&c->session) && most > UNAUTHENTICATED_BYTES)
		most = UNAUTHENTICATED_BYTES;
	return (size_t)most;
}

/* Returns the part of the invalid bytes that may be logged. A secret may follow one of these words. */
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

/* Counts and logs a client that does not speak RESP. */
static void report_foreign(const struct connection *c, enum log_event_id id, struct slice bytes) {
	counter_add(&c->worker->counters.protocol_errors, 1);
	report_event(c, id, reported(bytes), NULL);
}

enum verdict batch_protocol_error(struct connection *c, const struct batch *b, const char *reason) {
	struct slice bytes = {b->data + b->done, b->len - b->done};
	if (sniff_begins_like_http(bytes)) {
		report_foreign(c, LOG_EVENT_HTTP_ON_RESP, bytes);
		return VERDICT_CLOSE;
	}
	report_foreign(c, LOG_EVENT_PROTOCOL_ERROR, bytes);
	writer_errorf(&c->worker->writer, "ERR %s", reason);
	return VERDICT_CLOSE;
}

APART unsigned batch_parse_usual(struct window *v, const char *data, size_t len) {
	unsigned n = reader_read_usual(data, len, v->slots, WORKER_SLOTS, v->commands, WORKER_WINDOW);
	for (unsigned i = 0; i < n; i++) {
		v->requests[i].argv = v->commands[i].argv;
		v->requests[i].argc = v->commands[i].argc;
	}
	return n;
}

/* Parses one command of any form. Returns the result of the reader. */
static APART int parse_any(struct connection *c, struct batch *b, struct window *v) {
	struct reader *r = &c->worker->reader;
	bool authenticated = session_authenticated(&c->session);
	/* A command that runs does this too, but no command may follow. */
	connection_touch(c);
	struct reader_limits limits = {
		.max_args = authenticated ? INT32_MAX : UNAUTHENTICATED_ARGS,
		.max_bulk = authenticated ? STRING_MAX : UNAUTHENTICATED_BULK,
		.authenticated = authenticated,
		.max_bytes = batch_query_limit(c),
	};
	if (c->session.tenant != NULL && tenant_client_limit(c->session.tenant) < limits.max_bytes)
		limits.max_bytes = (size_t)tenant_client_limit(c->session.tenant);
	size_t consumed = 0;
	int result = reader_read(r, b->data + b->done, b->len - b->done, &limits, &consumed);
	if (result == READER_COMMAND) {
		v->commands[0].end = consumed;
		v->requests[0].argv = r->argv;
		v->requests[0].argc = r->argc;
		v->count = 1;
		if (consumed > LARGE && c->session.tenant != NULL)
			c->session.flags |= SESSION_LARGE;
	} else if (result == READER_EMPTY || result == READER_UNFINISHED) {
		b->done += consumed;
	}
	return result;
}

/* Fills the window from byte b->done on, and prepares it. Returns the result of the reader. */
static int parse(struct connection *c, struct batch *b, struct window *v) {
	int result = READER_COMMAND;
	/* The next command of an unauthenticated client may be AUTH, which changes the limits for the commands behind
	 * it. */
	if (c->session.tenant != NULL && !reader_busy(&c->worker->reader))
		v->count = batch_parse_usual(v, b->data + b->done, b->len - b->done);
	if (v->count == 0)
		result = parse_any(c, b, v);
	dispatch_prepare(&c->session, v->requests, v->count);
	if (v->count > 1) {
		dispatch_fetch_entries(&c->session, v->requests, v->count);
		dispatch_fetch_links(&c->session, v->requests, v->count);
	}
	return result;
}

/* Holds the pinned value with which the reply ends. It is sent before further replies. */
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

/* Overwrites the command that has just run, from byte `begin` on, because it contains a secret. */
static APART void wipe_command(struct connection *c, const struct batch *b, size_t begin) {
	c->session.flags &= ~(uint32_t)SESSION_SECRET;
	explicit_bzero(b->data + begin, b->done - begin);
	reader_wipe(&c->worker->reader);
}

/* Replaces a reply for which there was no room with an error. Returns false if the client's unread replies exceed the
 * limit. */
static APART bool drop_reply(struct connection *c) {
	struct worker *w = c->worker;
	if (w->writer.limit >= output_limit(c)) {
		counter_add(&w->counters.output_limit, 1);
		report_event(c, LOG_EVENT_OUTPUT_LIMIT, (struct slice){0}, NULL);
		return false;
	}
	connection_uncharge(c);
	w->writer.limit = output_free_limit(c);
	dispatch_drop_reply(&c->session);
	return true;
}

/* Replies an error to a command that busy_limit has ended. */
static void end_reader(struct connection *c, const struct task *k) {
	struct worker *w = c->worker;
	connection_uncharge(c);
	w->writer.limit = output_free_limit(c);
	w->writer.muted |= k->muted;
	dispatch_end_reader(&c->session);
}

/* The commands since `begin` took longer than SLICE_TICKS: the last one is the reason, because the batch ends after it.
 */
static APART void check_stall(const struct connection *c, const struct request *r, uint64_t begin) {
	uint64_t ms = stall_count(c->worker, begin);
	if (ms > 0 && r->command != NULL)
		report_stall(c, r->command, ms);
}

/* Runs the commands of the window until the time is over. Returns VERDICT_DONE if all of them ran. */
static APART enum verdict run_window(struct connection *c, struct batch *b, struct window *v, uint64_t *ticks,
				     uint64_t end) {
	struct worker *w = c->worker;
	struct session *s = &c->session;
	const size_t begin = b->done;
	enum verdict verdict;
	for (unsigned i = 0; i < v->count; i++) {
		dispatch_fetch_ahead(s, &v->requests[i], v->count - i);
		enum outcome outcome = dispatch_run(s, &v->requests[i], ticks);
		if (__builtin_expect(outcome != OUTCOME_DONE, 0)) {
			if (outcome == OUTCOME_RETRY)
				return VERDICT_RETRY;
			if (outcome == OUTCOME_BLOCKED)
				return VERDICT_BLOCKED;
			if (outcome == OUTCOME_MIGRATE)
				return VERDICT_MIGRATE;
			if (outcome == OUTCOME_BUSY)
				return VERDICT_BUSY;
			if (outcome == OUTCOME_SUSPENDED) {
				b->done = begin + v->commands[i].end;
				return VERDICT_SUSPENDED;
			}
			if (outcome == OUTCOME_HTTP) {
				struct slice line = {b->data + b->done, begin + v->commands[i].end - b->done};
				report_foreign(c, LOG_EVENT_HTTP_ON_RESP, line);
				return VERDICT_CLOSE;
			}
			if (outcome == OUTCOME_PINNED_TAIL && (verdict = pin_reply(c)) != VERDICT_DONE) {
				b->done = begin + v->commands[i].end;
				return verdict;
			}
		}
		b->done = begin + v->commands[i].end;
		work_meter_point();
		if (__builtin_expect(w->writer.failed, 0) && !drop_reply(c))
			return VERDICT_DROP;
		if (__builtin_expect(outcome == OUTCOME_CLOSE || (s->flags & (SESSION_CLOSING | SESSION_SECRET)), 0)) {
			if (s->flags & SESSION_SECRET)
				wipe_command(c, b, begin + (i > 0 ? v->commands[i - 1].end : 0));
			if (outcome == OUTCOME_CLOSE || (s->flags & SESSION_CLOSING))
				return VERDICT_CLOSE;
		}
		if (__builtin_expect(w->output.len > OUTPUT_EARLY, 0)) {
			if (output_flush(c) < 0)
				return VERDICT_DROP;
			connection_uncharge(c);
			w->writer.limit = output_free_limit(c);
			if (output_is_behind(c))
				return VERDICT_STALLED;
		}
		if (__builtin_expect(*ticks > end, 0)) {
			if (__builtin_expect(*ticks - end > STALL_TICKS, 0))
				check_stall(c, &v->requests[i], end - SLICE_TICKS);
			if (b->done < b->len)
				return VERDICT_RETRY;
		}
	}
	return VERDICT_DONE;
}

/* Returns the verdict about the bytes behind the last command, from the last result of the reader. */
static enum verdict behind(struct connection *c, const struct batch *b, int result) {
	if (result == READER_COMMAND || result == READER_EMPTY)
		return b->done < b->len ? VERDICT_WINDOW : VERDICT_DONE;
	if (result == READER_UNFINISHED)
		return VERDICT_UNFINISHED;
	if (result == ATOMDB_E_PROTOCOL)
		return batch_protocol_error(c, b, c->worker->reader.error);
	if (result == ATOMDB_E_RANGE && c->session.tenant != NULL &&
	    tenant_client_limit(c->session.tenant) < batch_query_limit(c))
		return VERDICT_TOO_LARGE;
	if (result == ATOMDB_E_RANGE)
		return batch_protocol_error(c, b, "Protocol error: query buffer limit exceeded");
	return VERDICT_DROP;
}

/* Returns whether the connection's first bytes may be RESP. */
static bool check_greeting(struct connection *c, const struct batch *b) {
	struct slice line = {0};
	switch (sniff_first_line((struct slice){b->data, b->len}, &line)) {
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

bool batch_grow_reply(struct connection *c, struct writer *writer, size_t most, size_t n) {
	size_t len = writer->out->len;
	if (len > most || n > most - len) {
		writer->limit = most;
		return false;
	}
	/* Half more than necessary, to make fewer charges. */
	size_t limit = len + n > most / 3 * 2 ? most : (len + n) / 2 * 3;
	if (connection_charge_reply(c, limit - writer->limit) < 0) {
		size_t step = n > GROW_LEAST ? n : GROW_LEAST;
		limit = step < most - len ? len + step : most;
		if (connection_charge_reply(c, limit - writer->limit) < 0)
			return false;
	}
	writer->limit = limit;
	return true;
}

/* The `grow` of the worker's writer. */
static bool grow_reply(struct writer *writer, size_t n) {
	struct worker *w = list_entry(writer, struct worker, writer);
	/* No command wrote this refusal. */
	if (w->env.running == NULL)
		return false;
	struct connection *c = list_entry(w->env.running, struct connection, session);
	return batch_grow_reply(c, writer, output_limit(c), n);
}

void batch_begin_replies(struct connection *c) {
	struct worker *w = c->worker;
	writer_init(&w->writer, &w->output, output_free_limit(c));
	w->writer.grow = grow_reply;
	w->writer.protocol = c->session.protocol;
	w->writer.muted = (c->session.flags & SESSION_REPLY_OFF) != 0;
	c->session.reply = &w->writer;
}

/* Discharges the client's buffers while its commands run: the values that a command stores replace the bytes that they
 * are made from. The shard still counts the buffers as memory. Returns their bytes. */
static APART uint64_t hold_memory(struct connection *c) {
	uint64_t bytes = c->session.tenant != NULL ? c->charge.bytes : 0;
	if (bytes > 0)
		shard_hold_memory(c->worker->shards[0], bytes);
	connection_uncharge(c);
	return bytes;
}

enum verdict batch_answer(struct connection *c, struct task *k) {
	struct worker *w = c->worker;
	const enum outcome outcome = k->outcome;
	if (w->reply_count > 0)
		output_end_replies(w);
	batch_begin_replies(c);
	w->writer.begin = w->output.len;
	task_take_reply(k);
	w->writer.muted = (c->session.flags & SESSION_REPLY_OFF) != 0;
	c->session.flags &= ~(uint32_t)SESSION_SECRET;
	if (outcome == OUTCOME_PINNED_TAIL) {
		enum verdict verdict = pin_reply(c);
		if (verdict != VERDICT_DONE)
			return verdict;
	}
	if (k->ended)
		end_reader(c, k);
	else if (w->writer.failed && !drop_reply(c))
		return VERDICT_DROP;
	return outcome == OUTCOME_CLOSE || (c->session.flags & SESSION_CLOSING) ? VERDICT_CLOSE : VERDICT_DONE;
}

/* Returns whether a command of the tenant is suspended. */
static bool is_busy(const struct connection *c) {
	return c->session.tenant != NULL && c->session.tenant->clients.task != NULL;
}

enum verdict batch_run(struct connection *c, struct batch *b, struct window *v) {
	struct worker *w = c->worker;
	if (__builtin_expect(!list_empty(&w->tasks), 0) && is_busy(c)) {
		w->env.awaited = c->session.tenant;
		v->count = 0;
		return VERDICT_BUSY;
	}
	if (__builtin_expect(!(c->flags & CONNECTION_GREETED), 0) && !check_greeting(c, b))
		return VERDICT_DROP;
	uint64_t ticks = clock_ticks();
	if (__builtin_expect(output_is_due(w, ticks), 0) || __builtin_expect(c->flags & CONNECTION_REPLIED, 0))
		output_end_replies(w);
	batch_begin_replies(c);
	w->env.running = &c->session;
	const uint64_t end = ticks + SLICE_TICKS;
	unsigned commands = 0;
	uint64_t held = 0;
	enum verdict verdict;
	do {
		/* A connection that waited until its replies were sent may have no commands left. */
		int result = READER_EMPTY;
		if (v->count > 0 || b->done < b->len)
			result = v->count > 0 ? READER_COMMAND : parse(c, b, v);
		verdict = VERDICT_DONE;
		if (__builtin_expect(v->count > 0, 1)) {
			commands += v->count;
			if (__builtin_expect(c->charge.bytes > 0, 0))
				held += hold_memory(c);
			hotkeys_count(&c->session, v->requests, v->count);
			verdict = run_window(c, b, v, &ticks, end);
			v->count = 0;
		}
		if (__builtin_expect(verdict == VERDICT_DONE, 1))
			verdict = behind(c, b, result);
	} while (verdict == VERDICT_WINDOW);
	if (__builtin_expect(commands > GREEDY_COMMANDS, 0))
		c->greedy = GREEDY_TURNS;
	else if (__builtin_expect(c->greedy > 0, 0))
		c->greedy--;
	w->env.running = NULL;
	/* The commands may have changed the tenant. */
	cpu_time_enter(&w->cpu, c->session.tenant);
	if (__builtin_expect(held > 0, 0))
		shard_release_memory(w->shards[0], held);
	return verdict;
}
