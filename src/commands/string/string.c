/* Commands that read and write whole strings, and APPEND. */
#include "commands/string/string.h"

#include "atomdb/session/options.h"
#include "atomdb/store/set_all.h"
#include "atomdb/store/tenant.h"
#include "atomdb/store/undo.h"
#include "atomdb/util/error.h"
#include "commands/handlers.h"
#include "commands/keys/expire.h"
#include "commands/long.h"

/* Replies with the value of `e`, or null if it is NULL. */
static void reply_value(struct session *s, const struct string *e) {
	char text[STRING_TEXT];
	if (e == NULL)
		writer_null(s->reply);
	else
		writer_bulk(s->reply, string_value(e, text));
}

enum outcome cmd_get(struct session *s, const struct request *r) {
	struct key key;
	struct string *e;
	if (!request_string(s, r, 1, LOOKUP_READ, &key, &e))
		return OUTCOME_DONE;
	if (e == NULL) {
		writer_null(s->reply);
		return OUTCOME_DONE;
	}
	char text[STRING_TEXT];
	struct slice value = string_value(e, text);
	if (__builtin_expect(value.len >= PIN_MIN, 0))
		return reply_large(s, string_entry(e), value);
	writer_bulk(s->reply, value);
	return OUTCOME_DONE;
}

enum outcome cmd_strlen(struct session *s, const struct request *r) {
	struct key key;
	struct string *e;
	char text[STRING_TEXT];
	if (request_string(s, r, 1, LOOKUP_READ, &key, &e))
		writer_integer(s->reply, (int64_t)string_value_or_empty(e, text).len);
	return OUTCOME_DONE;
}

enum option_flag {
	OPTION_NX = 1 << 0,
	OPTION_XX = 1 << 1,
	OPTION_GET = 1 << 2,
	OPTION_KEEPTTL = 1 << 3,
	OPTION_PERSIST = 1 << 4,
	OPTION_EX = 1 << 5,
	OPTION_PX = 1 << 6,
	OPTION_EXAT = 1 << 7,
	OPTION_PXAT = 1 << 8,
	OPTION_TIMES = OPTION_EX | OPTION_PX | OPTION_EXAT | OPTION_PXAT,
	OPTIONS_DEADLINE = OPTION_KEEPTTL | OPTION_PERSIST | OPTION_TIMES,
	OPTIONS_SET = OPTION_NX | OPTION_XX | OPTION_GET | OPTION_KEEPTTL | OPTION_TIMES,
	OPTIONS_GETEX = OPTION_PERSIST | OPTION_TIMES,
};

/* A time option may come twice; the last one counts. The most frequent options come first, for speed. */
static const struct command_option options[] = {
	OPTION("ex", .flag = OPTION_EX, .values = 1, .excludes = OPTIONS_DEADLINE & ~OPTION_EX),
	OPTION("px", .flag = OPTION_PX, .values = 1, .excludes = OPTIONS_DEADLINE & ~OPTION_PX),
	OPTION("nx", .flag = OPTION_NX, .excludes = OPTION_XX),
	OPTION("xx", .flag = OPTION_XX, .excludes = OPTION_NX),
	OPTION("get", .flag = OPTION_GET),
	OPTION("keepttl", .flag = OPTION_KEEPTTL, .excludes = OPTION_TIMES),
	OPTION("persist", .flag = OPTION_PERSIST, .excludes = OPTION_TIMES),
	OPTION("exat", .flag = OPTION_EXAT, .values = 1, .excludes = OPTIONS_DEADLINE & ~OPTION_EXAT),
	OPTION("pxat", .flag = OPTION_PXAT, .values = 1, .excludes = OPTIONS_DEADLINE & ~OPTION_PXAT),
};

/* Reads the options from the argument `first` on: their flags, and the value of the time option. False: a syntax error.
 */
