/* CLIENT LIST, CLIENT INFO and small subcommands of CLIENT. The operator lists the clients of all tenants. */
#include "commands/connection/client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "atomdb/dispatch/transaction.h"
#include "atomdb/events/tracking.h"
#include "atomdb/session/fanout.h"
#include "atomdb/store/tenant.h"
#include "commands/handlers.h"

#define LINE_MAX_BYTES 1024

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

const char *client_tenant(const struct session *s) {
	return s->tenant == NULL ? "" : tenant_name(s->tenant);
}

uint64_t client_number(const struct session *of, bool global) {
	return global ? of->global_id : of->id;
}

/* Appends the line of a session; `global`: with the fields that only the operator sees. Returns 0, or an error as
 * buffer_append. */
static int append_to(struct environment *env, struct session *of, const char *user, bool global, struct buffer *out) {
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
	return append_to(caller->env, of, session_user(of), caller->tenant->is_operator, &caller->env->scratch);
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

/* The filter of CLIENT LIST: none, a type, or the ids from argument 3 on. */
enum filter { LIST_ALL, LIST_TYPE, LIST_IDS, LIST_ERROR };

/* Reads the arguments of CLIENT LIST. LIST_ERROR: an error was replied. */
static enum filter parse_list(struct session *s, const struct request *r, enum client_type *type) {
	if (r->argc == 2)
		return LIST_ALL;
	if (r->argc == 4 && slice_is(r->argv[2], "TYPE"))
		return client_parse_type(s, r->argv[3], type) ? LIST_TYPE : LIST_ERROR;
	if (r->argc < 4 || !slice_is(r->argv[2], "ID")) {
		reply_syntax_error(s);
		return LIST_ERROR;
	}
	size_t work = 0;
	for (uint32_t i = 3; i < r->argc; i++) {
		int64_t id;
		(void)fiber_check_every(&work, 1, CHECK_KEYS);
		if (!number_parse(r->argv[i], &id)) {
			writer_error(s->reply, "ERR Invalid client ID");
			return LIST_ERROR;
		}
	}
	return LIST_IDS;
}

/* Returns whether the lines so far are within the client's output limit. */
static bool fits(const struct session *s) {
	return writer_fits(s->reply, s->env->scratch.len);
}

static int compare_ids(const void *a, const void *b) {
	uint64_t x = (*(struct session *const *)a)->id, y = (*(struct session *const *)b)->id;
	return (x > y) - (x < y);
}

/* Appends the lines of the ids from argument 3 on. There may be a million ids, and thousands of sessions. */
static int append_ids(struct session *s, const struct request *r) {
	size_t count = 0;
	list_for_each (node, &s->tenant->clients.sessions)
		count++;
	struct session **sorted = malloc(count * sizeof(*sorted)), **end = sorted;
	if (sorted == NULL)
		return -ENOMEM;
	list_for_each (node, &s->tenant->clients.sessions)
		*end++ = list_entry(node, struct session, tenant_link);
	qsort(sorted, count, sizeof(*sorted), compare_ids);
	int error = 0;
	for (uint32_t i = 3; i < r->argc && error == 0 && fits(s); i++) {
		int64_t id = 0;
		(void)fiber_check();
		(void)number_parse(r->argv[i], &id);
		struct session wanted = {.id = (uint64_t)id}, *key = &wanted;
		struct session **of = bsearch(&key, sorted, count, sizeof(*sorted), compare_ids);
		if (of != NULL)
			error = append_line(s, *of);
	}
	free(sorted);
	return error;
}

/* The ids that the operator lists, in a hash table with linear probing; 0: a free slot. No client has the id 0. */
struct id_set {
	enum filter filter;
	enum client_type type;
	uint64_t mask; /* number of slots - 1 */
	uint64_t slots[];
};

static uint64_t *find_id(struct id_set *set, uint64_t id) {
	uint64_t at = id * UINT64_C(0x9E3779B97F4A7C15) >> 32;
	while (set->slots[at & set->mask] != 0 && set->slots[at & set->mask] != id)
		at++;
	return &set->slots[at & set->mask];
}

/* Makes the set of the ids in the arguments from index 3 on. With other filters than LIST_IDS it is empty. Returns NULL
 * if there is no memory. */
static struct id_set *id_set_new(const struct request *r, enum filter filter, enum client_type type) {
	size_t slots = 1, work = 0;
	while (filter == LIST_IDS && slots < (size_t)r->argc * 2)
		slots *= 2;
	struct id_set *set = calloc(1, sizeof(*set) + slots * sizeof(set->slots[0]));
	if (set == NULL)
		return NULL;
	set->filter = filter;
	set->type = type;
	set->mask = slots - 1;
	for (uint32_t i = 3; i < r->argc && filter == LIST_IDS; i++) {
		int64_t id = 0;
		(void)fiber_check_every(&work, 1, CHECK_KEYS);
		(void)number_parse(r->argv[i], &id);
		*find_id(set, (uint64_t)id) = (uint64_t)id;
	}
	return set;
}

static void list_session(struct environment *env, struct fanout *c, struct fanout_answer *answer, struct session *of) {
	struct id_set *set = c->data;
	if ((set->filter == LIST_TYPE && client_type_of(of) != set->type) ||
	    (set->filter == LIST_IDS && *find_id(set, client_number(of, true)) == 0))
		return;
	(void)append_to(env, of, client_tenant(of), true, &answer->text);
}

static void list_gather(struct session *s, struct fanout *c) {
	struct buffer *all = &s->env->scratch;
	int error = 0;
	for (unsigned i = 0; i < c->workers && error == 0; i++)
		error = buffer_append(all, c->answers[i].text.data, c->answers[i].text.len, SIZE_MAX);
	if (error < 0)
		reply_store_error(s, error);
	else
		writer_verbatim(s->reply, "txt", buffer_slice(all));
}

static enum outcome list_all(struct session *s, const struct request *r) {
	static const struct fanout_kind kind = {.on_session = list_session, .gather = list_gather};
	enum client_type type = CLIENT_NORMAL;
	if (fanout_of(s) != NULL)
		return fanout_run(s, r, &kind, 0);
	enum filter filter = parse_list(s, r, &type);
	if (filter == LIST_ERROR)
		return OUTCOME_DONE;
	struct id_set *set = id_set_new(r, filter, type);
	if (set == NULL)
		return reply_store_error(s, -ENOMEM);
	return fanout_run_with(s, r, &kind, 0, set);
}

enum outcome cmd_client_list(struct session *s, const struct request *r) {
	enum client_type type = CLIENT_NORMAL;
	if (operator_asks(s))
		return list_all(s, r);
	enum filter filter = parse_list(s, r, &type);
	int error = 0;
	if (filter == LIST_ERROR)
		return OUTCOME_DONE;
	if (filter == LIST_IDS) {
		error = append_ids(s, r);
	} else {
		list_for_each (node, &s->tenant->clients.sessions) {
			struct session *of = list_entry(node, struct session, tenant_link);
			if (fiber_check())
				break;
			if (error == 0 && fits(s) && (filter == LIST_ALL || client_type_of(of) == type))
				error = append_line(s, of);
		}
	}
	return reply_lines(s, error);
}

enum outcome cmd_client_help(struct session *s, const struct request *r) {
	(void)r;
	static const char *const lines[] = {
		"CACHING (YES|NO)",
		"    Sets whether the keys of the next command are tracked.",
		"GETNAME",
		"    Returns the name of this connection.",
		"GETREDIR",
		"    Returns the id of the connection that receives the invalidation messages of this one.",
		"ID",
		"    Returns the id of this connection.",
		"INFO",
		"    Returns the attributes of this connection.",
		"KILL (<ip:port>|<filter> <value> [<filter> <value> ...])",
		"    Closes connections of this tenant: ID, ADDR, LADDR, TYPE, USER, SKIPME (YES|NO).",
		"LIST [TYPE (NORMAL|MASTER|REPLICA|PUBSUB)] [ID <id> [<id> ...]]",
		"    Returns the attributes of the connections of this tenant.",
		"NO-EVICT (ON|OFF)",
		"    Sets whether this connection is closed last if the tenant's clients hold too much memory.",
		"PAUSE <milliseconds> [WRITE|ALL]",
		"    Suspends the commands of the tenant's clients.",
		"REPLY (ON|OFF|SKIP)",
		"    Sets whether the server replies to the commands of this connection.",
		"SETINFO (LIB-NAME|LIB-VER) <text>",
		"    Sets the name or the version of the client library.",
		"SETNAME <name>",
		"    Sets the name of this connection.",
		"TRACKING (ON|OFF) [REDIRECT <id>] [BCAST] [PREFIX <prefix> [...]] [OPTIN] [OPTOUT] [NOLOOP]",
		"    Turns invalidation messages about changed keys on or off.",
		"TRACKINGINFO",
		"    Returns the tracking state of this connection.",
		"UNBLOCK <id> [TIMEOUT|ERROR]",
		"    Unblocks a connection that a command blocks.",
		"UNPAUSE",
		"    Resumes the commands that PAUSE suspended.",
	};
	return reply_help_lines(s, "client", lines);
}
