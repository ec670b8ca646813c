/* DEBUG, if the operator enables it: the subcommands that test suites and scripts use, within the caller's tenant.
 *
 * No subcommand stops the server: SLEEP pauses the tenant's clients like CLIENT PAUSE. A subcommand that would end the
 * server or waste its memory is refused. A subcommand for a feature that AtomDB lacks does nothing. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "atomdb/events/subscriptions.h"
#include "atomdb/session/options.h"
#include "atomdb/store/tenant.h"
#include "atomdb/store/undo.h"
#include "atomdb/store/value_type.h"
#include "atomdb/util/error.h"
#include "atomdb/util/work_meter.h"
#include "commands/server/debug_keys.h"

/* Maximum keys and bytes that POPULATE writes before the worker serves other clients. */
#define POPULATE_STEP  1024
#define POPULATE_BYTES ((size_t)1 << 20)
#define BIG_NUMBER     "1234567999999999999999999999999999999"

struct debug {
	const char *name;
	uint32_t least, most; /* number of arguments, including DEBUG and the name */
	enum outcome (*run)(struct session *s, const struct request *r);
};

static enum outcome do_nothing(struct session *s, const struct request *r) {
	(void)r;
	writer_ok(s->reply);
	return OUTCOME_DONE;
}

static enum outcome debug_sleep(struct session *s, const struct request *r) {
	char text[64];
	struct slice given = r->argv[2];
	snprintf(text, sizeof(text), "%.*s", given.len < sizeof(text) ? (int)given.len : (int)sizeof(text) - 1,
		 given.data);
	double seconds = strtod(text, NULL);
	bool slept = s->flags & SESSION_SLEEPING;
	s->flags &= ~(uint32_t)SESSION_SLEEPING;
	if (slept || !(seconds > 0) || seconds > (double)INT32_MAX) {
		writer_ok(s->reply);
		return OUTCOME_DONE;
	}
	struct tenant *t = s->tenant;
	int64_t end = s->env->steady_ms + (int64_t)(seconds * 1000);
	session_pause(t, end > t->clients.pause_end_ms ? end : t->clients.pause_end_ms, true);
	if (s->flags & SESSION_EXECUTING) {
		writer_ok(s->reply);
		return OUTCOME_DONE;
	}
	s->flags |= SESSION_SLEEPING;
	return OUTCOME_BLOCKED;
}

#ifdef ATOMDB_TEST_HOOKS
/* Keeps the thread for some milliseconds of CPU time, without a check point. */
static enum outcome debug_burn(struct session *s, const struct request *r) {
	struct timespec begin, now;
	int64_t ms;
	if (!request_integer(s, r->argv[2], &ms))
		return OUTCOME_DONE;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &begin);
	do {
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	} while ((now.tv_sec - begin.tv_sec) * 1000 + (now.tv_nsec - begin.tv_nsec) / 1000000 < ms);
	writer_ok(s->reply);
	return OUTCOME_DONE;
}
#endif

static enum outcome debug_object(struct session *s, const struct request *r) {
	struct key key = request_key(s, r, 2);
	const struct entry *e = keyspace_find(s->tenant, &key, LOOKUP_PEEK);
	char line[192];
	if (e == NULL)
		return reply_error(s, "ERR no such key");
	const struct value_type *type = value_type_of(s->tenant, e);
	int error = type->dump(s->tenant, e, (struct value_room){&s->env->scratch, SIZE_MAX});
	if (error < 0)
		return reply_store_error(s, error);
	int64_t idle = keyspace_idle(s->tenant, e);
	snprintf(line, sizeof(line),
		 "Value at:0x0 refcount:1 encoding:%s serializedlength:%zu lru:%" PRId64 " lru_seconds_idle:%" PRId64,
		 type->encoding(e), s->env->scratch.len - 1, (s->env->now_ms / 1000 - idle) & 0xffffff, idle);
	writer_simple(s->reply, line);
	return OUTCOME_DONE;
}

static enum outcome debug_error(struct session *s, const struct request *r) {
	char text[256];
	struct slice given = r->argv[2];
	snprintf(text, sizeof(text), "%.*s", given.len < sizeof(text) ? (int)given.len : (int)sizeof(text) - 1,
		 given.data);
	writer_error(s->reply, text);
	s->reply->errors--; /* as in Redis, this is not an error */
	return OUTCOME_DONE;
}

