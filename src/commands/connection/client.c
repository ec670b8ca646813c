/* The commands about connections: the caller's own, and those of its tenant. */
#include "commands/connection/client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "atomdb/dispatch/transaction.h"
#include "atomdb/events/tracking.h"
#include "commands/handlers.h"
#include "commands/tenants/operator.h"

#define LINE_MAX_BYTES 1024

/* A client may call itself, its library and its version by printable ASCII without spaces. */
static bool text_ok(struct slice text) {
	for (size_t i = 0; i < text.len; i++) {
		if (text.data[i] < '!' || text.data[i] > '~')
			return false;
	}
	return true;
}

int client_text_set(char **field, struct slice text) {
	char *copy = NULL;
	if (text.len != 0) {
		copy = strndup(text.data, text.len);
		if (copy == NULL)
			return -ENOMEM;
	}
	free(*field);
	*field = copy;
	return 0;
}

/* Sets a field of the session to text from its client, which must be short enough to be kept and shown. */
static bool set_text(struct session *s, char **field, struct slice text) {
	if (text.len > CLIENT_TEXT_MAX) {
		writer_error(s->reply, "ERR names of clients have a limit of 128 bytes");
		return false;
	}
	int error = client_text_set(field, text);
	if (error < 0)
		reply_store_error(s, error);
	return error == 0;
}

bool client_set_name(struct session *s, struct slice name) {
	if (!text_ok(name)) {
		writer_error(s->reply, "ERR Client names cannot contain spaces, newlines or special characters.");
		return false;
	}
	return set_text(s, &s->name, name);
}

enum outcome cmd_client_setname(struct session *s, const struct request *r) {
	if (client_set_name(s, r->argv[2]))
		writer_ok(s->reply);
	return OUTCOME_DONE;
}

enum outcome cmd_client_getname(struct session *s, const struct request *r) {
	(void)r;
	if (s->name == NULL)
		writer_null(s->reply);
	else
		writer_bulk(s->reply, slice_of(s->name));
	return OUTCOME_DONE;
}

enum outcome cmd_client_setinfo(struct session *s, const struct request *r) {
	char **field;
	if (slice_is(r->argv[2], "lib-name")) {
		field = &s->lib_name;
	} else if (slice_is(r->argv[2], "lib-ver")) {
		field = &s->lib_version;
	} else {
		writer_errorf(s->reply, "ERR Unrecognized option '%.*s'", ECHO_TEXT(r->argv[2], ECHO_LONG));
		return OUTCOME_DONE;
	}
	if (!text_ok(r->argv[3])) {
		writer_errorf(s->reply, "ERR %.*s cannot contain spaces, newlines or special characters.",
			      ECHO_TEXT(r->argv[2], ECHO_LONG));
		return OUTCOME_DONE;
	}
	if (set_text(s, field, r->argv[3]))
		writer_ok(s->reply);
	return OUTCOME_DONE;
}

enum outcome cmd_client_id(struct session *s, const struct request *r) {
	(void)r;
	writer_integer(s->reply, (int64_t)s->id);
	return OUTCOME_DONE;
}

enum outcome cmd_client_no_evict(struct session *s, const struct request *r) {
	if (slice_is(r->argv[2], "on"))
		s->flags |= SESSION_NO_EVICT;
	else if (slice_is(r->argv[2], "off"))
		s->flags &= ~(uint32_t)SESSION_NO_EVICT;
	else
		return reply_syntax_error(s);
	writer_ok(s->reply);
	return OUTCOME_DONE;
}

#define CLIENT_FLAGS 16

static void describe_flags(const struct session *of, char out[CLIENT_FLAGS]) {
	char tracking[4];
	tracking_letters(of, tracking);
	int n = snprintf(out, CLIENT_FLAGS, "%s%s%s%s%s%s%s%s", of->flags & SESSION_MONITOR ? "O" : "",
			 of->flags & SESSION_SUBSCRIBED ? "P" : "", of->flags & SESSION_MULTI ? "x" : "", tracking,
			 of->flags & SESSION_PAUSED ? "b" : "", of->flags & SESSION_DIRTY_KEYS ? "d" : "",
			 of->flags & SESSION_CLOSING ? "c" : "", of->flags & SESSION_NO_EVICT ? "e" : "");
	if (n == 0)
		snprintf(out, CLIENT_FLAGS, "N");
}

