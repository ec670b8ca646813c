/* CONFIG: Redis's parameters that clients query, with the values in force for the caller's tenant.
 *
 * A tenant may set its own parameters. It may set a parameter of the operator only to its present value, so that
 * scripts which set it for safety succeed. */
#include "commands/server/config.h"

#include <stdio.h>

#include "atomdb/session/fanout.h"
#include "atomdb/session/tenant_stats.h"
#include "atomdb/store/tenant.h"
#include "atomdb/util/glob.h"
#include "commands/handlers.h"

#define VALUE_MAX 160

const char *config_policy(const struct tenant *t) {
	return t->limits.eviction == EVICTION_LRU ? "allkeys-lru" : "noeviction";
}

enum parameter_kind {
	CONSTANT,
	DEBUG_COMMAND,
	FIXED, /* a constant that Redis does not let clients set either */
	MAXMEMORY,
	CLIENT_MEMORY,
	POLICY,
	MAXCLIENTS,
	TIMEOUT,
	KEEPALIVE,
	PORT,
	QUERY_BUFFER,
	OUTPUT_BUFFER,
	/* Parameters of the tenant: */
	LATENCY_MS,
	LATENCY_TRACKING,
	NOTIFY,
	SLOW_US,
	SLOW_MAX,
};

static const struct parameter {
	const char *name;
	enum parameter_kind kind;
	const char *value; /* value of CONSTANT and FIXED */
} parameters[] = {
	{"activedefrag", FIXED, "yes"},
	{"appendfsync", CONSTANT, "no"},
	{"appendonly", CONSTANT, "no"},
	{"client-output-buffer-limit", OUTPUT_BUFFER, NULL},
	{"client-query-buffer-limit", QUERY_BUFFER, NULL},
	{"cluster-enabled", FIXED, "no"},
	{"databases", FIXED, "16"},
	{"enable-debug-command", DEBUG_COMMAND, NULL},
	{"io-threads", FIXED, "1"},
	{"latency-monitor-threshold", LATENCY_MS, NULL},
	{"latency-tracking", LATENCY_TRACKING, NULL},
	{"lazyfree-lazy-user-del", CONSTANT, "yes"},
	{"lazyfree-lazy-user-flush", CONSTANT, "yes"},
	{"maxclients", MAXCLIENTS, NULL},
	{"maxmemory", MAXMEMORY, NULL},
	{"maxmemory-clients", CLIENT_MEMORY, NULL},
	{"maxmemory-policy", POLICY, NULL},
	{"notify-keyspace-events", NOTIFY, NULL},
	{"port", PORT, NULL},
	{"proto-max-bulk-len", CONSTANT, "536870912"},
	{"requirepass", CONSTANT, ""},
	{"save", CONSTANT, ""},
	{"slowlog-log-slower-than", SLOW_US, NULL},
	{"slowlog-max-len", SLOW_MAX, NULL},
	{"tcp-keepalive", KEEPALIVE, NULL},
	{"timeout", TIMEOUT, NULL},
};
#define PARAMETER_COUNT (sizeof(parameters) / sizeof(parameters[0]))

static int64_t number_of(const struct session *s, enum parameter_kind kind) {
	const struct settings *settings = &s->env->settings;
	const struct tenant_limits *limits = &s->tenant->limits;
	switch (kind) {
	case LATENCY_MS:
		return tenant_stats_settings_of(s->tenant).latency_ms;
	case SLOW_US:
		return tenant_stats_settings_of(s->tenant).slow_us;
	case SLOW_MAX:
		return tenant_stats_settings_of(s->tenant).slow_max;
	case MAXMEMORY:
		return (int64_t)limits->max_memory;
	case CLIENT_MEMORY: {
		uint64_t limit = tenant_client_limit(s->tenant);
		return limit == UINT64_MAX ? 0 : (int64_t)limit;
	}
	case MAXCLIENTS:
		return limits->max_clients != 0 ? limits->max_clients : settings->max_clients;
	case TIMEOUT:
		return settings->idle_timeout;
	case KEEPALIVE:
		return settings->tcp_keepalive;
	case PORT:
		return settings->port;
	case QUERY_BUFFER:
		return (int64_t)settings->query_buffer;
	case OUTPUT_BUFFER:
		return (int64_t)settings->output_buffer;
	case CONSTANT:
	case DEBUG_COMMAND:
	case FIXED:
	case POLICY:
	case LATENCY_TRACKING:
	case NOTIFY:
		break;
	}
	return 0;
}

/* Returns the value in force: a constant, or text rendered to `text`. */
static const char *value_of(const struct session *s, const struct parameter *p, char text[VALUE_MAX]) {
	long long number = number_of(s, p->kind);
	if (p->value != NULL)
		return p->value;
	if (p->kind == POLICY)
		return config_policy(s->tenant);
	if (p->kind == LATENCY_TRACKING)
		return tenant_stats_settings_of(s->tenant).tracking ? "yes" : "no";
	if (p->kind == DEBUG_COMMAND)
		return s->env->settings.debug ? "yes" : "no";
	if (p->kind == NOTIFY)
		keyspace_events_format(s->tenant->clients.event_classes, text);
	else if (p->kind == OUTPUT_BUFFER)
		snprintf(text, VALUE_MAX, "normal %lld 0 0 slave 0 0 0 pubsub %lld 0 0", number, number);
	else
		snprintf(text, VALUE_MAX, "%lld", number);
	return text;
}

