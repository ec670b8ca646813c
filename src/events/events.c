#include "atomdb/events/events.h"

#include "atomdb/events/keyspace_events.h"
#include "atomdb/events/tracking.h"
#include "atomdb/events/tracking_broadcast.h"
#include "atomdb/events/watched.h"
#include "atomdb/store/tenant.h"
#include "atomdb/util/fiber.h"

static void tell(struct subscriptions *h, enum change what, unsigned database, struct slice name) {
	h->push.unplanned = what == CHANGE_EXPIRED || what == CHANGE_EVICTED;
	/* As in Redis, the event of an eviction follows the invalidation, and other events precede it. */
	if (what != CHANGE_EVICTED)
		keyspace_events_key_changed(h, what, database, name);
	if (what != CHANGE_MISSED)
		tracking_changed(h, name);
	if (what == CHANGE_EVICTED)
		keyspace_events_key_changed(h, what, database, name);
	h->push.unplanned = false;
}

/* Queues the change if the tenant's audience is large. Returns whether it did. */
static bool queue(struct subscriptions *h, enum change what, unsigned database, struct slice name) {
	const struct queued_change c = {what, database, name};
	if (h->tenant->clients.audience != AUDIENCE_LARGE || change_queue_add(&h->changed, &c) < 0)
		return false;
	h->tenant->clients.event_classes |= NOTIFY_QUEUED;
	subscriptions_send_later(h);
	return true;
}

void events_key_changed(struct tenant *t, enum change what, unsigned database, struct slice name) {
	struct subscriptions *h = t->clients.subscriptions;
	if (what == CHANGE_FLUSH || what == CHANGE_MISSED)
		events_send_changes(h);
	if (what == CHANGE_FLUSH) {
		watched_flush(h, database);
		tracking_flushed(h);
	} else if (what == CHANGE_MISSED) {
		tell(h, what, database, name);
	} else {
		watched_touch(h, database, name);
		if (queue(h, what, database, name))
			return;
		bool before = h->in_change;
		h->in_change = true;
		tell(h, what, database, name);
		h->in_change = before;
	}
}

void events_send_changes(struct subscriptions *h) {
	struct change_queue all;
	struct queued_change c;
	h->tenant->clients.event_classes &= ~(uint32_t)NOTIFY_QUEUED;
	/* An allocation for a message may evict keys, and so queue more changes. */
	while (!change_queue_empty(&h->changed)) {
		change_queue_take_all(&all, &h->changed);
		while (change_queue_take(&all, &c))
			tell(h, c.what, c.database, c.name);
		change_queue_deinit(&all);
	}
	tracking_send_many(h);
}

/* --- the end of a turn -------------------------------------------------------------------------------------------- */

/* Returns the link to the first tenant that has no command on a fiber: the messages about a suspended command are sent
 * together, when it has ended. */
static struct subscriptions **first_unsent(struct environment *env) {
	struct subscriptions **at = &env->unsent;
	while (*at != NULL && (*at)->tenant->clients.task != NULL)
		at = &(*at)->next;
	return at;
}

bool events_can_send(struct environment *env) {
	return *first_unsent(env) != NULL;
}

struct tenant *events_next_unsent(struct environment *env) {
	struct subscriptions **at = first_unsent(env), *h = *at;
	if (h == NULL)
		return NULL;
	*at = h->next;
	h->unsent = false;
	return h->tenant;
}

bool events_has_unsent(const struct tenant *t) {
	return t->clients.subscriptions != NULL && t->clients.subscriptions->unsent;
}

bool events_send_is_long(const struct tenant *t) {
	const struct subscriptions *h = t->clients.subscriptions;
	return !change_queue_empty(&h->changed) || tracking_send_is_long(h);
}

void events_send_unsent(struct tenant *t) {
	struct subscriptions *h = t->clients.subscriptions;
	if (h == NULL)
		return;
	h->event_count = 0;
	events_send_changes(h);
	tracking_send_collected(h);
}

/* --- a command ---------------------------------------------------------------------------------------------------- */

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
	(void)outcome;
	if (h == NULL)
		return;
	/* A command that only reads and is not on a fiber has at most made keys expire. Their messages wait for the end
	 * of the turn. */
	if ((s->tenant->clients.event_classes & NOTIFY_QUEUED) &&
	    (fiber_current != NULL || !(r->command->flags & CMD_READONLY)))
		events_send_changes(h);
	push_end_command(&h->push, s);
}

void events_detach(struct session *s) {
	struct subscriptions *h = subscriptions_of(s);
	if (h != NULL)
		push_forget(&h->push, s);
}