uint64_t client_number(const struct session *of, bool global) {
	return global ? of->global_id : of->id;
}

int client_append_line(struct environment *env, struct session *of, const char *user, bool global, struct buffer *out) {
	struct client_facts facts = {.fd = -1};
	if (env->host != NULL)
		env->host->describe(of, &facts);
	char line[LINE_MAX_BYTES], flags[CLIENT_FLAGS];
	describe_flags(of, flags);
	int n = snprintf(line, sizeof(line),
			 "id=%llu addr=%s laddr=%s fd=%d name=%s age=%lld idle=%lld flags=%s db=%u sub=%llu "
			 "psub=%llu ssub=%llu multi=%lld qbuf=%llu qbuf-free=0 argv-mem=0 multi-mem=%llu rbs=0 rbp=0 "
			 "obl=0 oll=0 omem=%llu "
			 "tot-mem=%llu events=r cmd=%s user=%s redir=%lld resp=%u lib-name=%s lib-ver=%s\n",
			 (unsigned long long)client_number(of, global), facts.address, facts.local_address,
			 global ? facts.fd : -1, of->name == NULL ? "" : of->name,
			 (long long)((env->steady_ms - of->created_ms) / 1000),
			 (long long)((env->steady_ms - of->last_ms) / 1000), flags, of->database,
			 (unsigned long long)subscription_count(of, CHANNEL_GLOBAL),
			 (unsigned long long)subscription_count(of, CHANNEL_PATTERN),
			 (unsigned long long)subscription_count(of, CHANNEL_SHARD), (long long)transaction_length(of),
			 (unsigned long long)facts.query_bytes, (unsigned long long)transaction_memory(of),
			 (unsigned long long)facts.output_bytes, (unsigned long long)facts.memory,
			 of->last == NULL ? "NULL" : of->last->name, user, (long long)tracking_redirection(of, global),
			 of->protocol, of->lib_name == NULL ? "" : of->lib_name,
			 of->lib_version == NULL ? "" : of->lib_version);
	return buffer_append(out, line, (size_t)n, SIZE_MAX);
}

static int append_line(struct session *caller, struct session *of) {
	return client_append_line(caller->env, of, session_user(of), caller->tenant->is_operator,
				  &caller->env->scratch);
}

static enum outcome reply_lines(struct session *s, int error) {
	if (error < 0)
		return reply_store_error(s, error);
	writer_verbatim(s->reply, "txt", buffer_slice(&s->env->scratch));
	return OUTCOME_DONE;
}

enum outcome cmd_client_info(struct session *s, const struct request *r) {
	(void)r;
	return reply_lines(s, append_line(s, s));
}

bool client_parse_type(struct session *s, struct slice text, enum client_type *type) {
	static const struct {
		const char *name;
		enum client_type type;
	} types[] = {{"normal", CLIENT_NORMAL},
		     {"slave", CLIENT_REPLICA},
		     {"replica", CLIENT_REPLICA},
		     {"pubsub", CLIENT_PUBSUB},
		     {"master", CLIENT_MASTER}};
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		if (slice_is(text, types[i].name)) {
			*type = types[i].type;
			return true;
		}
	}
	writer_errorf(s->reply, "ERR Unknown client type '%.*s'", ECHO_TEXT(text, ECHO_LONG));
	return false;
}

enum client_type client_type_of(const struct session *s) {
	return s->flags & SESSION_SUBSCRIBED ? CLIENT_PUBSUB : CLIENT_NORMAL;
}

enum client_list client_parse_list(struct session *s, const struct request *r, enum client_type *type) {
	if (r->argc == 2)
		return CLIENT_LIST_ALL;
	if (r->argc == 4 && slice_is(r->argv[2], "TYPE"))
		return client_parse_type(s, r->argv[3], type) ? CLIENT_LIST_TYPE : CLIENT_LIST_ERROR;
	if (r->argc < 4 || !slice_is(r->argv[2], "ID")) {
		reply_syntax_error(s);
		return CLIENT_LIST_ERROR;
	}
	for (uint32_t i = 3; i < r->argc; i++) {
		int64_t id;
		if (!number_parse(r->argv[i], &id)) {
			writer_error(s->reply, "ERR Invalid client ID");
			return CLIENT_LIST_ERROR;
		}
	}
	return CLIENT_LIST_IDS;
}

