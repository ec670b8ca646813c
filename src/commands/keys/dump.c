/* DUMP and RESTORE. */
#include "atomdb/rdb/payload.h"
#include "atomdb/session/options.h"
#include "atomdb/store/tenant.h"
#include "atomdb/store/value_type.h"
#include "atomdb/util/error.h"
#include "commands/handlers.h"

static struct value_room room_of(struct session *s) {
	return (struct value_room){&s->env->scratch, tenant_scratch_limit(s->tenant)};
}

enum outcome cmd_dump(struct session *s, const struct request *r) {
	struct key key = request_key(s, r, 1);
	const struct entry *e = keyspace_find(s->tenant, &key, LOOKUP_READ);
	if (e == NULL) {
		writer_null(s->reply);
		return OUTCOME_DONE;
	}
	struct value_room room = room_of(s);
	int error = value_type_of(s->tenant, e)->dump(s->tenant, e, room);
	if (error == 0 && payload_seal(room.buffer, 0) != 0)
		error = ATOMDB_E_OOM;
	if (error < 0)
		return reply_store_error(s, error);
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

/* Sets a key to the value of a payload. `old`: its present entry, or NULL. */
static int restore(struct session *s, const struct key *key, struct entry *old, struct slice bytes, int64_t deadline) {
	struct payload payload;
	int error = payload_open(bytes, &payload);
	if (error != 0)
		return error;
	const struct value_type *type = value_type_for_rdb(s->tenant, payload.type);
	if (type == NULL)
		return ATOMDB_E_SYNTAX;
	return type->restore(s->tenant, key, old, deadline, &payload, room_of(s));
}

static enum outcome reply_payload_error(struct session *s, int error) {
	if (error == ATOMDB_E_FORMAT)
		return reply_error(s, "ERR DUMP payload version or checksum are wrong");
	if (error == ATOMDB_E_SYNTAX)
		return reply_error(s, "ERR Bad data format");
	return reply_store_error(s, ATOMDB_E_OOM);
}

enum outcome cmd_restore(struct session *s, const struct request *r) {
	struct restore_options wanted = {.replace = false};
	if (!parse_options(s, r, &wanted))
		return OUTCOME_DONE;
	struct key key = request_key(s, r, 1);
	struct entry *old = keyspace_find(s->tenant, &key, LOOKUP_WRITE);
	if (old != NULL && !wanted.replace)
		return reply_error(s, "BUSYKEY Target key name already exists.");
	int64_t ttl;
	if (!request_integer(s, r->argv[2], &ttl))
		return OUTCOME_DONE;
	if (ttl < 0)
		return reply_error(s, "ERR Invalid TTL value, must be >= 0");
	/* A sum that overflows lies in the past, as in Redis. */
	if (ttl != 0 && !wanted.absolute && __builtin_add_overflow(ttl, session_now(s), &ttl))
		ttl = 1;
	int error = restore(s, &key, old, r->argv[3], ttl == 0 ? DEADLINE_NONE : ttl);
	if (error < 0)
		return reply_payload_error(s, error);
	bool past = ttl != 0 && ttl <= session_now(s);
	if (!past) {
		struct entry *e = keyspace_find(s->tenant, &key, LOOKUP_PEEK);
		if (e != NULL && wanted.idle != 0)
			keyspace_set_idle(s->tenant, e, wanted.idle);
		if (old != NULL)
			keyspace_event_also(s, NOTIFY_NEW, "new", &key);
		keyspace_event(s, NOTIFY_GENERIC, "restore", &key);
	} else if (old != NULL) {
		keyspace_event(s, NOTIFY_GENERIC, "del", &key);
	}
	writer_ok(s->reply);
	return OUTCOME_DONE;
}
