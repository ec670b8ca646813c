/* DBSIZE, FLUSHDB and FLUSHALL. */
#include "atomdb/store/drop.h"
#include "atomdb/store/tenant.h"
#include "atomdb/store/walk.h"
#include "atomdb/util/error.h"
#include "commands/handlers.h"

enum outcome cmd_dbsize(struct session *s, const struct request *r) {
	(void)r;
	uint64_t keys;
	int error = keyspace_size(s->tenant, s->database, &keys, NULL);
	if (error == ATOMDB_E_AGAIN)
		return OUTCOME_RETRY;
	if (error < 0)
		return reply_store_error(s, error);
	writer_integer(s->reply, (int64_t)keys);
	return OUTCOME_DONE;
}

/* Both kinds of flush take effect at once, and free memory in slices. */
static enum outcome flush(struct session *s, const struct request *r, unsigned database) {
	if (r->argc > 2 || (r->argc == 2 && !slice_is(r->argv[1], "SYNC") && !slice_is(r->argv[1], "ASYNC")))
		return reply_syntax_error(s);
	const struct tenant_counters *f = &s->tenant->counters;
	uint64_t keys = counter_get(database == TENANT_DATABASES ? &f->keys : &f->db_keys[database]);
	int error = keyspace_flush(s->tenant, database);
	if (error < 0)
		return reply_store_error(s, error);
	s->tenant->clients.changes += keys;
	writer_ok(s->reply);
	return OUTCOME_DONE;
}

enum outcome cmd_flushdb(struct session *s, const struct request *r) {
	return flush(s, r, s->database);
}

enum outcome cmd_flushall(struct session *s, const struct request *r) {
	return flush(s, r, TENANT_DATABASES);
}
