/* DUMP and RESTORE: values that move between servers. */
#include <errno.h>

#include "atomdb/rdb/payload.h"
#include "atomdb/session/options.h"
#include "atomdb/store/tenant.h"
#include "atomdb/util/error.h"
#include "commands/handlers.h"

_Static_assert(RDB_STRING_MAX == STRING_MAX, "a payload holds any value, and no longer one");

enum outcome cmd_dump(struct session *s, const struct request *r) {
	struct key key = request_key(s, r, 1);
	const struct entry *e = keyspace_find(s->tenant, &key, LOOKUP_READ);
	char text[STRING_TEXT];
	if (e == NULL) {
		writer_null(s->reply);
		return OUTCOME_DONE;
	}
	struct slice value = string_value(e, text);
	if (value.len > tenant_scratch_limit(s->tenant) || payload_write(&s->env->scratch, value) != 0)
		return reply_store_error(s, ATOMDB_E_OOM);
	writer_bulk(s->reply, buffer_slice(&s->env->scratch));
	return OUTCOME_DONE;
}

struct restore_options {
	bool replace;
	bool absolute;
	int64_t idle; /* seconds */
};

enum { OPTION_REPLACE = 1 << 0, OPTION_ABSTTL = 1 << 1, OPTION_IDLETIME = 1 << 2, OPTION_FREQ = 1 << 3 };

static const struct command_option options[] = {
	OPTION("replace", .flag = OPTION_REPLACE),
	OPTION("absttl", .flag = OPTION_ABSTTL),
	OPTION("idletime", .flag = OPTION_IDLETIME, .values = 1, .excludes = OPTION_FREQ),
	OPTION("freq", .flag = OPTION_FREQ, .values = 1, .excludes = OPTION_IDLETIME),
};

/* Reads the options from argument 4 on. FREQ must be well formed, but is not kept. False: an error was replied. */
static bool parse_options(struct session *s, const struct request *r, struct restore_options *restore) {
	struct options o = OPTIONS_BEGIN(r, 4, options);
	const struct command_option *option;
	while ((option = options_next(&o)) != NULL) {
		int64_t value;
		if (option->values == 0)
			continue;
		if (!request_integer(s, *o.value, &value))
			return false;
		if (option->flag == OPTION_IDLETIME && value < 0) {
			writer_error(s->reply, "ERR Invalid IDLETIME value, must be >= 0");
			return false;
		}
		if (option->flag == OPTION_FREQ && (value < 0 || value > 255)) {
			writer_error(s->reply, "ERR Invalid FREQ value, must be >= 0 and <= 255");
			return false;
		}
		if (option->flag == OPTION_IDLETIME)
			restore->idle = value;
	}
	restore->replace = (o.seen & OPTION_REPLACE) != 0;
	restore->absolute = (o.seen & OPTION_ABSTTL) != 0;
	if (o.error != OPTIONS_OK)
		reply_syntax_error(s);
	return o.error == OPTIONS_OK;
}

static enum outcome reply_payload_error(struct session *s, int error) {
	if (error == ATOMDB_E_FORMAT)
		return reply_error(s, "ERR DUMP payload version or checksum are wrong");
	if (error == ATOMDB_E_SYNTAX)
		return reply_error(s, "ERR Bad data format");
	return reply_store_error(s, ATOMDB_E_OOM);
}

enum outcome cmd_restore(struct session *s, const struct request *r) {
	struct restore_options restore = {.replace = false};
	if (!parse_options(s, r, &restore))
		return OUTCOME_DONE;
	struct key key = request_key(s, r, 1);
	struct entry *old = keyspace_find(s->tenant, &key, LOOKUP_WRITE);
	if (old != NULL && !restore.replace)
		return reply_error(s, "BUSYKEY Target key name already exists.");
	int64_t ttl;
	if (!request_integer(s, r->argv[2], &ttl))
		return OUTCOME_DONE;
	if (ttl < 0)
		return reply_error(s, "ERR Invalid TTL value, must be >= 0");
	char text[NUMBER_TEXT_MAX];
	struct slice value;
	int error = payload_read(r->argv[3], tenant_scratch_limit(s->tenant), text, &s->env->scratch, &value);
	if (error < 0)
		return reply_payload_error(s, error);
	/* A sum beyond all time lies in the past, as in Redis. */
	if (ttl != 0 && !restore.absolute && __builtin_add_overflow(ttl, session_now(s), &ttl))
		ttl = 1;
	error = string_set(s->tenant, &key, old, value, ttl == 0 ? DEADLINE_NONE : ttl);
	bool past = ttl != 0 && ttl <= session_now(s);
	if (error == 0 && !past) {
		struct entry *e = keyspace_find(s->tenant, &key, LOOKUP_PEEK);
		if (e != NULL && restore.idle != 0)
			keyspace_set_idle(s->tenant, e, restore.idle);
		if (old != NULL)
			keyspace_event_also(s, NOTIFY_NEW, "new", &key);
		keyspace_event(s, NOTIFY_GENERIC, "restore", &key);
	} else if (error == 0 && old != NULL) {
		keyspace_event(s, NOTIFY_GENERIC, "del", &key);
	}
	return reply_result(s, error);
}
