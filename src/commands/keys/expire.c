/* Commands for the deadlines of keys. */
#include "commands/keys/expire.h"

#include "atomdb/session/options.h"
#include "commands/handlers.h"

static bool fail_time(struct session *s, const struct request *r) {
	writer_errorf(s->reply, "ERR invalid expire time in '%s' command", r->command->name);
	return false;
}

bool expire_parse(struct session *s, const struct request *r, struct slice text, enum expire_unit unit, bool absolute,
		  int64_t *deadline) {
	int64_t value;
	if (!request_integer(s, text, &value))
		return false;
	if (value <= 0 || (unit == UNIT_SECONDS && __builtin_mul_overflow(value, 1000, &value)))
		return fail_time(s, r);
	if (!absolute && __builtin_add_overflow(value, session_now(s), &value))
		return fail_time(s, r);
	*deadline = value;
	return true;
}

enum condition { IF_NX = 1 << 0, IF_XX = 1 << 1, IF_GT = 1 << 2, IF_LT = 1 << 3 };

static const struct command_option conditions_table[] = {
	OPTION("nx", .flag = IF_NX),
	OPTION("xx", .flag = IF_XX),
	OPTION("gt", .flag = IF_GT),
	OPTION("lt", .flag = IF_LT),
};

/* Reads NX, XX, GT and LT from argument 3 on. False: an error was replied. */
static bool parse_conditions(struct session *s, const struct request *r, unsigned *conditions) {
	struct options o = OPTIONS_BEGIN(r, 3, conditions_table);
	while (options_next(&o) != NULL)
		;
	if (o.error != OPTIONS_OK) {
		writer_errorf(s->reply, "ERR Unsupported option %.*s", ECHO_TEXT(r->argv[o.next], ECHO_LONG));
		return false;
	}
	if ((o.seen & IF_NX) && (o.seen & ~(unsigned)IF_NX)) {
		writer_error(s->reply, "ERR NX and XX, GT or LT options at the same time are not compatible");
		return false;
	}
	if ((o.seen & IF_GT) && (o.seen & IF_LT)) {
		writer_error(s->reply, "ERR GT and LT options at the same time are not compatible");
		return false;
	}
	*conditions = o.seen;
	return true;
}

/* A key without a deadline (0) counts as one with an infinite deadline. */
static bool conditions_met(unsigned conditions, int64_t current, int64_t deadline) {
	if ((conditions & IF_NX) && current != 0)
		return false;
	if ((conditions & IF_XX) && current == 0)
		return false;
	if ((conditions & IF_GT) && (current == 0 || deadline <= current))
		return false;
	if ((conditions & IF_LT) && current != 0 && deadline >= current)
		return false;
	return true;
}

static enum outcome expire(struct session *s, const struct request *r, enum expire_unit unit, bool absolute) {
	unsigned conditions;
	int64_t deadline;
	if (!parse_conditions(s, r, &conditions) || !request_integer(s, r->argv[2], &deadline))
		return OUTCOME_DONE;
	/* A time in the past is allowed and deletes the key. Only an overflow is an error. */
	if ((unit == UNIT_SECONDS && __builtin_mul_overflow(deadline, 1000, &deadline)) ||
	    (!absolute && __builtin_add_overflow(deadline, session_now(s), &deadline))) {
		fail_time(s, r);
		return OUTCOME_DONE;
	}
	struct key key = request_key(s, r, 1);
	struct entry *e = keyspace_find(s->tenant, &key, LOOKUP_WRITE);
	if (e == NULL || !conditions_met(conditions, keyspace_deadline(e), deadline)) {
		writer_integer(s->reply, 0);
		return OUTCOME_DONE;
	}
	bool past = deadline <= session_now(s);
	int error = past ? keyspace_delete(s->tenant, &key, e) : keyspace_expire(s->tenant, &key, e, deadline);
	if (error < 0)
		return reply_store_error(s, error);
	keyspace_event(s, NOTIFY_GENERIC, past ? "del" : "expire", &key);
	writer_integer(s->reply, 1);
	return OUTCOME_DONE;
}

enum outcome cmd_expire(struct session *s, const struct request *r) {
	return expire(s, r, UNIT_SECONDS, false);
}

enum outcome cmd_pexpire(struct session *s, const struct request *r) {
	return expire(s, r, UNIT_MILLISECONDS, false);
}

enum outcome cmd_expireat(struct session *s, const struct request *r) {
	return expire(s, r, UNIT_SECONDS, true);
}

enum outcome cmd_pexpireat(struct session *s, const struct request *r) {
	return expire(s, r, UNIT_MILLISECONDS, true);
}

static enum outcome reply_ttl(struct session *s, const struct request *r, enum expire_unit unit, bool absolute) {
	struct key key = request_key(s, r, 1);
	const struct entry *e = keyspace_find(s->tenant, &key, LOOKUP_COUNT);
	int64_t deadline = e == NULL ? 0 : keyspace_deadline(e);
	if (deadline == 0) {
		writer_integer(s->reply, e == NULL ? -2 : -1);
		return OUTCOME_DONE;
	}
	int64_t value = absolute ? deadline : deadline - session_now(s);
	if (value < 0)
		value = 0;
	if (unit == UNIT_SECONDS) /* rounded, without a sum that could overflow */
		value = value / 1000 + (value % 1000 >= 500);
	writer_integer(s->reply, value);
	return OUTCOME_DONE;
}

enum outcome cmd_ttl(struct session *s, const struct request *r) {
	return reply_ttl(s, r, UNIT_SECONDS, false);
}

enum outcome cmd_pttl(struct session *s, const struct request *r) {
	return reply_ttl(s, r, UNIT_MILLISECONDS, false);
}

enum outcome cmd_expiretime(struct session *s, const struct request *r) {
	return reply_ttl(s, r, UNIT_SECONDS, true);
}

enum outcome cmd_pexpiretime(struct session *s, const struct request *r) {
	return reply_ttl(s, r, UNIT_MILLISECONDS, true);
}

enum outcome cmd_persist(struct session *s, const struct request *r) {
	struct key key = request_key(s, r, 1);
	struct entry *e = keyspace_find(s->tenant, &key, LOOKUP_WRITE);
	if (e == NULL || keyspace_deadline(e) == 0) {
		writer_integer(s->reply, 0);
		return OUTCOME_DONE;
	}
	int error = keyspace_expire(s->tenant, &key, e, DEADLINE_NONE);
	if (error < 0)
		return reply_store_error(s, error);
	keyspace_event(s, NOTIFY_GENERIC, "persist", &key);
	writer_integer(s->reply, 1);
	return OUTCOME_DONE;
}