/* Redis saves its keys and loads them again. AtomDB writes no file, so there is nothing to load. */
static enum outcome debug_reload(struct session *s, const struct request *r) {
	static const struct command_option options[] = {
		OPTION("merge", .flag = 1 << 0),
		OPTION("noflush", .flag = 1 << 1),
		OPTION("nosave", .flag = 1 << 2),
	};
	struct options o = OPTIONS_BEGIN(r, 2, options);
	while (options_next(&o) != NULL)
		;
	if (o.error != OPTIONS_OK)
		return reply_error(s, "ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options.");
	writer_ok(s->reply);
	return OUTCOME_DONE;
}

static bool read_positive(struct session *s, struct slice text, int64_t *value) {
	if (number_parse(text, value) && *value >= 0)
		return true;
	writer_error(s->reply, "ERR value is out of range, must be positive");
	return false;
}

/* Makes one key of POPULATE, `size` bytes long; 0: as long as its text. */
static int populate_one(struct session *s, const struct request *r, int64_t number, size_t size) {
	char suffix[NUMBER_TEXT_MAX + 2], text[NUMBER_TEXT_MAX + 8];
	struct slice prefix = r->argc > 3 ? r->argv[3] : SLICE("key");
	struct buffer *name = &s->env->scratch;
	int digits = snprintf(suffix, sizeof(suffix), ":%" PRId64, number);
	name->len = 0;
	if (buffer_append(name, prefix.data, prefix.len, SIZE_MAX) != 0 ||
	    buffer_append(name, suffix, (size_t)digits, SIZE_MAX) != 0)
		return ATOMDB_E_OOM;
	struct key key = keyspace_key(s->tenant, s->db_slot, buffer_slice(name));
	if (keyspace_find(s->tenant, &key, LOOKUP_WRITE) != NULL)
		return 0;
	size_t length = (size_t)snprintf(text, sizeof(text), "value:%" PRId64, number);
	if (size == 0)
		return string_set(s->tenant, &key, NULL, (struct slice){text, length}, DEADLINE_NONE);
	char *bytes;
	int error = string_resize(s->tenant, &key, NULL, size, (struct span){0}, &bytes);
	if (error != 0)
		return error;
	memcpy(bytes, text, length < size ? length : size);
	keyspace_commit(s->tenant->shard);
	return 0;
}

static enum outcome debug_populate(struct session *s, const struct request *r) {
	int64_t count, size = 0;
	if (!read_positive(s, r->argv[2], &count) || (r->argc == 5 && !read_positive(s, r->argv[4], &size)))
		return OUTCOME_DONE;
	if ((uint64_t)size > STRING_MAX)
		return reply_too_long(s);
	/* The worker serves no other client until a transaction ends. */
	if ((s->flags & SESSION_EXECUTING) &&
	    (count > POPULATE_STEP || size > (int64_t)(POPULATE_BYTES / POPULATE_STEP)))
		return reply_error(s, "ERR DEBUG POPULATE of so much is not possible inside a transaction");
	int error = 0;
	size_t bytes = 0;
	unsigned most = s->flags & SESSION_EXECUTING ? POPULATE_STEP : POPULATE_STEP / 2;
	for (unsigned step = 0; step < most && bytes < POPULATE_BYTES && s->populated < count && error == 0;
	     step++, bytes += (size_t)size)
		error = populate_one(s, r, s->populated++, (size_t)size);
	if (error == 0 && s->populated < count)
		return OUTCOME_RETRY;
	s->populated = 0;
	return reply_result(s, error);
}

/* Inside EXEC the push follows the array. */
static void push_example(struct session *s) {
	struct slice push = SLICE(">2\r\n$16\r\nserver-cpu-usage\r\n:42\r\n");
	if (s->flags & SESSION_EXECUTING)
		push_send_bytes(&s->tenant->clients.subscriptions->push, s, push);
	else
		writer_raw(s->reply, push);
}