struct session *client_by_id(const struct tenant *t, uint64_t id) {
	list_for_each (node, &t->sessions) {
		struct session *of = list_entry(node, struct session, tenant_link);
		if (of->id == id)
			return of;
	}
	return NULL;
}

/* Whether the lines can still be sent: otherwise they need not be made. */
static bool fits(const struct session *s) {
	return writer_fits(s->reply, s->env->scratch.len);
}

static int compare_ids(const void *a, const void *b) {
	uint64_t x = (*(struct session *const *)a)->id, y = (*(struct session *const *)b)->id;
	return (x > y) - (x < y);
}

/* Appends the lines of the ids from argument 3 on. There may be a million of them, and thousands of sessions. */
static int append_ids(struct session *s, const struct request *r) {
	size_t count = 0;
	list_for_each (node, &s->tenant->sessions)
		count++;
	struct session **sorted = malloc(count * sizeof(*sorted)), **end = sorted;
	if (sorted == NULL)
		return -ENOMEM;
	list_for_each (node, &s->tenant->sessions)
		*end++ = list_entry(node, struct session, tenant_link);
	qsort(sorted, count, sizeof(*sorted), compare_ids);
	int error = 0;
	for (uint32_t i = 3; i < r->argc && error == 0 && fits(s); i++) {
		int64_t id = 0;
		(void)number_parse(r->argv[i], &id);
		struct session wanted = {.id = (uint64_t)id}, *key = &wanted;
		struct session **of = bsearch(&key, sorted, count, sizeof(*sorted), compare_ids);
		if (of != NULL)
			error = append_line(s, *of);
	}
	free(sorted);
	return error;
}

enum outcome cmd_client_list(struct session *s, const struct request *r) {
	enum client_type type = CLIENT_NORMAL;
	if (operator_asks(s))
		return operator_client_list(s, r);
	enum client_list filter = client_parse_list(s, r, &type);
	int error = 0;
	if (filter == CLIENT_LIST_ERROR)
		return OUTCOME_DONE;
	if (filter == CLIENT_LIST_IDS) {
		error = append_ids(s, r);
	} else {
		list_for_each (node, &s->tenant->sessions) {
			struct session *of = list_entry(node, struct session, tenant_link);
			if (error == 0 && fits(s) && (filter == CLIENT_LIST_ALL || client_type_of(of) == type))
				error = append_line(s, of);
		}
	}
	return reply_lines(s, error);
}

enum outcome cmd_client_help(struct session *s, const struct request *r) {
	(void)r;
	static const char *const lines[] = {
		"CACHING (YES|NO)",
		"    Says whether the keys of the next command are tracked.",
		"GETNAME",
		"    Tells the name of this connection.",
		"GETREDIR",
		"    Tells which connection gets the invalidations of this one.",
		"ID",
		"    Tells the number of this connection.",
		"INFO",
		"    Describes this connection.",
		"KILL (<ip:port>|<filter> <value> [<filter> <value> ...])",
		"    Closes connections of this tenant: ID, ADDR, LADDR, TYPE, USER, SKIPME (YES|NO).",
		"LIST [TYPE (NORMAL|MASTER|REPLICA|PUBSUB)] [ID <id> [<id> ...]]",
		"    Describes the connections of this tenant.",
		"NO-EVICT (ON|OFF)",
		"    Keeps this connection's buffers from being given up for memory.",
		"PAUSE <milliseconds> [WRITE|ALL]",
		"    Makes the clients of this tenant wait.",
		"REPLY (ON|OFF|SKIP)",
		"    Says whether commands are answered.",
		"SETINFO (LIB-NAME|LIB-VER) <text>",
		"    Names the client's library, or its version.",
		"SETNAME <name>",
		"    Names this connection.",
		"TRACKING (ON|OFF) [REDIRECT <id>] [BCAST] [PREFIX <prefix> [...]] [OPTIN] [OPTOUT] [NOLOOP]",
		"    Tells this connection when keys that it has read change.",
		"TRACKINGINFO",
		"    Tells how the keys of this connection are tracked.",
		"UNBLOCK <id> [TIMEOUT|ERROR]",
		"    Ends the waiting of a connection that is blocked by a command.",
		"UNPAUSE",
		"    Ends the waiting that PAUSE began.",
	};
	return reply_help_lines(s, "client", lines);
}