static bool parse_options(const struct request *r, uint32_t first, unsigned allowed, unsigned *flags,
			  struct slice *time) {
	struct options o = OPTIONS_BEGIN(r, first, options);
	const struct command_option *option;
	o.allowed = allowed;
	while ((option = options_next(&o)) != NULL) {
		if (option->values != 0)
			*time = *o.value;
	}
	*flags = o.seen;
	return o.error == OPTIONS_OK;
}

/* Reads the deadline of the time option. False: an error was replied. */
static bool parse_time(struct session *s, const struct request *r, unsigned flags, struct slice time,
		       int64_t *deadline) {
	return expire_parse(s, r, time, flags & (OPTION_EX | OPTION_EXAT) ? UNIT_SECONDS : UNIT_MILLISECONDS,
			    (flags & (OPTION_EXAT | OPTION_PXAT)) != 0, deadline);
}

/* With GET it reads the old value. As in Redis, the value of another option may pass for it. */
uint16_t set_key_flags(const struct slice *argv, uint32_t argc) {
	for (uint32_t i = 3; i < argc; i++) {
		if (slice_is(argv[i], "GET"))
			return KEY_RW | KEY_ACCESS | KEY_UPDATE;
	}
	return KEY_OW | KEY_UPDATE;
}

/* Returns whether the command has to run again on a fiber, because it replies with a large value. The row of SET has no
 * CMD_LONG, which would cost each SET. */
static bool needs_fiber(struct session *s, const struct request *r) {
	const struct session_host *host = s->env->host;
	if (fiber_current != NULL || host == NULL || host->run_long == NULL || (s->flags & SESSION_EXECUTING) ||
	    !long_by_value(s, r))
		return false;
	s->flags |= SESSION_LARGE;
	return true;
}

static enum outcome set_with_options(struct session *s, const struct request *r) {
	unsigned flags;
	struct slice time = {NULL, 0};
	if (!parse_options(r, 3, OPTIONS_SET, &flags, &time))
		return reply_syntax_error(s);
	int64_t deadline = flags & OPTION_KEEPTTL ? DEADLINE_KEEP : DEADLINE_NONE;
	if ((flags & OPTION_TIMES) && !parse_time(s, r, flags, time, &deadline))
		return OUTCOME_DONE;

	struct key key = request_key(s, r, 1);
	struct entry *old;
	size_t mark = s->reply->out->len;
	if (flags & OPTION_GET) {
		if (needs_fiber(s, r))
			return OUTCOME_RETRY;
		struct string *present;
		int error = string_find(s->tenant, &key, LOOKUP_READ, &present);
		if (error < 0)
			return reply_store_error(s, error);
		reply_value(s, present);
		old = string_entry(present);
	} else {
		old = keyspace_find(s->tenant, &key, LOOKUP_WRITE);
	}
	if (((flags & OPTION_NX) && old != NULL) || ((flags & OPTION_XX) && old == NULL)) {
		if (!(flags & OPTION_GET))
			writer_null(s->reply);
		return OUTCOME_DONE;
	}
	if (old == NULL && deadline == DEADLINE_KEEP)
		deadline = DEADLINE_NONE;
	int error = string_set(s->tenant, &key, old, r->argv[2], deadline);
	if (error == 0) {
		keyspace_event(s, NOTIFY_STRING, "set", &key);
		if (flags & OPTION_TIMES)
			keyspace_event_also(s, NOTIFY_GENERIC, "expire", &key);
		if ((flags & OPTION_TIMES) && deadline <= session_now(s))
			keyspace_event_also(s, NOTIFY_EXPIRED, "expired", &key);
	}
	if (!(flags & OPTION_GET))
		return reply_result(s, error);
	if (error < 0) {
		reply_rewind(s, mark);
		return reply_store_error(s, error);
	}
	return OUTCOME_DONE;
}

