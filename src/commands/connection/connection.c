/* AUTH, HELLO, PING, ECHO, QUIT, RESET and SELECT. */
#include "commands/connection/connection.h"

#include "atomdb/session/options.h"
#include "atomdb/util/error.h"
#include "commands/connection/auth_limit.h"
#include "commands/connection/client_name.h"
#include "commands/handlers.h"

/* Subscriptions, queued commands and the like that a session frees in one turn when it leaves its tenant. */
#define SHED_UNITS 1024

static void report(struct session *s, enum log_event_id id) {
	struct client_facts facts = {.address = ""};
	if (s->env->host != NULL)
		s->env->host->describe(s, &facts);
	log_report(s->env->events, &(struct log_event){.id = id, .client = facts.address});
}

/* Replies to a failed authentication. Returns the outcome of the command. */
static enum outcome refuse(struct session *s, int error) {
	switch (error) {
	case ATOMDB_E_WRONGPASS:
		report(s, LOG_EVENT_AUTH_FAILED);
		counter_add(&s->env->auth_failures, 1);
		return reply_error(s, "WRONGPASS invalid username-password pair or user is disabled.");
	case ATOMDB_E_FULL:
		counter_add(&s->env->rejected_tenants, 1);
		return reply_error(s, "ERR max number of tenants reached");
	default:
		return reply_store_error(s, error);
	}
}

/* Returns whether the secret may be tried now. If not, sets `*outcome`. */
static bool may_try(struct session *s, struct slice name, struct slice secret, enum outcome *outcome) {
	if (s->flags & SESSION_AUTH_PASSED) {
		s->flags &= ~(uint32_t)SESSION_AUTH_PASSED;
		return true;
	}
	s->wait_ms = auth_limit_wait(s);
	if (s->wait_ms != 0) {
		report(s, LOG_EVENT_AUTH_LIMITED);
		*outcome = OUTCOME_BLOCKED;
		return false;
	}
	enum secret_kind kind = registry_kind(s->env->registry, name, secret);
	if (kind == SECRET_KNOWN)
		return true;
	auth_limit_count(s);
	if (kind == SECRET_WRONG || auth_limit_new_tenant(s->env))
		return true;
	counter_add(&s->env->rejected_tenants, 1);
	report(s, LOG_EVENT_TENANTS_LIMITED);
	*outcome = reply_error(s, "ERR too many new tenants at once, try again later");
	return false;
}

/* Attaches the session to the tenant that its secret opened. False: `*outcome` is the command's. */
static bool enter(struct session *s, struct tenant *t, struct slice name, enum outcome *outcome) {
	int error = session_attach(s, t);
	if (error == ATOMDB_E_AGAIN) {
		s->flags |= SESSION_AUTH_PASSED;
		s->env->awaited = t;
		*outcome = OUTCOME_BUSY;
		return false;
	}
	if (error == ATOMDB_E_FULL) {
		writer_error(s->reply, "ERR max number of clients reached");
		*outcome = OUTCOME_CLOSE;
		return false;
	}
	s->flags &= ~(uint32_t)SESSION_NAMED;
	if (error < 0)
		*outcome = refuse(s, error);
	else if (!slice_equal(name, SLICE("default")))
		s->flags |= SESSION_NAMED;
	return error == 0;
}

/* Opens the tenant of `secret`. Returns false, with `*outcome` set, if an error was replied, or the session must first
 * migrate to the tenant's worker. */
static bool authenticate(struct session *s, struct slice name, struct slice secret, enum outcome *outcome) {
	struct tenant *t;
	unsigned worker;
	if (s->flags & SESSION_EXECUTING) {
		/* The other commands of the transaction belong to its first tenant. */
		writer_error(s->reply,
			     "ERR AUTH inside a transaction is not possible: a secret opens another keyspace");
		return false;
	}
	if (!may_try(s, name, secret, outcome))
		return false;
	int error = registry_authenticate(s->env->registry, name, secret, &t, &worker);
	if (error < 0) {
		*outcome = refuse(s, error);
		return false;
	}
	/* It leaves its tenant in parts, if it has much there. */
	if (t != s->tenant && session_shed(s, SHED_UNITS)) {
		s->flags |= SESSION_AUTH_PASSED;
		*outcome = OUTCOME_RETRY;
		return false;
	}
	if (worker != s->env->worker) {
		session_detach(s);
		s->flags |= SESSION_AUTH_PASSED;
		s->home = (uint16_t)worker;
		*outcome = OUTCOME_MIGRATE;
		return false;
	}
	return enter(s, t, name, outcome);
}

bool auth_is_secret(const struct slice *argv, uint32_t i) {
	(void)argv;
	return i > 0;
}

enum outcome cmd_auth(struct session *s, const struct request *r) {
	s->flags |= SESSION_SECRET;
	if (r->argc > 3)
		return reply_syntax_error(s);
	struct slice name = r->argc == 3 ? r->argv[1] : SLICE("default");
	enum outcome outcome = OUTCOME_DONE;
	if (authenticate(s, name, r->argv[r->argc - 1], &outcome))
		writer_ok(s->reply);
	return outcome;
}

static void reply_hello(struct session *s) {
	struct writer *w = s->reply;
	writer_map(w, 7);
	writer_bulk(w, SLICE("server"));
	writer_bulk(w, SLICE("redis"));
	writer_bulk(w, SLICE("version"));
	writer_bulk(w, SLICE("7.0.15"));
	writer_bulk(w, SLICE("proto"));
	writer_integer(w, s->protocol);
	writer_bulk(w, SLICE("id"));
	writer_integer(w, (int64_t)s->id);
	writer_bulk(w, SLICE("mode"));
	writer_bulk(w, SLICE("standalone"));
	writer_bulk(w, SLICE("role"));
	writer_bulk(w, SLICE("master"));
	writer_bulk(w, SLICE("modules"));
	writer_array(w, 0);
}

