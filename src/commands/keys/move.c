/* Commands that move or copy a value to another key or database. */
#include "atomdb/session/options.h"
#include "atomdb/store/relocate.h"
#include "commands/handlers.h"

/* Reads the number of a database. False: an error was replied. */
static bool parse_database(struct session *s, struct slice text, unsigned *database) {
	int64_t index;
	if (!request_integer(s, text, &index))
		return false;
	if (index < INT32_MIN || index > INT32_MAX) {
		writer_error(s->reply, "ERR value is out of range, value must between -2147483648 and 2147483647");
		return false;
	}
	if (index < 0 || index >= TENANT_DATABASES) {
		writer_error(s->reply, "ERR DB index is out of range");
		return false;
	}
	*database = (unsigned)index;
	return true;
}

static enum outcome reply_same(struct session *s) {
	return reply_error(s, "ERR source and destination objects are the same");
}

/* Renames a key. `*moved`: the key has the new name now, which is always so if `replace` is set. False: an error was
 * replied. */
static bool rename_key(struct session *s, const struct request *r, bool replace, bool *moved) {
	struct key from = request_key(s, r, 1), to = request_key(s, r, 2);
	struct entry *e = keyspace_find(s->tenant, &from, LOOKUP_WRITE);
	if (e == NULL) {
		writer_error(s->reply, "ERR no such key");
		return false;
	}
	*moved = replace;
	if (slice_equal(from.name, to.name))
		return true;
	struct entry *old = keyspace_find(s->tenant, &to, LOOKUP_WRITE);
	if (old != NULL && !replace)
		return true;
	int error = keyspace_move(s->tenant, &from, e, &to, old);
	*moved = true;
	if (error < 0) {
		reply_store_error(s, error);
		return false;
	}
	if (old != NULL)
		keyspace_event_also(s, NOTIFY_NEW, "new", &to);
	keyspace_event_also(s, NOTIFY_GENERIC, "rename_from", &from);
	keyspace_event(s, NOTIFY_GENERIC, "rename_to", &to);
	return true;
}

enum outcome cmd_rename(struct session *s, const struct request *r) {
	bool moved;
	if (rename_key(s, r, true, &moved))
		writer_ok(s->reply);
	return OUTCOME_DONE;
}

enum outcome cmd_renamenx(struct session *s, const struct request *r) {
	bool moved;
	if (rename_key(s, r, false, &moved))
		writer_integer(s->reply, moved);
	return OUTCOME_DONE;
}

enum outcome cmd_move(struct session *s, const struct request *r) {
	unsigned database;
	if (!parse_database(s, r->argv[2], &database))
		return OUTCOME_DONE;
	if (database == s->database)
		return reply_same(s);
	struct key from = request_key(s, r, 1), to = from;
	to.db_slot = keyspace_db_slot(s->tenant, database);
	struct entry *e = keyspace_find(s->tenant, &from, LOOKUP_WRITE);
	int error = 0;
	bool moved = e != NULL && keyspace_find(s->tenant, &to, LOOKUP_WRITE) == NULL;
	if (moved)
		error = keyspace_move(s->tenant, &from, e, &to, NULL);
	if (error < 0)
		return reply_store_error(s, error);
	if (moved) {
		keyspace_event_also(s, NOTIFY_GENERIC, "move_from", &from);
		keyspace_event(s, NOTIFY_GENERIC, "move_to", &to);
	}
	writer_integer(s->reply, moved);
	return OUTCOME_DONE;
}

enum { OPTION_REPLACE = 1 << 0, OPTION_DB = 1 << 1 };

static const struct command_option copy_options[] = {
	OPTION("replace", .flag = OPTION_REPLACE),
	OPTION("db", .flag = OPTION_DB, .values = 1),
};

enum outcome cmd_copy(struct session *s, const struct request *r) {
	unsigned database = s->database;
	struct options o = OPTIONS_BEGIN(r, 3, copy_options);
	const struct command_option *option;
	while ((option = options_next(&o)) != NULL) {
		if (option->flag == OPTION_DB && !parse_database(s, *o.value, &database))
			return OUTCOME_DONE;
	}
	if (o.error != OPTIONS_OK)
		return reply_syntax_error(s);
	bool replace = (o.seen & OPTION_REPLACE) != 0;
	if (database == s->database && slice_equal(r->argv[1], r->argv[2]))
		return reply_same(s);
	struct key from = request_key(s, r, 1), to = request_key(s, r, 2);
	to.db_slot = keyspace_db_slot(s->tenant, database);
	struct entry *e = keyspace_find(s->tenant, &from, LOOKUP_READ);
	struct entry *old = e == NULL ? NULL : keyspace_find(s->tenant, &to, LOOKUP_WRITE);
	bool copied = e != NULL && (old == NULL || replace);
	int error = copied ? keyspace_copy(s->tenant, e, &to, old) : 0;
	if (error < 0)
		return reply_store_error(s, error);
	if (copied && old != NULL)
		keyspace_event_also(s, NOTIFY_NEW, "new", &to);
	if (copied)
		keyspace_event(s, NOTIFY_GENERIC, "copy_to", &to);
	writer_integer(s->reply, copied);
	return OUTCOME_DONE;
}
