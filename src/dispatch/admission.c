#include "atomdb/dispatch/admission.h"

#include "atomdb/dispatch/transaction.h"
#include "atomdb/events/events.h"
#include "atomdb/events/monitor.h"
#include "atomdb/events/tracking.h"
#include "atomdb/session/module.h"
#include "atomdb/session/reply.h"
#include "atomdb/session/tenant_stats.h"
#include "atomdb/store/shard.h"

static bool may_write(const struct session *s, const struct command *c) {
	return (c->flags & (CMD_WRITE | CMD_MAY_WRITE)) || ((c->flags & CMD_RUNS_QUEUE) && transaction_writes(s));
}

/* Returns whether a monitor may not run the command. */
static bool touches_keys(const struct command *c) {
	return (c->flags & (CMD_READONLY | CMD_WRITE | CMD_MAY_WRITE)) != 0;
}

static bool is_paused(struct session *s, const struct command *c) {
	struct tenant *t = s->tenant;
	if (t->clients.pause_end_ms == 0 || (c->flags & CMD_IN_PAUSE))
		return false;
	if (t->clients.pause_end_ms <= s->env->steady_ms) {
		session_pause(t, 0, false);
		shard_hold_expired(t, 0);
		return false;
	}
	return t->clients.pause_all || may_write(s, c);
}

static bool is_over_cpu_limit(const struct session *s) {
	const struct tenant_clients *c = &s->tenant->clients;
	return c->cpu_limited && c->cpu_wait_ms > s->env->steady_ms;
}

static void queue(struct session *s, const struct request *r) {
	int error = transaction_queue(s, r);
	if (error < 0)
		reply_store_error(s, error);
	else
		writer_constant(s->reply, "+QUEUED\r\n");
	if (s->reply->errors != 0)
		tenant_stats_count_error(s);
}

/* Refuses a command that the state of the session does not allow. Returns whether it did. */
static bool refuse(struct session *s, const struct request *r) {
	const struct command *c = r->command;
	size_t mark = s->reply->out->len;
	if ((s->flags & SESSION_SUBSCRIBED) && s->protocol == 2 && !(c->flags & CMD_IN_SUBSCRIBER))
		writer_errorf(s->reply,
			      "ERR Can't execute '%s': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET "
			      "are allowed in this context",
			      c->name);
	else if ((s->flags & SESSION_MONITOR) && touches_keys(c))
		writer_error(s->reply, "ERR Replica can't interact with the keyspace");
	else if ((s->flags & SESSION_MULTI) && (c->flags & CMD_NO_MULTI))
		writer_error(s->reply, "ERR Command not allowed inside a transaction");
	else
		return false;
	admission_refused(s, r, mark);
	return true;
}

/* Refuses the command, lets it wait, queues it or runs it. */
static enum outcome step(struct session *s, const struct request *r, uint64_t *ticks) {
	s->flags &= ~(uint32_t)SESSION_PAUSED;
	if (refuse(s, r))
		return OUTCOME_DONE;
	if (s->tenant != NULL && is_over_cpu_limit(s)) {
		s->flags |= SESSION_PAUSED;
		s->wait_ms = s->tenant->clients.cpu_wait_ms;
		return OUTCOME_BLOCKED;
	}
	if (s->tenant != NULL && is_paused(s, r->command)) {
		s->flags |= SESSION_PAUSED;
		return OUTCOME_BLOCKED;
	}
	if ((s->flags & SESSION_MULTI) && !(r->command->flags & CMD_IN_MULTI)) {
		queue(s, r);
		return OUTCOME_DONE;
	}
	enum outcome outcome = monitor_run(s, r, ticks);
	if (outcome == OUTCOME_DONE && (s->flags & SESSION_TRACKING))
		tracking_remember(s, r);
	return outcome;
}

static void end_command(struct session *s, const struct request *r, enum outcome outcome) {
	const struct session_modules *m = s->env->modules;
	for (unsigned i = 0; i < m->count; i++) {
		if (m->all[i].after_command != NULL)
			m->all[i].after_command(s, r, outcome);
	}
}

enum outcome admission_run(struct session *s, struct request *r, uint64_t *ticks) {
	events_begin_command(s);
	if (s->flags & SESSION_REPLY_SKIP_NEXT)
		s->flags ^= SESSION_REPLY_SKIP_NEXT | SESSION_REPLY_SKIP;
	if (s->flags & SESSION_REPLY_SKIP)
		s->reply->muted = true;
	enum outcome outcome = step(s, r, ticks);
	end_command(s, r, outcome);
	if ((s->flags & SESSION_REPLY_SKIP) && outcome_is_final(outcome)) {
		s->flags &= ~(uint32_t)SESSION_REPLY_SKIP;
		s->reply->muted = (s->flags & SESSION_REPLY_OFF) != 0;
	}
	return outcome;
}

/* Makes the reason of an EXECABORT from "-ERR reason\r\n", and ends the transaction. Codes other than ERR are kept. */
static void abort_transaction(struct session *s, size_t mark) {
	const struct buffer *out = s->reply->out;
	char reason[256] = "";
	if (!s->reply->muted && out->len > mark) {
		struct slice text = {out->data + mark, out->len - mark - 2};
		size_t code = text.len > 5 && memcmp(text.data, "-ERR ", 5) == 0 ? 5 : 1;
		size_t n = text.len - code < sizeof(reason) ? text.len - code : sizeof(reason) - 1;
		memcpy(reason, text.data + code, n);
		reason[n] = '\0';
	}
	reply_rewind(s, mark);
	if (s->subscriber != NULL) {
		transaction_end(s);
		subscription_remove_all(s, CHANNEL_WATCHED_KEY);
	}
	writer_errorf(s->reply, "EXECABORT Transaction discarded because of: %s", reason);
}

void admission_refused(struct session *s, const struct request *r, size_t mark) {
	if (s->flags & SESSION_MULTI)
		s->flags |= SESSION_DIRTY_QUEUE;
	if (r->command != NULL && (r->command->flags & CMD_RUNS_QUEUE))
		abort_transaction(s, mark);
	if (r->command != NULL && r->command->is_secret != NULL)
		s->flags |= SESSION_SECRET;
	tenant_stats_count_rejected(s, r->command);
}
