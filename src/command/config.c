/* CONFIG: the parameters of Redis that clients ask for, with the values in force for the caller's tenant, and the one
 * that a client sets for its tenant. */
#include <stdio.h>

#include "atomdb/util/glob.h"
#include "command/handlers.h"

#define VALUE_MAX 160

const char *config_policy(const struct tenant *t) {
	return t->limits.eviction == EVICTION_LRU ? "allkeys-lru" : "noeviction";
}

enum parameter_kind {
	CONSTANT,
	MAXMEMORY,
	POLICY,
	MAXCLIENTS,
	TIMEOUT,
	KEEPALIVE,
	PORT,
	QUERY_BUFFER,
	OUTPUT_BUFFER,
	NOTIFY
};

static const struct parameter {
	const char *name;
	enum parameter_kind kind;
	const char *value; /* of a constant */
} parameters[] = {
	{"appendfsync", CONSTANT, "no"},
	{"appendonly", CONSTANT, "no"},
	{"client-output-buffer-limit", OUTPUT_BUFFER, NULL},
	{"client-query-buffer-limit", QUERY_BUFFER, NULL},
	{"cluster-enabled", CONSTANT, "no"},
	{"databases", CONSTANT, "16"},
	{"io-threads", CONSTANT, "1"},
	{"lazyfree-lazy-user-del", CONSTANT, "yes"},
	{"lazyfree-lazy-user-flush", CONSTANT, "yes"},
	{"maxclients", MAXCLIENTS, NULL},
	{"maxmemory", MAXMEMORY, NULL},
	{"maxmemory-policy", POLICY, NULL},
	{"notify-keyspace-events", NOTIFY, NULL},
	{"port", PORT, NULL},
	{"proto-max-bulk-len", CONSTANT, "536870912"},
	{"requirepass", CONSTANT, ""},
	{"save", CONSTANT, ""},
	{"tcp-keepalive", KEEPALIVE, NULL},
	{"timeout", TIMEOUT, NULL},
};
#define PARAMETER_COUNT (sizeof(parameters) / sizeof(parameters[0]))

static uint64_t number_of(const struct session *s, enum parameter_kind kind) {
	const struct settings *settings = &s->env->settings;
	const struct tenant_limits *limits = &s->tenant->limits;
	switch (kind) {
	case MAXMEMORY:
		return limits->max_memory;
	case MAXCLIENTS:
		return limits->max_clients != 0 ? limits->max_clients : settings->max_clients;
	case TIMEOUT:
		return settings->idle_timeout;
	case KEEPALIVE:
		return settings->tcp_keepalive;
	case PORT:
		return settings->port;
	case QUERY_BUFFER:
		return settings->query_buffer;
	case OUTPUT_BUFFER:
		return settings->output_buffer;
	case CONSTANT:
	case POLICY:
	case NOTIFY:
		break;
	}
	return 0;
}

static void reply_parameter(struct session *s, const struct parameter *p, struct slice name) {
	char text[VALUE_MAX];
	unsigned long long number = number_of(s, p->kind);
	const char *value = text;
	if (p->kind == CONSTANT)
		value = p->value;
	else if (p->kind == POLICY)
		value = config_policy(s->tenant);
	else if (p->kind == NOTIFY)
		notify_format(s->tenant->notify, text);
	else if (p->kind == OUTPUT_BUFFER)
		snprintf(text, sizeof(text), "normal %llu 0 0 slave 0 0 0 pubsub %llu 0 0", number, number);
	else
		snprintf(text, sizeof(text), "%llu", number);
	writer_bulk(s->reply, name);
	writer_bulk(s->reply, slice_of(value));
}

static bool is_pattern(struct slice text) {
	for (size_t i = 0; i < text.len; i++) {
		if (memchr("[*?", text.data[i], 3) != NULL)
			return true;
	}
	return false;
}

/* What the first argument that matches calls the parameter: a plain name is answered as the client spelled it. No data
 * where none matches. */
static struct slice asked_as(const struct request *r, const struct parameter *p) {
	for (uint32_t i = 2; i < r->argc; i++) {
		if (slice_is(r->argv[i], p->name))
			return r->argv[i];
		if (is_pattern(r->argv[i]) && glob_match(r->argv[i], slice_of(p->name), true))
			return slice_of(p->name);
	}
	return (struct slice){NULL, 0};
}

enum outcome config_get(struct session *s, const struct request *r) {
	struct slice names[PARAMETER_COUNT];
	size_t count = 0;
	for (size_t i = 0; i < PARAMETER_COUNT; i++) {
		names[i] = asked_as(r, &parameters[i]);
		count += names[i].data != NULL;
	}
	writer_map(s->reply, count);
	for (size_t i = 0; i < PARAMETER_COUNT; i++) {
		if (names[i].data != NULL)
			reply_parameter(s, &parameters[i], names[i]);
	}
	return OUTCOME_DONE;
}

static const struct parameter *find_parameter(struct slice name) {
	for (size_t i = 0; i < PARAMETER_COUNT; i++) {
		if (slice_is(name, parameters[i].name))
			return &parameters[i];
	}
	return NULL;
}

static enum outcome fail_set(struct session *s, const struct parameter *p, const char *reason) {
	writer_errorf(s->reply, "ERR CONFIG SET failed (possibly related to argument '%s') - %s", p->name, reason);
	return OUTCOME_DONE;
}

/* All parameters are checked before one is set. */
enum outcome config_set(struct session *s, const struct request *r) {
	uint32_t classes = s->tenant->notify;
	if (r->argc % 2 != 0)
		return reply_syntax_error(s);
	for (uint32_t i = 2; i < r->argc; i += 2) {
		if (find_parameter(r->argv[i]) == NULL) {
			writer_errorf(s->reply, "ERR Unknown option or number of arguments for CONFIG SET - '%.*s'",
				      ECHO_TEXT(r->argv[i], ECHO_LONG));
			return OUTCOME_DONE;
		}
	}
	for (uint32_t i = 2; i < r->argc; i += 2) {
		const struct parameter *p = find_parameter(r->argv[i]);
		if (p->kind != NOTIFY)
			return fail_set(s, p, "the configuration of the server sets it for all its tenants");
		if (i > 2)
			return fail_set(s, p, "duplicate parameter");
		if (!notify_parse(r->argv[i + 1], &classes))
			return fail_set(s, p, "Invalid event class character. Use 'Ag$lshzxeKEtmdn'.");
	}
	notify_set(s->tenant, classes);
	writer_ok(s->reply);
	return OUTCOME_DONE;
}

enum outcome config_help(struct session *s, const struct request *r) {
	(void)r;
	static const char *const lines[] = {
		"GET <pattern> [<pattern> ...]",
		"    Tells the parameters whose names match a glob pattern, with their values.",
		"SET notify-keyspace-events <classes>",
		"    Says which events of its keys the tenant's clients are told of.",
	};
	return reply_help_lines(s, "config", lines);
}