static enum outcome debug_protocol(struct session *s, const struct request *r) {
	struct writer *w = s->reply;
	struct slice type = r->argv[2];
	if (slice_is(type, "string")) {
		writer_bulk(w, SLICE("Hello World"));
	} else if (slice_is(type, "integer")) {
		writer_integer(w, 12345);
	} else if (slice_is(type, "double")) {
		writer_double(w, 3.141);
	} else if (slice_is(type, "null")) {
		writer_null(w);
	} else if (slice_is(type, "array") || slice_is(type, "set")) {
		slice_is(type, "set") ? writer_set(w, 3) : writer_array(w, 3);
		for (int64_t i = 0; i < 3; i++)
			writer_integer(w, i);
	} else if (slice_is(type, "map")) {
		writer_map(w, 3);
		for (int64_t i = 0; i < 3; i++) {
			writer_integer(w, i);
			writer_bool(w, i == 1);
		}
	} else if (slice_is(type, "verbatim")) {
		writer_verbatim(w, "txt", SLICE("This is a verbatim\nstring"));
	} else if (slice_is(type, "true") || slice_is(type, "false")) {
		writer_bool(w, slice_is(type, "true"));
	} else if (slice_is(type, "bignum")) {
		w->protocol >= 3 ? writer_constant(w, "(" BIG_NUMBER "\r\n") : writer_bulk(w, SLICE(BIG_NUMBER));
	} else if (slice_is(type, "attrib")) {
		if (w->protocol >= 3)
			writer_constant(w, "|1\r\n$14\r\nkey-popularity\r\n*2\r\n$7\r\nkey:123\r\n:90\r\n");
		writer_bulk(w, SLICE("Some real reply following the attribute"));
	} else if (slice_is(type, "push")) {
		if (w->protocol < 3)
			return reply_error(s, "ERR RESP2 is not supported by this command");
		push_example(s);
		writer_bulk(w, SLICE("Some real reply following the push reply"));
	} else {
		return reply_error(s,
				   "ERR Wrong protocol type name. Please use one of the following: "
				   "string|integer|double|bignum|null|array|set|map|attrib|push|verbatim|true|false");
	}
	return OUTCOME_DONE;
}

static enum outcome debug_structsize(struct session *s, const struct request *r) {
	char text[96];
	(void)r;
	snprintf(text, sizeof(text), "bits:%zu tenant:%zu session:%zu ", sizeof(void *) * 8, sizeof(struct tenant),
		 sizeof(struct session));
	writer_bulk(s->reply, slice_of(text));
	return OUTCOME_DONE;
}

static enum outcome debug_log(struct session *s, const struct request *r) {
	log_report(
		s->env->events,
		&(struct log_event){.id = LOG_EVENT_DEBUG_LOG, .tenant = tenant_name(s->tenant), .bytes = r->argv[2]});
	writer_ok(s->reply);
	return OUTCOME_DONE;
}

#ifdef ATOMDB_TEST_HOOKS
/* Returns the longest piece of work of this worker since the last call: its units, and where it began and ended. */
static enum outcome debug_longest_work(struct session *s, const struct request *r) {
	(void)r;
	writer_array(s->reply, 3);
	writer_integer(s->reply, (int64_t)work_meter.longest);
	writer_integer(s->reply, (int64_t)work_meter_offset(work_meter.longest_from));
	writer_integer(s->reply, (int64_t)work_meter_offset(work_meter.longest_to));
	work_meter_reset();
	return OUTCOME_DONE;
}
#endif

static enum outcome no_client_eviction(struct session *s, const struct request *r) {
	(void)r;
	return reply_error(s, "ERR maxmemory-clients is disabled.");
}

static enum outcome no_cluster(struct session *s, const struct request *r) {
	(void)r;
	return reply_error(s, "ERR Debug option only available for cluster mode enabled setup!");
}

static enum outcome refuse(struct session *s, const struct request *r) {
	writer_errorf(s->reply, "ERR DEBUG %.*s is not possible here", ECHO_TEXT(r->argv[1], ECHO_MAX));
	return OUTCOME_DONE;
}

static enum outcome debug_help(struct session *s, const struct request *r) {
	(void)r;
	static const char *const lines[] = {
		"AOF-FLUSH-SLEEP, CHANGE-REPL-ID, DROP-CLUSTER-PACKET-FILTER, PAUSE-CRON, QUICKLIST-PACKED-THRESHOLD,",
		"REPLICATE, REPLYBUFFER, SET-DISABLE-DENY-SCRIPTS",
		"    Do nothing, because AtomDB lacks the feature.",
		"DIGEST",
		"    Returns a digest of all keys, which equals that of Redis for the same keys.",
		"DIGEST-VALUE <key> [<key> ...]",
		"    Returns a digest of the value of each key.",
		"ERROR <string>",
		"    Returns an error with this text.",
		"HTSTATS <database>",
		"    Returns the size of a database's hash table.",
		"LOG <message>",
		"    Writes a message to the journal.",
		"OBJECT <key>",
		"    Returns the encoding and the serialized length of a value.",
		"POPULATE <count> [<prefix>] [<size>]",
		"    Creates <count> keys prefix:0, prefix:1 and so on. Keys that exist are unchanged.",
		"PROTOCOL <type>",
		"    Returns a value of a type: string, integer, double, bignum, null, array, set,",
		"    map, attrib, push, verbatim, true, false.",
		"RELOAD [<option> ...]",
		"    Does nothing: AtomDB writes no file that it could load.",
		"SDSLEN <key>",
		"    Returns the lengths of a key and its value.",
		"SET-ACTIVE-EXPIRE <0|1>",
		"    Does nothing: no command returns an expired key, even before its memory is freed.",
		"SLEEP <seconds>",
		"    Suspends the commands of the tenant's clients.",
		"STRUCTSIZE",
		"    Returns the sizes of some structures.",
	};
	return reply_help_lines(s, "debug", lines);
}

