/* SORT and SORT_RO. There are no lists, sets or sorted sets: what is there cannot be sorted, what is not is empty. */
#include "commands/keys/sort.h"

#include "commands/handlers.h"

/* What may come behind the key. */
static const struct sort_option {
	const char *name;
	unsigned values;
} options[] = {
	{"ASC", 0}, {"DESC", 0}, {"ALPHA", 0}, {"LIMIT", 2}, {"STORE", 1}, {"BY", 1}, {"GET", 1},
};

/* Reads the options; `*store` is the argument of STORE, 0 where there is none. False: an error was answered. */
static bool parse_options(struct session *s, const struct request *r, bool may_store, uint32_t *store) {
	for (uint32_t i = 2; i < r->argc; i++) {
		const struct sort_option *o = NULL;
		for (size_t k = 0; k < sizeof(options) / sizeof(options[0]) && o == NULL; k++) {
			if (slice_is(r->argv[i], options[k].name))
				o = &options[k];
		}
		bool storing = o != NULL && slice_is(r->argv[i], "STORE");
		if (o == NULL || r->argc - i - 1 < o->values || (storing && !may_store)) {
			reply_syntax_error(s);
			return false;
		}
		for (unsigned k = 1; k <= o->values && o->values == 2; k++) {
			int64_t ignored;
			if (!request_integer(s, r->argv[i + k], &ignored))
				return false;
		}
		if (storing)
			*store = i + 1;
		i += o->values;
	}
	return true;
}

uint32_t sort_destination(const struct slice *argv, uint32_t argc) {
	uint32_t found = 0;
	for (uint32_t i = 2; i < argc; i++) {
		for (size_t k = 0; k < sizeof(options) / sizeof(options[0]); k++) {
			if (!slice_is(argv[i], options[k].name))
				continue;
			if (slice_is(argv[i], "STORE") && i + 1 < argc)
				found = i + 1;
			i += options[k].values;
			break;
		}
	}
	return found;
}

static enum outcome sort(struct session *s, const struct request *r, bool may_store) {
	uint32_t store = 0;
	if (!parse_options(s, r, may_store, &store))
		return OUTCOME_DONE;
	struct key key = request_key(s, r, 1);
	if (keyspace_find(s->tenant, &key, LOOKUP_READ) != NULL)
		return reply_error(s, "WRONGTYPE Operation against a key holding the wrong kind of value");
	if (store == 0) {
		writer_array(s->reply, 0);
		return OUTCOME_DONE;
	}
	struct key destination = request_key(s, r, store);
	struct entry *old = keyspace_find(s->tenant, &destination, LOOKUP_PEEK);
	if (old != NULL) {
		keyspace_delete(s->tenant, &destination, old);
		keyspace_event(s, NOTIFY_GENERIC, "del", &destination);
	}
	writer_integer(s->reply, 0);
	return OUTCOME_DONE;
}

enum outcome cmd_sort(struct session *s, const struct request *r) {
	return sort(s, r, true);
}

enum outcome cmd_sort_ro(struct session *s, const struct request *r) {
	return sort(s, r, false);
}
