/* SORT and SORT_RO. There are no lists, sets or sorted sets: a key that exists cannot be sorted, another one is empty.
 */
#include "commands/keys/sort.h"

#include "atomdb/session/options.h"
#include "atomdb/util/error.h"
#include "commands/handlers.h"

enum { OPTION_OTHER = 1 << 0, OPTION_LIMIT = 1 << 1, OPTION_STORE = 1 << 2 };

static const struct command_option options[] = {
	OPTION("asc", .flag = OPTION_OTHER),
	OPTION("desc", .flag = OPTION_OTHER),
	OPTION("alpha", .flag = OPTION_OTHER),
	OPTION("limit", .flag = OPTION_LIMIT, .values = 2),
	OPTION("store", .flag = OPTION_STORE, .values = 1),
	OPTION("by", .flag = OPTION_OTHER, .values = 1),
	OPTION("get", .flag = OPTION_OTHER, .values = 1),
};
#define OPTION_COUNT (sizeof(options) / sizeof(options[0]))

/* Reads the options; `*store` is the argument of STORE, or 0. False: an error was replied. */
static bool parse_options(struct session *s, const struct request *r, bool may_store, uint32_t *store) {
	struct options o = OPTIONS_BEGIN(r, 2, options);
	const struct command_option *option;
	size_t work = 0;
	o.allowed = may_store ? UINT32_MAX : ~(uint32_t)OPTION_STORE;
	while ((option = options_next(&o)) != NULL) {
		int64_t ignored;
		(void)fiber_check_every(&work, 1, CHECK_KEYS);
		if (option->flag == OPTION_STORE)
			*store = (uint32_t)(o.value - r->argv);
		else if (option->flag == OPTION_LIMIT &&
			 (!request_integer(s, o.value[0], &ignored) || !request_integer(s, o.value[1], &ignored)))
			return false;
	}
	if (o.error != OPTIONS_OK)
		reply_syntax_error(s);
	return o.error == OPTIONS_OK;
}

/* The last STORE counts, as in the command itself. */
uint32_t sort_store_key(const struct slice *argv, uint32_t argc) {
	uint32_t found = 0;
	for (uint32_t i = 2; i < argc; i++) {
		const struct command_option *option = options_find(options, OPTION_COUNT, argv[i]);
		if (option == NULL)
			continue;
		if (option->flag == OPTION_STORE && i + 1 < argc)
			found = i + 1;
		i += option->values;
	}
	return found;
}

static enum outcome sort(struct session *s, const struct request *r, bool may_store) {
	uint32_t store = 0;
	if (!parse_options(s, r, may_store, &store))
		return OUTCOME_DONE;
	struct key key = request_key(s, r, 1);
	if (keyspace_find(s->tenant, &key, LOOKUP_READ) != NULL)
		return reply_store_error(s, ATOMDB_E_WRONGTYPE);
	if (store == 0) {
		writer_array(s->reply, 0);
		return OUTCOME_DONE;
	}
	struct key destination = request_key(s, r, store);
	struct entry *old = keyspace_find(s->tenant, &destination, LOOKUP_PEEK);
	if (old != NULL) {
		int error = keyspace_delete(s->tenant, &destination, old);
		if (error < 0)
			return reply_store_error(s, error);
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