static const struct debug debugs[] = {
	{"AOF-FLUSH-SLEEP", 3, 3, do_nothing},
	{"ASSERT", 2, 2, refuse},
#ifdef ATOMDB_TEST_HOOKS
	{"BURN", 3, 3, debug_burn},
#endif
	{"CHANGE-REPL-ID", 2, 2, do_nothing},
	{"CLIENT-EVICTION", 2, 2, no_client_eviction},
	{"CLUSTERLINK", 5, 5, no_cluster},
	{"CONFIG-REWRITE-FORCE-ALL", 2, 2, refuse},
	{"CRASH-AND-RECOVER", 2, 3, refuse},
	{"DIGEST", 2, 2, debug_digest},
	{"DIGEST-VALUE", 2, UINT32_MAX, debug_digest_value},
	{"DROP-CLUSTER-PACKET-FILTER", 3, 3, do_nothing},
	{"ERROR", 3, 3, debug_error},
	{"HELP", 2, 2, debug_help},
	{"HTSTATS", 3, 3, debug_htstats},
	{"HTSTATS-KEY", 3, 3, debug_htstats_key},
	{"LEAK", 3, 3, refuse},
	{"LISTPACK", 3, 3, debug_not_encoded},
	{"LOADAOF", 2, 2, refuse},
	{"LOG", 3, 3, debug_log},
#ifdef ATOMDB_TEST_HOOKS
	{"LONGEST-WORK", 2, 2, debug_longest_work},
#endif
	{"MALLCTL", 3, 4, refuse},
	{"MALLCTL-STR", 3, 4, refuse},
	{"OBJECT", 3, 3, debug_object},
	{"OOM", 2, 2, refuse},
	{"PANIC", 2, 2, refuse},
	{"PAUSE-CRON", 3, 3, do_nothing},
	{"POPULATE", 3, 5, debug_populate},
	{"PROTOCOL", 3, 3, debug_protocol},
	{"QUICKLIST", 3, 4, debug_not_encoded},
	{"QUICKLIST-PACKED-THRESHOLD", 3, 3, do_nothing},
	{"RELOAD", 2, UINT32_MAX, debug_reload},
	{"REPLICATE", 3, UINT32_MAX, do_nothing},
	{"REPLYBUFFER", 4, 4, do_nothing},
	{"RESTART", 2, 3, refuse},
	{"SDSLEN", 3, 3, debug_sdslen},
	{"SEGFAULT", 2, 2, refuse},
	{"SET-ACTIVE-EXPIRE", 3, 3, do_nothing},
	{"SET-DISABLE-DENY-SCRIPTS", 3, 3, do_nothing},
	{"SET-SKIP-CHECKSUM-VALIDATION", 3, 3, refuse},
	{"SLEEP", 3, 3, debug_sleep},
	{"STRINGMATCH-TEST", 2, 2, refuse},
	{"STRUCTSIZE", 2, 2, debug_structsize},
};

enum outcome cmd_debug(struct session *s, const struct request *r) {
	if (!s->env->settings.debug)
		return reply_error(s,
				   "ERR DEBUG command not allowed. If the enable-debug-command option is set to "
				   "\"local\", you can run it from a local connection, otherwise you need to set this "
				   "option in the configuration file, and then restart the server.");
	for (size_t i = 0; i < sizeof(debugs) / sizeof(debugs[0]); i++) {
		const struct debug *d = &debugs[i];
		if (slice_is(r->argv[1], d->name) && r->argc >= d->least && r->argc <= d->most)
			return d->run(s, r);
	}
	writer_errorf(s->reply, "ERR unknown subcommand or wrong number of arguments for '%.*s'. Try DEBUG HELP.",
		      ECHO_TEXT(r->argv[1], ECHO_MAX));
	return OUTCOME_DONE;
}