static void reply_parameter(struct session *s, const struct parameter *p, struct slice name) {
	char text[VALUE_MAX];
	writer_bulk(s->reply, name);
	writer_bulk(s->reply, slice_of(value_of(s, p, text)));
}

static bool is_pattern(struct slice text) {
	size_t work = 0;
	for (size_t i = 0; i < text.len; i++) {
		(void)fiber_check_every(&work, 1, CHECK_TEXT);
		if (memchr("[*?", text.data[i], 3) != NULL)
			return true;
	}
	return false;
}

/* Sets `names` to the name of each parameter that matches an argument; a name without wildcards keeps the client's
 * spelling. Returns the number of matches. */
static size_t find_matches(const struct request *r, struct slice names[PARAMETER_COUNT], uint64_t *work) {
	size_t count = 0, unchecked = 0;
	for (uint32_t i = 2; i < r->argc && count < PARAMETER_COUNT && *work != 0; i++) {
		struct slice asked = r->argv[i];
		(void)fiber_check_every(&unchecked, 1 + asked.len, CHECK_TEXT);
		bool pattern = is_pattern(asked);
		for (size_t k = 0; k < PARAMETER_COUNT; k++) {
			struct slice name = slice_of(parameters[k].name);
			if (names[k].data != NULL)
				continue;
			if (slice_is(asked, parameters[k].name))
				names[k] = asked;
			else if (pattern && glob_match_sliced(asked, name, true, work))
				names[k] = name;
			count += names[k].data != NULL;
		}
	}
	return count;
}

/* Replies with the matches, and with `more` pairs that are already RESP. */
static void reply_matches(struct session *s, const struct request *r, size_t more, struct slice pairs) {
	struct slice names[PARAMETER_COUNT] = {{NULL, 0}};
	/* Comparing with a name costs about one step. */
	uint64_t compared = (uint64_t)r->argc * PARAMETER_COUNT;
	uint64_t *work = pattern_work(s);
	*work -= compared < *work ? compared : *work;
	size_t count = more + find_matches(r, names, work);
	if (*work == 0) {
		reply_costly_pattern(s, writer_mark(s->reply));
		return;
	}
	writer_map(s->reply, count);
	for (size_t i = 0; i < PARAMETER_COUNT; i++) {
		if (names[i].data != NULL)
			reply_parameter(s, &parameters[i], names[i]);
	}
	writer_raw(s->reply, pairs);
}

/* The operator sees the settings of the server too. */
static void reply_with_server(struct session *s, struct fanout *c) {
	const struct request r = {.argv = c->argv, .argc = c->argc};
	if (c->answers[0].number < 0)
		reply_costly_pattern(s, writer_mark(s->reply));
	else
		reply_matches(s, &r, (size_t)c->answers[0].number, buffer_slice(&c->answers[0].text));
}

enum outcome cmd_config_get(struct session *s, const struct request *r) {
	static const struct fanout_kind kind = {.control = CONTROL_CONFIG_GET, .gather = reply_with_server};
	if (operator_asks(s))
		return fanout_run(s, r, &kind, 0);
	reply_matches(s, r, 0, (struct slice){NULL, 0});
	return OUTCOME_DONE;
}

/* --- CONFIG SET ------------------------------------------------------------------------------------------------- */

/* session/options is not used here: as in Redis, all names are checked before the first value is read, and each error
 * of a name has its own text. */

/* The command refuses a password, but its arguments contain it. */
bool config_set_is_secret(const struct slice *argv, uint32_t i) {
	return i >= 3 && i % 2 == 1 && slice_is(argv[i - 1], "requirepass");
}

static const struct parameter *find_parameter(struct slice name) {
	for (size_t i = 0; i < PARAMETER_COUNT; i++) {
		if (slice_is(name, parameters[i].name))
			return &parameters[i];
	}
	return NULL;
}

static bool refuse(struct session *s, struct slice name, const char *why) {
	writer_errorf(s->reply, "ERR CONFIG SET failed (possibly related to argument '%.*s') - %s",
		      ECHO_TEXT(name, ECHO_LONG), why);
	return false;
}

