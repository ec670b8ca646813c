/* DEL, UNLINK, EXISTS, TOUCH, TYPE and RANDOMKEY. */
#include "atomdb/store/tenant.h"
#include "atomdb/store/undo.h"
#include "atomdb/store/value_type.h"
#include "atomdb/store/walk.h"
#include "atomdb/util/error.h"
#include "commands/handlers.h"

enum outcome cmd_generic_del(struct session *s, const struct request *r) {
	int64_t removed = 0;
	size_t work = 0;
	int error = 0;
	if (r->argc > 2) {
		keyspace_begin(s->tenant->shard);
		error = keyspace_reserve(s->tenant, r->argc - 1);
	}
	for (uint32_t i = 1; i < r->argc && error == 0; i++) {
		struct key key = request_key(s, r, i);
		(void)fiber_check_every(&work, 1, CHECK_KEYS);
		struct entry *e = keyspace_find(s->tenant, &key, LOOKUP_PEEK);
		if (e == NULL)
			continue;
		error = keyspace_delete(s->tenant, &key, e);
		if (error != 0)
			break;
		keyspace_event(s, NOTIFY_GENERIC, "del", &key);
		removed++;
	}
	if (r->argc > 2)
		keyspace_commit(s->tenant->shard);
	if (error < 0)
		return reply_store_error(s, error);
	writer_integer(s->reply, removed);
	return OUTCOME_DONE;
}

static enum outcome count_existing(struct session *s, const struct request *r, enum lookup how) {
	int64_t found = 0;
	size_t work = 0;
	for (uint32_t i = 1; i < r->argc && !fiber_check_every(&work, 1, CHECK_KEYS); i++) {
		struct key key = request_key(s, r, i);
		found += keyspace_find(s->tenant, &key, how) != NULL;
	}
	writer_integer(s->reply, found);
	return OUTCOME_DONE;
}

enum outcome cmd_exists(struct session *s, const struct request *r) {
	return count_existing(s, r, LOOKUP_COUNT);
}

enum outcome cmd_touch(struct session *s, const struct request *r) {
	return count_existing(s, r, LOOKUP_READ);
}

enum outcome cmd_type(struct session *s, const struct request *r) {
	struct key key = request_key(s, r, 1);
	const struct entry *e = keyspace_find(s->tenant, &key, LOOKUP_COUNT);
	writer_simple(s->reply, e == NULL ? "none" : value_type_of(s->tenant, e)->name);
	return OUTCOME_DONE;
}

enum outcome cmd_randomkey(struct session *s, const struct request *r) {
	(void)r;
	struct entry *e;
	int found = keyspace_random(s->tenant, s->database, &e);
	if (found == ATOMDB_E_AGAIN)
		return OUTCOME_RETRY;
	if (found < 0)
		return reply_store_error(s, found);
	if (found == 0)
		writer_null(s->reply);
	else
		writer_bulk(s->reply, keyspace_name(e));
	return OUTCOME_DONE;
}
