#include "atomdb/events/tracking_broadcast.h"

#include "atomdb/events/changes.h"
#include "atomdb/events/invalidation.h"
#include "atomdb/events/keyspace_events.h"
#include "atomdb/store/tenant.h"
#include "atomdb/util/fiber.h"

/* Bytes of names collected for a prefix. Beyond the first limit they are sent before the turn ends. Beyond the second
 * one no more names are collected. */
#define GATHERED_EARLY ((size_t)256 << 10)
#define GATHERED_MAX   ((size_t)1 << 20)
/* Subscriptions to prefixes, or collected keys, whose invalidations take some tens of microseconds. */
#define SENT_AT_ONCE 256
/* Keys of a message, and bytes of prefixes, between two check points. */
#define CHECK_CHANGES  256
#define CHECK_PREFIXES 1024

/* Makes a body of the keys that `skip` has not written; NULL: of all keys. Returns their number. */
static size_t write_changes(struct subscriptions *h, const struct changes *c, const struct session *skip,
			    bool *written) {
	size_t count = 0, size = INVALIDATION_NAME_ROOM, work = 0;
	for (size_t i = 0; i < c->count; i++) {
		(void)fiber_check_every(&work, 1, CHECK_CHANGES);
		if (skip == NULL || c->keys[i].writer != skip) {
			count++;
			size += c->keys[i].length + INVALIDATION_NAME_ROOM;
		}
	}
	struct writer w = push_body(&h->push, size);
	writer_array(&w, count);
	for (size_t i = 0; i < c->count; i++) {
		(void)fiber_check_every(&work, 1, CHECK_CHANGES);
		if (skip == NULL || c->keys[i].writer != skip)
			writer_bulk(&w, changes_name(c, i));
	}
	*written = !w.failed;
	return count;
}

static void drop(struct channel *channel) {
	changes_free(channel->changes);
	channel->changes = NULL;
	channel->changes_lost = false;
}

/* Sends each subscriber the keys. A subscriber with NOLOOP does not receive keys that it wrote itself; all others share
 * one message. */
static void send_keys(struct subscriptions *h, struct channel *channel) {
	const struct changes *c = channel->changes;
	bool written = false, shared = false;
	changes_sort(channel->changes);
	list_for_each (node, &channel->subscriptions) {
		struct session *s = list_entry(node, struct subscription, by_channel)->session;
		struct tracking *x = s->subscriber->tracking;
		bool own = (x->options & TRACKING_NOLOOP) != 0 && changes_written_by(c, s);
		size_t count = c->count;
		if (own || !shared)
			count = write_changes(h, c, own ? s : NULL, &written);
		shared = !own && written;
		if (!written)
			invalidation_write_null(h, s);
		if (count != 0)
			invalidation_send(h, x);
		(void)fiber_check();
	}
}

/* There was no room for the keys: sends null, which means that all keys may have changed. */
static void send_null(struct subscriptions *h, const struct channel *channel) {
	list_for_each (node, &channel->subscriptions) {
		struct session *s = list_entry(node, struct subscription, by_channel)->session;
		invalidation_write_null(h, s);
		invalidation_send(h, s->subscriber->tracking);
		(void)fiber_check();
	}
}

static void broadcast(struct subscriptions *h, struct channel *channel) {
	if (channel->changes_lost)
		send_null(h, channel);
	else if (channel->changes != NULL)
		send_keys(h, channel);
	else
		return;
	push_end(&h->push);
	drop(channel);
}

/* Adds the key to the changes of the prefix. */
static void collect(struct subscriptions *h, struct channel *channel, struct slice name) {
	if (channel->changes_lost)
		return;
	bool full = channel->changes != NULL && channel->changes->names.len > GATHERED_MAX;
	if (full || changes_add(&channel->changes, h->tenant, name, h->push.current) < 0) {
		drop(channel);
		channel->changes_lost = true;
		return;
	}
	h->collected++;
	if (channel->changes->names.len > GATHERED_EARLY) {
		h->collected_many = true;
		h->tenant->clients.event_classes |= NOTIFY_QUEUED;
	}
}

void tracking_broadcast_changed(struct subscriptions *h, struct slice name) {
	size_t work = 0;
	list_for_each (node, &h->kinds[CHANNEL_TRACKED_PREFIX].channels) {
		struct channel *channel = list_entry(node, struct channel, order);
		struct slice prefix = channel_name(channel);
		if (!h->in_change)
			(void)fiber_check_every(&work, prefix.len + 1, CHECK_PREFIXES);
		if (prefix.len <= name.len && (prefix.len == 0 || memcmp(prefix.data, name.data, prefix.len) == 0))
			collect(h, channel, name);
	}
	subscriptions_send_later(h);
}

void tracking_send_collected(struct subscriptions *h) {
	h->collected = 0;
	h->collected_many = false;
	list_for_each (node, &h->kinds[CHANNEL_TRACKED_PREFIX].channels) {
		broadcast(h, list_entry(node, struct channel, order));
		(void)fiber_check();
	}
}

void tracking_send_many(struct subscriptions *h) {
	if (h->collected_many)
		tracking_send_collected(h);
}

bool tracking_send_is_long(const struct subscriptions *h) {
	return h->collected > SENT_AT_ONCE ||
	       (h->collected > 0 && h->kinds[CHANNEL_TRACKED_PREFIX].subscriptions > SENT_AT_ONCE);
}
