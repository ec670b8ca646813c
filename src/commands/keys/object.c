/* OBJECT: facts about a value.
 *
 * Unlike Redis, FREQ also works without an LFU policy. redis-cli --hotkeys asks for it for each key. */
#include "atomdb/session/hotkeys.h"
#include "atomdb/store/value_type.h"
#include "commands/handlers.h"

/* Finds the entry of a subcommand without touching it. NULL: there is none, and null was replied. */
static struct entry *object_find(struct session *s, const struct request *r) {
	struct key key = request_key(s, r, 2);
	struct entry *e = keyspace_find(s->tenant, &key, LOOKUP_PEEK);
	if (e == NULL)
		writer_null(s->reply);
	return e;
}

enum outcome cmd_object_encoding(struct session *s, const struct request *r) {
	const struct entry *e = object_find(s, r);
	if (e != NULL)
		writer_bulk(s->reply, slice_of(value_type_of(s->tenant, e)->encoding(e)));
	return OUTCOME_DONE;
}

enum outcome cmd_object_freq(struct session *s, const struct request *r) {
	struct key key = request_key(s, r, 2);
	if (object_find(s, r) != NULL)
		writer_integer(s->reply, hotkeys_frequency(s->tenant, &key));
	return OUTCOME_DONE;
}

enum outcome cmd_object_idletime(struct session *s, const struct request *r) {
	const struct entry *e = object_find(s, r);
	if (e != NULL)
		writer_integer(s->reply, keyspace_idle(s->tenant, e));
	return OUTCOME_DONE;
}

/* No two keys share a value. */
enum outcome cmd_object_refcount(struct session *s, const struct request *r) {
	if (object_find(s, r) != NULL)
		writer_integer(s->reply, 1);
	return OUTCOME_DONE;
}

enum outcome cmd_object_help(struct session *s, const struct request *r) {
	(void)r;
	static const char *const lines[] = {
		"ENCODING <key>",
		"    Returns the encoding of a value.",
		"FREQ <key>",
		"    Returns the access frequency of a hot key as an LFU counter, 0 to 255, and 0 for other keys.",
		"IDLETIME <key>",
		"    Returns the seconds since a key was last used, rounded down in steps of 262 seconds.",
		"REFCOUNT <key>",
		"    Returns the reference count of a value, which is always 1.",
	};
	return reply_help_lines(s, "object", lines);
}
