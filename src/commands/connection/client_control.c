/* The commands by which one client has its way with others of its tenant, or with its own replies. */
#include "atomdb/events/subscriptions.h"
#include "commands/connection/client.h"
#include "commands/handlers.h"
#include "commands/tenants/operator.h"

bool client_parse_kill(struct session *s, const struct request *r, struct client_kill *f) {
	*f = (struct client_kill){.skip_caller = r->argc != 3};
	if (r->argc == 3) {
		f->address = r->argv[2];
		return true;
	}
	for (uint32_t i = 2; i < r->argc; i += 2) {
		struct slice name = r->argv[i];
		struct slice value = i + 1 < r->argc ? r->argv[i + 1] : (struct slice){NULL, 0};
		if (value.data == NULL) {
			reply_syntax_error(s);
			return false;
		}
		if (slice_is(name, "ID")) {
			if (!number_parse(value, &f->id) || f->id < 1) {
				writer_error(s->reply, "ERR client-id should be greater than 0");
				return false;
			}
		} else if (slice_is(name, "TYPE")) {
			f->typed = true;
			if (!client_parse_type(s, value, &f->type))
				return false;
		} else if (slice_is(name, "ADDR")) {
			f->address = value;
		} else if (slice_is(name, "LADDR")) {
			f->local_address = value;
		} else if (slice_is(name, "USER")) {
			/* The operator's users are the tenants. */
			f->user = value;
			if (s->tenant != NULL && !s->tenant->is_operator && !slice_equal(value, SLICE("default")) &&
			    !slice_equal(value, slice_of(tenant_name(s->tenant)))) {
				writer_errorf(s->reply, "ERR No such user '%.*s'", ECHO_TEXT(value, ECHO_LONG));
				return false;
			}
		} else if (slice_is(name, "SKIPME") && (slice_is(value, "yes") || slice_is(value, "no"))) {
			f->skip_caller = slice_is(value, "yes");
		} else {
			reply_syntax_error(s);
			return false;
		}
	}
	return true;
}

bool client_matches(struct environment *env, struct session *of, const struct client_kill *f) {
	if ((f->id != 0 && client_number(of, f->global) != (uint64_t)f->id) ||
	    (f->typed && client_type_of(of) != f->type))
		return false;
	if (!f->global && f->user.data != NULL && !slice_equal(f->user, slice_of(session_user(of))))
		return false;
	if (f->address.data == NULL && f->local_address.data == NULL)
		return true;
	struct client_facts facts = {.fd = -1};
	env->host->describe(of, &facts);
	return (f->address.data == NULL || slice_equal(f->address, slice_of(facts.address))) &&
	       (f->local_address.data == NULL || slice_equal(f->local_address, slice_of(facts.local_address)));
}

enum outcome cmd_client_kill(struct session *s, const struct request *r) {
	struct client_kill f;
	if (operator_asks(s))
		return operator_client_kill(s, r);
	if (!client_parse_kill(s, r, &f))
		return OUTCOME_DONE;
	int64_t killed = 0;
	list_for_each (node, &s->tenant->sessions) {
		struct session *of = list_entry(node, struct session, tenant_link);
		if ((of == s && f.skip_caller) || !client_matches(s->env, of, &f))
			continue;
		s->env->host->close(of);
		killed++;
	}
	if (r->argc != 3)
		writer_integer(s->reply, killed);
	else if (killed == 0)
		writer_error(s->reply, "ERR No such client");
	else
		writer_ok(s->reply);
	return OUTCOME_DONE;
}

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
	/* A pause under way is made stricter and longer, never less. */
	bool under_way = t->pause_end_ms > s->env->steady_ms;
	int64_t end = s->env->steady_ms + timeout;
	t->pause_all = all || (under_way && t->pause_all);
	if (!under_way || end > t->pause_end_ms)
		t->pause_end_ms = end;
	/* The rest of a transaction may write: its EXEC does this as it ends. */
	if (!(s->flags & SESSION_EXECUTING))
		shard_hold_expired(t, t->pause_end_ms);
	subscriptions_refresh(t);
	writer_ok(s->reply);
	return OUTCOME_DONE;
}

enum outcome cmd_client_unpause(struct session *s, const struct request *r) {
	(void)r;
	if (s->tenant->pause_end_ms != 0) {
		s->tenant->pause_end_ms = 0;
		shard_hold_expired(s->tenant, 0);
		subscriptions_refresh(s->tenant);
		if (s->env->host->wake != NULL)
			s->env->host->wake(s->env);
	}
	writer_ok(s->reply);
	return OUTCOME_DONE;
}

enum outcome cmd_client_reply(struct session *s, const struct request *r) {
	if (slice_is(r->argv[2], "ON")) {
		s->flags &= ~(uint32_t)(SESSION_REPLY_OFF | SESSION_REPLY_SKIP);
		s->reply->muted = false;
		writer_ok(s->reply);
		return OUTCOME_DONE;
	}
	if (slice_is(r->argv[2], "OFF")) {
		s->flags |= SESSION_REPLY_OFF;
	} else if (slice_is(r->argv[2], "SKIP")) {
		if (!(s->flags & SESSION_REPLY_OFF))
			s->flags |= SESSION_REPLY_SKIP_NEXT;
	} else {
		return reply_syntax_error(s);
	}
	/* The array of EXEC is whole. */
	if (s->flags & SESSION_EXECUTING)
		writer_null(s->reply);
	else
		s->reply->muted |= (s->flags & SESSION_REPLY_OFF) != 0;
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
	/* No command blocks. */
	writer_integer(s->reply, 0);
	return OUTCOME_DONE;
}