/* The name behind AUTH is redacted too, as in Redis. */
bool hello_is_secret(const struct slice *argv, uint32_t i) {
	return (i >= 2 && slice_is(argv[i - 1], "AUTH")) || (i >= 3 && slice_is(argv[i - 2], "AUTH"));
}

enum { OPTION_AUTH = 1 << 0, OPTION_SETNAME = 1 << 1 };

static const struct command_option hello_options[] = {
	OPTION("auth", .flag = OPTION_AUTH, .values = 2),
	OPTION("setname", .flag = OPTION_SETNAME, .values = 1),
};

/* Returns the values of the last AUTH option, or NULL: it decides the tenant of the session. The others are not tried,
 * because tenants of different workers would migrate the session back and forth forever. */
static const struct slice *last_auth(const struct request *r) {
	struct options o = OPTIONS_BEGIN(r, 2, hello_options);
	const struct command_option *option;
	const struct slice *last = NULL;
	while ((option = options_next(&o)) != NULL) {
		if (option->flag == OPTION_AUTH)
			last = o.value;
	}
	return last;
}

/* Runs the options of HELLO in order. Returns false with `*outcome` set. */
static bool run_hello_options(struct session *s, const struct request *r, enum outcome *outcome) {
	struct options o = OPTIONS_BEGIN(r, 2, hello_options);
	const struct slice *auth = last_auth(r);
	const struct command_option *option;
	struct slice client_name = {NULL, 0};
	while ((option = options_next(&o)) != NULL) {
		if (option->flag == OPTION_SETNAME) {
			client_name = *o.value;
			if (!client_set_name(s, client_name))
				return false;
		} else if (o.value == auth && !authenticate(s, auth[0], auth[1], outcome)) {
			return false;
		}
	}
	if (o.error != OPTIONS_OK) {
		writer_errorf(s->reply, "ERR Syntax error in HELLO option '%.*s'",
			      ECHO_TEXT(r->argv[o.next], ECHO_LONG));
		return false;
	}
	/* The change of the tenant removed the name that SETNAME had set. */
	return client_name.data == NULL || s->name != NULL || client_set_name(s, client_name);
}

enum outcome cmd_hello(struct session *s, const struct request *r) {
	int64_t version = 0;
	s->flags |= SESSION_SECRET;
	if (r->argc >= 2 && !number_parse(r->argv[1], &version))
		return reply_error(s, "ERR Protocol version is not an integer or out of range");
	if (r->argc >= 2 && (version < 2 || version > 3))
		return reply_error(s, "NOPROTO unsupported protocol version");
	enum outcome outcome = OUTCOME_DONE;
	if (!run_hello_options(s, r, &outcome))
		return outcome;
	if (!session_authenticated(s))
		return reply_error(s, "NOAUTH HELLO must be called with the client already authenticated, otherwise "
				      "the HELLO <proto> AUTH <user> <pass> option can be used to authenticate the "
				      "client and select the RESP protocol version at the same time");
	if (version != 0)
		s->protocol = s->reply->protocol = (uint8_t)version;
	reply_hello(s);
	return OUTCOME_DONE;
}

enum outcome cmd_ping(struct session *s, const struct request *r) {
	if (r->argc > 2)
		return reply_error(s, "ERR wrong number of arguments for 'ping' command");
	if ((s->flags & SESSION_SUBSCRIBED) && s->protocol == 2) {
		/* As in Redis, an array, in the form of the messages of the subscription. */
		writer_array(s->reply, 2);
		writer_bulk(s->reply, SLICE("pong"));
		writer_bulk(s->reply, r->argc == 2 ? r->argv[1] : SLICE(""));
		return OUTCOME_DONE;
	}
	if (r->argc == 2)
		writer_bulk(s->reply, r->argv[1]);
	else
		writer_constant(s->reply, "+PONG\r\n");
	return OUTCOME_DONE;
}

enum outcome cmd_echo(struct session *s, const struct request *r) {
	writer_bulk(s->reply, r->argv[1]);
	return OUTCOME_DONE;
}

enum outcome cmd_quit(struct session *s, const struct request *r) {
	(void)r;
	writer_ok(s->reply);
	return OUTCOME_CLOSE;
}

enum outcome cmd_reset(struct session *s, const struct request *r) {
	(void)r;
	if (session_shed(s, SHED_UNITS))
		return OUTCOME_RETRY;
	session_detach(s);
	(void)client_text_set(&s->name, SLICE(""));
	s->database = 0;
	s->protocol = s->reply->protocol = 2;
	/* As in Redis, NO-EVICT and a preceding CLIENT REPLY SKIP stay in force. */
	s->flags &= ~(uint32_t)(SESSION_NO_TOUCH | SESSION_REPLY_OFF | SESSION_REPLY_SKIP_NEXT | SESSION_DIRTY_KEYS);
	s->lost_watch = 0;
	s->reply->muted = (s->flags & SESSION_REPLY_SKIP) != 0;
	writer_simple(s->reply, "RESET");
	return OUTCOME_DONE;
}

enum outcome cmd_select(struct session *s, const struct request *r) {
	int64_t index;
	if (!request_integer(s, r->argv[1], &index))
		return OUTCOME_DONE;
	if (index < INT32_MIN || index > INT32_MAX)
		return reply_error(s, "ERR value is out of range, value must between -2147483648 and 2147483647");
	if (index < 0 || index >= TENANT_DATABASES)
		return reply_error(s, "ERR DB index is out of range");
	session_select(s, (unsigned)index);
	writer_ok(s->reply);
	return OUTCOME_DONE;
}
