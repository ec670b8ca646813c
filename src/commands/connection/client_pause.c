/* CLIENT PAUSE, UNPAUSE and UNBLOCK. */
#include "atomdb/store/shard.h"
#include "commands/handlers.h"

static enum outcome wrong_use(struct session *s, struct slice name) {
	writer_errorf(s->reply, "ERR unknown subcommand or wrong number of arguments for '%.*s'. Try CLIENT HELP.",
		      ECHO_TEXT(name, ECHO_MAX));
	return OUTCOME_DONE;
}

enum outcome cmd_client_pause(struct session *s, const struct request *r) {
	struct tenant *t = s->tenant;
	int64_t timeout;
	bool all = r->argc == 3 || slice_is(r->argv[3], "ALL");
	if (r->argc > 4)
		return wrong_use(s, r->argv[1]);
	if (!all && !slice_is(r->argv[3], "WRITE"))
		return reply_error(s, "ERR CLIENT PAUSE mode must be WRITE or ALL");
	if (!number_parse(r->argv[2], &timeout))
		return reply_error(s, "ERR timeout is not an integer or out of range");
	if (timeout < 0)
		return reply_error(s, "ERR timeout is negative");
	if (timeout > INT64_MAX - s->env->now_ms)
		return reply_error(s, "ERR timeout is out of range");
	/* A present pause may only become stricter and longer. */
	bool under_way = t->clients.pause_end_ms > s->env->steady_ms;
	int64_t end = s->env->steady_ms + timeout;
	if (under_way && end < t->clients.pause_end_ms)
		end = t->clients.pause_end_ms;
	session_pause(t, end, all || (under_way && t->clients.pause_all));
	/* The rest of a transaction may still write: EXEC starts the pause when it ends. */
	if (!(s->flags & SESSION_EXECUTING))
		shard_hold_expired(t, t->clients.pause_end_ms);
	writer_ok(s->reply);
	return OUTCOME_DONE;
}

enum outcome cmd_client_unpause(struct session *s, const struct request *r) {
	(void)r;
	if (s->tenant->clients.pause_end_ms != 0) {
		session_pause(s->tenant, 0, false);
		shard_hold_expired(s->tenant, 0);
		if (s->env->host->wake != NULL)
			s->env->host->wake(s->env);
	}
	writer_ok(s->reply);
	return OUTCOME_DONE;
}

enum outcome cmd_client_unblock(struct session *s, const struct request *r) {
	int64_t id;
	if (r->argc > 4)
		return wrong_use(s, r->argv[1]);
	if (r->argc == 4 && !slice_is(r->argv[3], "TIMEOUT") && !slice_is(r->argv[3], "ERROR"))
		return reply_error(s, "ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR");
	if (!request_integer(s, r->argv[2], &id))
		return OUTCOME_DONE;
	/* AtomDB has no blocking commands. */
	writer_integer(s->reply, 0);
	return OUTCOME_DONE;
}
