/* MULTI, EXEC, DISCARD, WATCH and UNWATCH. */
#include "atomdb/dispatch/transaction.h"
#include "atomdb/events/watched.h"
#include "atomdb/util/error.h"
#include "commands/handlers.h"

/* Ends the transaction, and unwatches its keys. */
static void discard(struct session *s) {
	transaction_end(s);
	watched_forget(s);
}

enum outcome cmd_multi(struct session *s, const struct request *r) {
	(void)r;
	if (s->flags & SESSION_MULTI)
		return reply_error(s, "ERR MULTI calls can not be nested");
	return reply_result(s, transaction_begin(s));
}

enum outcome cmd_discard(struct session *s, const struct request *r) {
	(void)r;
	if (!(s->flags & SESSION_MULTI))
		return reply_error(s, "ERR DISCARD without MULTI");
	discard(s);
	writer_ok(s->reply);
	return OUTCOME_DONE;
}

enum outcome cmd_exec(struct session *s, const struct request *r) {
	(void)r;
	if (!(s->flags & SESSION_MULTI))
		return reply_error(s, "ERR EXEC without MULTI");
	watched_check(s);
	if (s->flags & SESSION_DIRTY_QUEUE) {
		discard(s);
		return reply_error(s, "EXECABORT Transaction discarded because of previous errors.");
	}
	if (s->flags & SESSION_DIRTY_KEYS) {
		discard(s);
		writer_null_array(s->reply);
		return OUTCOME_DONE;
	}
	if (transaction_must_wait(s))
		return OUTCOME_RETRY;
	writer_array(s->reply, (size_t)transaction_length(s));
	transaction_run(s);
	/* If the next process runs EXEC, other clients' changes before it still count. */
	watched_forget(s);
	return OUTCOME_DONE;
}

enum outcome cmd_watch(struct session *s, const struct request *r) {
	if (s->flags & SESSION_MULTI)
		return reply_error(s, "ERR WATCH inside MULTI is not allowed");
	/* The next EXEC will fail in any case. */
	return reply_result(s, s->flags & SESSION_DIRTY_KEYS ? 0 : watched_add(s, r));
}

enum outcome cmd_unwatch(struct session *s, const struct request *r) {
	(void)r;
	watched_forget(s);
	writer_ok(s->reply);
	return OUTCOME_DONE;
}
