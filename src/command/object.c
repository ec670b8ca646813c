/* OBJECT: what the server knows of a value beside its bytes. */
#include "command/handlers.h"

/* The entry that a subcommand is about, left as it was; NULL where there is none, which was answered. */
static struct entry *object_find(struct session *s, const struct request *r) {
	struct key key = request_key(s, r, 2);
	struct entry *e = keyspace_find(s->tenant, &key, LOOKUP_PEEK);
	if (e == NULL)
		writer_null(s->reply);
	return e;
}

enum outcome object_encoding(struct session *s, const struct request *r) {
	const struct entry *e = object_find(s, r);
	if (e != NULL)
		writer_bulk(s->reply, slice_of(keyspace_encoding(e)));
	return OUTCOME_DONE;
}

enum outcome object_freq(struct session *s, const struct request *r) {
	if (object_find(s, r) == NULL)
		return OUTCOME_DONE;
	return reply_error(s, "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note "
			      "that when switching between policies at runtime LRU and LFU data will take some time to "
			      "adjust.");
}

enum outcome object_idletime(struct session *s, const struct request *r) {
	const struct entry *e = object_find(s, r);
	if (e != NULL)
		writer_integer(s->reply, keyspace_idle(s->tenant, e));
	return OUTCOME_DONE;
}

/* Values are never shared between keys. */
enum outcome object_refcount(struct session *s, const struct request *r) {
	if (object_find(s, r) != NULL)
		writer_integer(s->reply, 1);
	return OUTCOME_DONE;
}

enum outcome object_help(struct session *s, const struct request *r) {
	(void)r;
	static const char *const lines[] = {
		"ENCODING <key>", "    Tells how the value of a key is stored.",
		"FREQ <key>",     "    Tells how often a key is used; needs a policy that AtomDB does not have.",
		"IDLETIME <key>", "    Tells for how many seconds a key has not been used, at least.",
		"REFCOUNT <key>", "    Tells how many keys share the value.",
	};
	return reply_help_lines(s, "object", lines);
}
