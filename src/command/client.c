/* The commands about connections: the caller's own, and those of its tenant. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "command/handlers.h"

#define LINE_MAX_BYTES 1024

bool client_text_ok(struct slice text) {
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
	if (!client_text_ok(name)) {
		writer_error(s->reply, "ERR Client names cannot contain spaces, newlines or special characters.");
		return false;
	}
	return set_text(s, &s->name, name);
}

enum outcome client_setname(struct session *s, const struct request *r) {
	if (client_set_name(s, r->argv[2]))
		writer_ok(s->reply);
	return OUTCOME_DONE;
}

enum outcome client_getname(struct session *s, const struct request *r) {
	(void)r;
	if (s->name == NULL)
		writer_null(s->reply);
	else
		writer_bulk(s->reply, slice_of(s->name));
	return OUTCOME_DONE;
}

enum outcome client_setinfo(struct session *s, const struct request *r) {
	char **field;
	if (slice_is(r->argv[2], "lib-name")) {
		field = &s->lib_name;
	} else if (slice_is(r->argv[2], "lib-ver")) {
		field = &s->lib_version;
	} else {
		writer_errorf(s->reply, "ERR Unrecognized option '%.*s'", ECHO_TEXT(r->argv[2], ECHO_LONG));
		return OUTCOME_DONE;
	}
	if (!client_text_ok(r->argv[3])) {
		writer_errorf(s->reply, "ERR %.*s cannot contain spaces, newlines or special characters.",
			      ECHO_TEXT(r->argv[2], ECHO_LONG));
		return OUTCOME_DONE;
	}
	if (set_text(s, field, r->argv[3]))
		writer_ok(s->reply);
	return OUTCOME_DONE;
}

enum outcome client_id(struct session *s, const struct request *r) {
	(void)r;
	writer_integer(s->reply, (int64_t)s->id);
	return OUTCOME_DONE;
}

enum outcome client_no_evict(struct session *s, const struct request *r) {
	if (slice_is(r->argv[2], "on"))
		s->flags |= SESSION_NO_EVICT;
	else if (slice_is(r->argv[2], "off"))
		s->flags &= (uint8_t)~SESSION_NO_EVICT;
	else
		return reply_syntax_error(s);
	writer_ok(s->reply);
	return OUTCOME_DONE;
}

/* Appends a session's line of CLIENT LIST to scratch. 0, or as buffer_append. */
static int append_line(struct session *caller, struct session *of) {
	struct environment *env = caller->env;
	struct client_facts facts = {.fd = -1};
	if (env->host != NULL)
		env->host->describe(of, &facts);
	char line[LINE_MAX_BYTES];
	int n = snprintf(line, sizeof(line),
			 "id=%llu addr=%s laddr=%s fd=%d name=%s age=%lld idle=%lld flags=%s db=%u sub=0 psub=0 ssub=0 "
			 "multi=-1 qbuf=%llu qbuf-free=0 argv-mem=0 multi-mem=0 rbs=0 rbp=0 obl=0 oll=0 omem=%llu "
			 "tot-mem=%llu events=r cmd=%s user=default redir=-1 resp=%u lib-name=%s lib-ver=%s\n",
			 (unsigned long long)of->id, facts.address, facts.local_address, facts.fd,
			 of->name == NULL ? "" : of->name, (long long)((env->now_ms - of->created_ms) / 1000),
			 (long long)((env->now_ms - of->last_ms) / 1000), of->flags & SESSION_NO_EVICT ? "e" : "N",
			 of->database, (unsigned long long)facts.query_bytes, (unsigned long long)facts.output_bytes,
			 (unsigned long long)facts.memory, of->last == NULL ? "NULL" : of->last->name, of->protocol,
			 of->lib_name == NULL ? "" : of->lib_name, of->lib_version == NULL ? "" : of->lib_version);
	return buffer_append(&env->scratch, line, (size_t)n, SIZE_MAX);
}

static enum outcome reply_lines(struct session *s, int error) {
	if (error < 0)
		return reply_store_error(s, error);
	writer_verbatim(s->reply, "txt", buffer_slice(&s->env->scratch));
	return OUTCOME_DONE;
}

enum outcome client_info(struct session *s, const struct request *r) {
	(void)r;
	return reply_lines(s, append_line(s, s));
}

/* Which sessions CLIENT LIST shows: all, none (a type that has no clients), or those of the ids from argument 3 on. */
enum list_filter { LIST_ALL, LIST_NONE, LIST_IDS, LIST_ERROR };

static enum list_filter parse_type(struct session *s, struct slice type) {
	static const char *const without_clients[] = {"slave", "replica", "pubsub", "master"};
	if (slice_is(type, "normal"))
		return LIST_ALL;
	for (size_t i = 0; i < sizeof(without_clients) / sizeof(without_clients[0]); i++) {
		if (slice_is(type, without_clients[i]))
			return LIST_NONE;
	}
	writer_errorf(s->reply, "ERR Unknown client type '%.*s'", ECHO_TEXT(type, ECHO_LONG));
	return LIST_ERROR;
}

static enum list_filter parse_filter(struct session *s, const struct request *r) {
	if (r->argc == 2)
		return LIST_ALL;
	if (r->argc == 4 && slice_is(r->argv[2], "TYPE"))
		return parse_type(s, r->argv[3]);
	if (r->argc < 4 || !slice_is(r->argv[2], "ID")) {
		reply_syntax_error(s);
		return LIST_ERROR;
	}
	for (uint32_t i = 3; i < r->argc; i++) {
		int64_t id;
		if (!number_parse(r->argv[i], &id)) {
			writer_error(s->reply, "ERR Invalid client ID");
			return LIST_ERROR;
		}
	}
	return LIST_IDS;
}

static struct session *session_by_id(struct tenant *t, uint64_t id) {
	list_for_each (node, &t->sessions) {
		struct session *of = list_entry(node, struct session, tenant_link);
		if (of->id == id)
			return of;
	}
	return NULL;
}

enum outcome client_list(struct session *s, const struct request *r) {
	enum list_filter filter = parse_filter(s, r);
	int error = 0;
	if (filter == LIST_ERROR)
		return OUTCOME_DONE;
	if (filter == LIST_IDS) {
		for (uint32_t i = 3; i < r->argc && error == 0; i++) {
			int64_t id = 0;
			(void)number_parse(r->argv[i], &id);
			struct session *of = session_by_id(s->tenant, (uint64_t)id);
			if (of != NULL)
				error = append_line(s, of);
		}
	} else if (filter == LIST_ALL) {
		list_for_each (node, &s->tenant->sessions) {
			if (error == 0)
				error = append_line(s, list_entry(node, struct session, tenant_link));
		}
	}
	return reply_lines(s, error);
}

enum outcome client_help(struct session *s, const struct request *r) {
	(void)r;
	static const char *const lines[] = {
		"GETNAME",
		"    Tells the name of this connection.",
		"ID",
		"    Tells the number of this connection.",
		"INFO",
		"    Describes this connection.",
		"LIST [TYPE (NORMAL|MASTER|REPLICA|PUBSUB)] [ID <id> [<id> ...]]",
		"    Describes the connections of this tenant.",
		"NO-EVICT (ON|OFF)",
		"    Keeps this connection's buffers from being given up for memory.",
		"SETINFO (LIB-NAME|LIB-VER) <text>",
		"    Names the client's library, or its version.",
		"SETNAME <name>",
		"    Names this connection.",
	};
	return reply_help_lines(s, "client", lines);
}
