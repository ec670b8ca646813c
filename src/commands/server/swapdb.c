/* SWAPDB. */
#include "atomdb/events/tracking.h"
#include "atomdb/events/watched.h"
#include "atomdb/store/relocate.h"
#include "commands/handlers.h"

/* Reads the number of a database for SWAPDB. */
static bool parse_swapped(struct session *s, struct slice text, const char *error, int64_t *index) {
	if (number_parse(text, index) && *index >= INT32_MIN && *index <= INT32_MAX)
		return true;
	writer_error(s->reply, error);
	return false;
}

enum outcome cmd_swapdb(struct session *s, const struct request *r) {
	int64_t a, b;
	if (!parse_swapped(s, r->argv[1], "ERR invalid first DB index", &a) ||
	    !parse_swapped(s, r->argv[2], "ERR invalid second DB index", &b))
		return OUTCOME_DONE;
	if (a < 0 || a >= TENANT_DATABASES || b < 0 || b >= TENANT_DATABASES)
		return reply_error(s, "ERR DB index is out of range");
	watched_swap(s->tenant, (unsigned)a, (unsigned)b);
	int error = keyspace_swap(s->tenant, (unsigned)a, (unsigned)b);
	if (error < 0)
		return reply_store_error(s, error);
	s->tenant->clients.changes++;
	if (a != b && s->tenant->clients.subscriptions != NULL)
		tracking_swapped(s->tenant->clients.subscriptions);
	for (struct list *link = s->tenant->clients.sessions.next; link != &s->tenant->clients.sessions;
	     link = link->next) {
		struct session *other = list_entry(link, struct session, tenant_link);
		session_select(other, other->database);
	}
	writer_ok(s->reply);
	return OUTCOME_DONE;
}
