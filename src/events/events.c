#include "atomdb/events/events.h"

#include "atomdb/events/keyspace_events.h"
#include "atomdb/events/tracking.h"
#include "atomdb/events/watched.h"

void events_key_changed(struct tenant *t, enum change what, unsigned database, struct slice name) {
	struct subscriptions *h = t->clients.subscriptions;
	if (what == CHANGE_FLUSH) {
		watched_flush(h, database);
		tracking_flushed(h);
		return;
	}
	h->push.unplanned = what == CHANGE_EXPIRED || what == CHANGE_EVICTED;
	/* As in Redis, the event of an eviction follows the invalidation, and other events precede it. */
	if (what != CHANGE_EVICTED)
		keyspace_events_key_changed(h, what, database, name);
	if (what != CHANGE_MISSED) {
		watched_touch(h, database, name);
		tracking_changed(h, name);
	}
	if (what == CHANGE_EVICTED)
		keyspace_events_key_changed(h, what, database, name);
	h->push.unplanned = false;
}

static struct subscriptions *subscriptions_of(const struct session *s) {
	return s->tenant == NULL ? NULL : s->tenant->clients.subscriptions;
}

void events_begin_command(struct session *s) {
	struct subscriptions *h = subscriptions_of(s);
	if (h == NULL)
		return;
	h->event_count = 0;
	push_begin_command(&h->push, s);
}

void events_after_command(struct session *s, const struct request *r, enum outcome outcome) {
	struct subscriptions *h = subscriptions_of(s);
	(void)r;
	(void)outcome;
	if (h != NULL)
		push_end_command(&h->push, s);
}

void events_detach(struct session *s) {
	struct subscriptions *h = subscriptions_of(s);
	if (h != NULL)
		push_forget(&h->push, s);
}