enum outcome cmd_set(struct session *s, const struct request *r) {
	if (__builtin_expect(r->argc != 3, 0))
		return set_with_options(s, r);
	struct key key = request_key(s, r, 1);
	struct entry *old = keyspace_find(s->tenant, &key, LOOKUP_WRITE);
	int error = string_set(s->tenant, &key, old, r->argv[2], DEADLINE_NONE);
	if (__builtin_expect(error == 0, 1))
		keyspace_event(s, NOTIFY_STRING, "set", &key);
	return reply_result(s, error);
}

enum outcome cmd_setnx(struct session *s, const struct request *r) {
	struct key key = request_key(s, r, 1);
	struct entry *old = keyspace_find(s->tenant, &key, LOOKUP_WRITE);
	int error = old != NULL ? 0 : string_set(s->tenant, &key, NULL, r->argv[2], DEADLINE_NONE);
	if (error < 0)
		return reply_store_error(s, error);
	if (old == NULL)
		keyspace_event(s, NOTIFY_STRING, "set", &key);
	writer_integer(s->reply, old == NULL);
	return OUTCOME_DONE;
}

static enum outcome set_expiring(struct session *s, const struct request *r, enum expire_unit unit) {
	int64_t deadline;
	if (!expire_parse(s, r, r->argv[2], unit, false, &deadline))
		return OUTCOME_DONE;
	struct key key = request_key(s, r, 1);
	struct entry *old = keyspace_find(s->tenant, &key, LOOKUP_WRITE);
	int error = string_set(s->tenant, &key, old, r->argv[3], deadline);
	if (error == 0) {
		keyspace_event(s, NOTIFY_STRING, "set", &key);
		keyspace_event_also(s, NOTIFY_GENERIC, "expire", &key);
	}
	return reply_result(s, error);
}

enum outcome cmd_setex(struct session *s, const struct request *r) {
	return set_expiring(s, r, UNIT_SECONDS);
}

enum outcome cmd_psetex(struct session *s, const struct request *r) {
	return set_expiring(s, r, UNIT_MILLISECONDS);
}

enum outcome cmd_getset(struct session *s, const struct request *r) {
	struct key key;
	struct string *old;
	if (!request_string(s, r, 1, LOOKUP_READ, &key, &old))
		return OUTCOME_DONE;
	size_t mark = s->reply->out->len;
	reply_value(s, old);
	int error = string_set(s->tenant, &key, string_entry(old), r->argv[2], DEADLINE_NONE);
	if (error < 0) {
		reply_rewind(s, mark);
		return reply_store_error(s, error);
	}
	keyspace_event(s, NOTIFY_STRING, "set", &key);
	return OUTCOME_DONE;
}

enum outcome cmd_getdel(struct session *s, const struct request *r) {
	struct key key;
	struct string *e;
	if (!request_string(s, r, 1, LOOKUP_READ, &key, &e))
		return OUTCOME_DONE;
	size_t mark = s->reply->out->len;
	reply_value(s, e);
	if (e == NULL)
		return OUTCOME_DONE;
	int error = keyspace_delete(s->tenant, &key, string_entry(e));
	if (error < 0) {
		reply_rewind(s, mark);
		return reply_store_error(s, error);
	}
	keyspace_event(s, NOTIFY_GENERIC, "del", &key);
	return OUTCOME_DONE;
}

enum outcome cmd_getex(struct session *s, const struct request *r) {
	unsigned flags;
	struct slice time = {NULL, 0};
	if (!parse_options(r, 2, OPTIONS_GETEX, &flags, &time))
		return reply_syntax_error(s);
	struct key key;
	struct string *string;
	if (!request_string(s, r, 1, LOOKUP_READ, &key, &string))
		return OUTCOME_DONE;
	struct entry *e = string_entry(string);
	if (e == NULL) {
		writer_null(s->reply);
		return OUTCOME_DONE;
	}
	int64_t deadline = DEADLINE_NONE;
	if ((flags & OPTION_TIMES) && !parse_time(s, r, flags, time, &deadline))
		return OUTCOME_DONE;
	size_t mark = s->reply->out->len;
	reply_value(s, string);
	if ((flags & OPTION_TIMES) && deadline <= session_now(s)) {
		keyspace_delete(s->tenant, &key, e);
		keyspace_event(s, NOTIFY_GENERIC, "del", &key);
	} else if ((flags & OPTION_TIMES) || ((flags & OPTION_PERSIST) && keyspace_deadline(e) != 0)) {
		int error = keyspace_expire(s->tenant, &key, e, deadline);
		if (error < 0) {
			reply_rewind(s, mark);
			return reply_store_error(s, error);
		}
		keyspace_event(s, NOTIFY_GENERIC, flags & OPTION_PERSIST ? "persist" : "expire", &key);
	}
	return OUTCOME_DONE;
}

