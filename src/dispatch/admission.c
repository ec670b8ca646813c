/* Where commands meet what is between clients: a session in MULTI, subscribed, paused or tracked does not simply run
 * what it sends, and a change of a key is news for those who listen. */
#include "atomdb/dispatch/admission.h"

#include "atomdb/dispatch/transaction.h"
#include "atomdb/events/keyspace_events.h"
#include "atomdb/events/monitor.h"
#include "atomdb/events/tracking.h"
#include "atomdb/events/watched.h"
#include "atomdb/session/reply.h"
#include "atomdb/session/tenant_stats.h"
#include "atomdb/store/shard.h"

/* What MULTI does not keep. */
static bool runs_at_once(const struct command *c) {
	switch (c->id) {
	case COMMAND_EXEC:
	case COMMAND_DISCARD:
	case COMMAND_MULTI:
	case COMMAND_WATCH:
	case COMMAND_QUIT:
	case COMMAND_RESET:
		return true;
	default:
		return false;
	}
}

/* What a subscribed client may say in RESP2, where a reply could be taken for a message. */
static bool subscriber_may(const struct command *c) {
	switch (c->id) {
	case COMMAND_PING:
	case COMMAND_QUIT:
	case COMMAND_RESET:
	case COMMAND_SUBSCRIBE:
	case COMMAND_UNSUBSCRIBE:
	case COMMAND_PSUBSCRIBE:
	case COMMAND_PUNSUBSCRIBE:
	case COMMAND_SSUBSCRIBE:
	case COMMAND_SUNSUBSCRIBE:
		return true;
	default:
		return false;
	}
}

/* What waits for the end of CLIENT PAUSE WRITE. */
static bool may_write(const struct session *s, const struct command *c) {
	if ((c->flags & CMD_WRITE) || c->id == COMMAND_PUBLISH || c->id == COMMAND_SPUBLISH || c->id == COMMAND_PFCOUNT)
		return true;
	return c->id == COMMAND_EXEC && transaction_writes(s);
}

static bool is_paused(struct session *s, const struct command *c) {
	struct tenant *t = s->tenant;
	if (t->pause_end_ms == 0 || c->id == COMMAND_QUIT)
		return false;
	if (t->pause_end_ms <= s->env->steady_ms) {
		t->pause_end_ms = 0;
		shard_hold_expired(t, 0);
		subscriptions_refresh(t);
		return false;
	}
	return t->pause_all || may_write(s, c);
}

static enum outcome step(struct session *s, const struct request *r, uint64_t *ticks) {
	const struct command *c = r->command;
	size_t mark = s->reply->out->len;
	s->flags &= ~(uint32_t)SESSION_PAUSED;
	if ((s->flags & SESSION_SUBSCRIBED) && s->protocol == 2 && !subscriber_may(c)) {
		writer_errorf(
			s->reply,
			"ERR Can't execute '%s': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are "
			"allowed in this context",
			c->name);
		admission_refused(s, r, mark);
		return OUTCOME_DONE;
	}
	if ((s->flags & SESSION_MONITOR) && monitor_refuses(c)) {
		writer_error(s->reply, "ERR Replica can't interact with the keyspace");
		admission_refused(s, r, mark);
		return OUTCOME_DONE;
	}
	if (s->tenant != NULL && is_paused(s, c)) {
		s->flags |= SESSION_PAUSED;
		return OUTCOME_BLOCKED;
	}
	if ((s->flags & SESSION_MULTI) && (c->flags & CMD_NO_MULTI)) {
		writer_error(s->reply, "ERR Command not allowed inside a transaction");
		admission_refused(s, r, mark);
		return OUTCOME_DONE;
	}
	if ((s->flags & SESSION_MULTI) && !runs_at_once(c)) {
		transaction_queue(s, r);
		if (s->reply->errors != 0)
			tenant_stats_count_error(s);
		return OUTCOME_DONE;
	}
	enum outcome outcome = monitor_run(s, r, ticks);
	if (outcome == OUTCOME_DONE && (s->flags & SESSION_TRACKING))
		tracking_remember(s, r);
	return outcome;
}

enum outcome admission_run(struct session *s, struct request *r, uint64_t *ticks) {
	if (s->tenant != NULL && s->tenant->subscriptions != NULL)
		publish_begin_command(s->tenant->subscriptions, s);
	if (s->flags & SESSION_REPLY_SKIP_NEXT)
		s->flags ^= SESSION_REPLY_SKIP_NEXT | SESSION_REPLY_SKIP;
	if (s->flags & SESSION_REPLY_SKIP)
		s->reply->muted = true;
	enum outcome outcome = step(s, r, ticks);
	if (s->tenant != NULL && s->tenant->subscriptions != NULL)
		publish_end_command(s->tenant->subscriptions);
	if (outcome == OUTCOME_RETRY || outcome == OUTCOME_BLOCKED || outcome == OUTCOME_MIGRATE)
		return outcome;
	if (s->flags & SESSION_TRACKING)
		tracking_command_done(s, r->command);
	if (s->flags & SESSION_REPLY_SKIP) {
		s->flags &= ~(uint32_t)SESSION_REPLY_SKIP;
		s->reply->muted = (s->flags & SESSION_REPLY_OFF) != 0;
	}
	return outcome;
}

/* "-ERR reason\r\n" becomes the reason of an EXECABORT, which ends the transaction; other codes than ERR stay. */
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
	if (s->subscriber != NULL)
		transaction_end(s);
	writer_errorf(s->reply, "EXECABORT Transaction discarded because of: %s", reason);
}

void admission_refused(struct session *s, const struct request *r, size_t mark) {
	if (s->flags & SESSION_MULTI)
		s->flags |= SESSION_DIRTY_QUEUE;
	if (r->command != NULL && r->command->id == COMMAND_EXEC)
		abort_transaction(s, mark);
	tenant_stats_count_rejected(s, r->command);
}

void key_changed(struct tenant *t, enum change what, unsigned database, struct slice name) {
	struct subscriptions *h = t->subscriptions;
	if (what == CHANGE_FLUSH) {
		watched_flush(h, database);
		tracking_flushed(h);
		return;
	}
	h->unplanned = what == CHANGE_EXPIRED || what == CHANGE_EVICTED;
	/* As in Redis the message about an evicted key comes behind the invalidation, others before it. */
	if (what != CHANGE_EVICTED)
		keyspace_events_key_changed(h, what, database, name);
	if (what != CHANGE_MISSED) {
		watched_touch(h, database, name);
		tracking_changed(h, name);
	}
	if (what == CHANGE_EVICTED)
		keyspace_events_key_changed(h, what, database, name);
	h->unplanned = false;
}