/* Returns whether each name is a parameter that may be set, and occurs once. Returns false if an error was replied. */
static bool check_names(struct session *s, const struct request *r) {
	for (uint32_t i = 2; i < r->argc; i += 2) {
		struct slice name = r->argv[i];
		const struct parameter *p = find_parameter(name);
		if (p == NULL) {
			writer_errorf(s->reply, "ERR Unknown option or number of arguments for CONFIG SET - '%.*s'",
				      ECHO_TEXT(name, ECHO_LONG));
			return false;
		}
		if (p->kind == FIXED || p->kind == DEBUG_COMMAND)
			return refuse(s, name, "can't set immutable config");
		for (uint32_t k = 2; k < i; k += 2) {
			if (find_parameter(r->argv[k]) == p)
				return refuse(s, name, "duplicate parameter");
		}
	}
	return true;
}

static bool read_number(struct session *s, struct slice name, struct slice text, int64_t least, int64_t *value) {
	char why[96];
	int64_t number;
	if (!number_parse(text, &number))
		return refuse(s, name, "argument couldn't be parsed into an integer");
	if (number < least) {
		snprintf(why, sizeof(why), "argument must be between %lld and %lld inclusive", (long long)least,
			 (long long)INT64_MAX);
		return refuse(s, name, why);
	}
	*value = number;
	return true;
}

/* The new settings. */
struct set {
	struct tenant_stats_settings tenant_stats;
	uint32_t notify;
};

/* Reads one value into the new settings. Replies with an error if it is invalid. */
static bool read_value(struct session *s, const struct request *r, const struct parameter *p, struct slice text,
		       struct set *set) {
	struct slice name = slice_of(p->name);
	char now[VALUE_MAX];
	switch (p->kind) {
	case LATENCY_MS:
		return read_number(s, name, text, 0, &set->tenant_stats.latency_ms);
	case SLOW_US:
		return read_number(s, name, text, -1, &set->tenant_stats.slow_us);
	case SLOW_MAX:
		return read_number(s, name, text, 0, &set->tenant_stats.slow_max);
	case LATENCY_TRACKING:
		if (!slice_is(text, "yes") && !slice_is(text, "no"))
			return refuse(s, name, "argument must be 'yes' or 'no'");
		set->tenant_stats.tracking = slice_is(text, "yes");
		return true;
	case NOTIFY:
		return keyspace_events_parse(text, &set->notify) ||
		       refuse(s, name, "Invalid event class character. Use 'Ag$lshzxeKEtmdn'.");
	default:
		if (slice_is(text, value_of(s, p, now)))
			return true;
		return operator_only(s, r) && refuse(s, name, "nobody changes it while the server runs");
	}
}

/* These are parameters of the server. The operator sets all of them or none. */
static uint32_t count_server_names(const struct request *r) {
	uint32_t count = 0;
	size_t work = 0;
	for (uint32_t i = 2; i < r->argc; i += 2) {
		(void)fiber_check_every(&work, 1, CHECK_KEYS);
		const struct parameter *p = find_parameter(r->argv[i]);
		count += p == NULL || p->kind == MAXCLIENTS || p->kind == TIMEOUT || p->kind == KEEPALIVE ||
			 p->kind == QUERY_BUFFER;
	}
	return count;
}

enum outcome cmd_config_set(struct session *s, const struct request *r) {
	static const struct fanout_kind kind = {.control = CONTROL_CONFIG_SET, .gather = fanout_gather_text};
	struct set set = {tenant_stats_settings_of(s->tenant), s->tenant->clients.event_classes};
	s->flags |= SESSION_SECRET;
	if (r->argc % 2 != 0)
		return reply_syntax_error(s);
	uint32_t server = operator_asks(s) ? count_server_names(r) : 0;
	if (server != 0 && server != (r->argc - 2) / 2)
		return reply_error(s,
				   "ERR CONFIG SET takes parameters of the server or of the tenant, not both at once");
	if (server != 0)
		return fanout_run(s, r, &kind, 0);
	if (!check_names(s, r))
		return OUTCOME_DONE;
	for (uint32_t i = 2; i < r->argc; i += 2) {
		if (!read_value(s, r, find_parameter(r->argv[i]), r->argv[i + 1], &set))
			return OUTCOME_DONE;
	}
	int error = tenant_stats_configure(s->tenant, s->env, &set.tenant_stats);
	if (error == 0)
		keyspace_events_set(s->tenant, set.notify);
	return reply_result(s, error);
}

enum outcome cmd_config_resetstat(struct session *s, const struct request *r) {
	(void)r;
	return reply_result(s, tenant_stats_reset(s->tenant));
}

enum outcome cmd_config_rewrite(struct session *s, const struct request *r) {
	(void)r;
	return reply_error(s, "ERR The configuration file is the operator's: no command writes it");
}

enum outcome cmd_config_help(struct session *s, const struct request *r) {
	(void)r;
	static const char *const lines[] = {
		"GET <pattern> [<pattern> ...]",
		"    Returns the parameters that match glob patterns, with their values.",
		"RESETSTAT",
		"    Resets the counters of INFO and the histograms of LATENCY.",
		"REWRITE",
		"    Returns an error: only the operator changes the configuration file.",
		"SET <parameter> <value> [<parameter> <value> ...]",
		"    Sets parameters of this tenant.",
	};
	return reply_help_lines(s, "config", lines);
}