enum outcome cmd_mget(struct session *s, const struct request *r) {
	size_t work = 0;
	writer_array(s->reply, r->argc - 1);
	for (uint32_t i = 1; i < r->argc && !s->reply->failed; i++) {
		struct key key = request_key(s, r, i);
		struct string *e;
		int error = string_find(s->tenant, &key, LOOKUP_READ, &e);
		reply_value(s, error == 0 ? e : NULL);
		if (fiber_check_every(&work, 1, CHECK_KEYS))
			break;
	}
	return OUTCOME_DONE;
}

static void tell_set(void *context, const struct key *key) {
	keyspace_event(context, NOTIFY_STRING, "set", key);
}

/* Sets all pairs of keys and values, or none. */
static int set_all(struct session *s, const struct request *r) {
	return string_set_all(s->tenant, s->db_slot, r->argv + 1, r->argc / 2, tell_set, s);
}

enum outcome cmd_mset(struct session *s, const struct request *r) {
	if (r->argc % 2 == 0)
		return reply_error(s, "ERR wrong number of arguments for 'mset' command");
	int error = set_all(s, r);
	if (error < 0)
		return reply_store_error(s, error);
	writer_ok(s->reply);
	return OUTCOME_DONE;
}

enum outcome cmd_msetnx(struct session *s, const struct request *r) {
	if (r->argc % 2 == 0)
		return reply_error(s, "ERR wrong number of arguments for 'msetnx' command");
	size_t work = 0;
	for (uint32_t i = 1; i < r->argc; i += 2) {
		struct key key = request_key(s, r, i);
		(void)fiber_check_every(&work, 1, CHECK_KEYS);
		if (keyspace_find(s->tenant, &key, LOOKUP_WRITE) == NULL)
			continue;
		writer_integer(s->reply, 0);
		return OUTCOME_DONE;
	}
	int error = set_all(s, r);
	if (error < 0)
		return reply_store_error(s, error);
	writer_integer(s->reply, 1);
	return OUTCOME_DONE;
}

enum outcome cmd_append(struct session *s, const struct request *r) {
	struct key key;
	struct slice more = r->argv[2];
	struct string *old;
	if (!request_string(s, r, 1, LOOKUP_WRITE, &key, &old))
		return OUTCOME_DONE;
	if (old == NULL) {
		int error = string_set(s->tenant, &key, NULL, more, DEADLINE_NONE);
		if (error < 0)
			return reply_store_error(s, error);
		keyspace_event(s, NOTIFY_STRING, "append", &key);
		writer_integer(s->reply, (int64_t)more.len);
		return OUTCOME_DONE;
	}
	char text[STRING_TEXT];
	size_t length = string_value(old, text).len;
	if (more.len > STRING_MAX - length)
		return reply_too_long(s);
	char *bytes;
	int error = string_resize(s->tenant, &key, old, length + more.len, (struct span){length, more.len}, &bytes);
	if (error < 0)
		return reply_store_error(s, error);
	fiber_copy(bytes + length, more.data, more.len);
	keyspace_commit(s->tenant->shard);
	keyspace_event(s, NOTIFY_STRING, "append", &key);
	writer_integer(s->reply, (int64_t)(length + more.len));
	return OUTCOME_DONE;
}
