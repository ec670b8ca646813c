#include "atomdb/events/tracking_broadcast.h"

#include "atomdb/events/changes.h"
#include "atomdb/events/invalidation.h"

/* Most collected bytes of a prefix; beyond it, they are sent before the turn ends. */
#define GATHERED_MAX ((size_t)256 << 10)

/* Makes a body of the keys that `skip` has not written; NULL: of all keys. Returns their number. */
static size_t write_changes(struct subscriptions *h, const struct changes *c, const struct session *skip,
			    bool *written) {
	size_t count = 0, size = INVALIDATION_NAME_ROOM;
	for (size_t i = 0; i < c->count; i++) {
		if (skip == NULL || c->keys[i].writer != skip) {
			count++;
			size += c->keys[i].length + INVALIDATION_NAME_ROOM;
		}
	}
	struct writer w = push_body(&h->push, size);
	writer_array(&w, count);
	for (size_t i = 0; i < c->count; i++) {
		if (skip == NULL || c->keys[i].writer != skip)
			writer_bulk(&w, changes_name(c, i));
	}
	*written = !w.failed;
	return count;
}

/* Sends each subscriber the keys. A subscriber with NOLOOP does not receive keys that it wrote itself; all others share
 * one message. */
static void broadcast(struct subscriptions *h, struct channel *channel) {
	const struct changes *c = channel->changes;
	bool written = false, shared = false;
	if (c == NULL)
		return;
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
	}
	push_end(&h->push);
	changes_free(channel->changes);
	channel->changes = NULL;
}

/* There is no room for the name: sends null, which means that all keys may have changed. */
static void broadcast_null(struct subscriptions *h, struct channel *channel) {
	changes_free(channel->changes);
	channel->changes = NULL;
	list_for_each (node, &channel->subscriptions) {
		struct session *s = list_entry(node, struct subscription, by_channel)->session;
		invalidation_write_null(h, s);
		invalidation_send(h, s->subscriber->tracking);
	}
	push_end(&h->push);
}

void tracking_broadcast_changed(struct subscriptions *h, struct slice name) {
	list_for_each (node, &h->kinds[CHANNEL_TRACKED_PREFIX].channels) {
		struct channel *channel = list_entry(node, struct channel, order);
		struct slice prefix = channel_name(channel);
		if (prefix.len > name.len || (prefix.len != 0 && memcmp(prefix.data, name.data, prefix.len) != 0))
			continue;
		if (changes_add(&channel->changes, h->tenant, name, h->push.current) < 0)
			broadcast_null(h, channel);
		else if (channel->changes->names.len > GATHERED_MAX)
			broadcast(h, channel);
	}
	if (!h->broadcasts) {
		h->broadcasts = true;
		h->next = h->env->broadcasts;
		h->env->broadcasts = h;
	}
}

static void send_collected(struct subscriptions *h) {
	list_for_each (node, &h->kinds[CHANNEL_TRACKED_PREFIX].channels)
		broadcast(h, list_entry(node, struct channel, order));
}

void tracking_send_collected(struct tenant *t) {
	struct subscriptions *h = t->clients.subscriptions;
	if (h != NULL && h->broadcasts)
		send_collected(h);
}

void tracking_turn_ended(struct environment *env) {
	struct subscriptions **at = &env->broadcasts;
	while (*at != NULL) {
		struct subscriptions *h = *at;
		/* The changes of a suspended command are told together, when it has ended. */
		if (h->tenant->clients.task != NULL) {
			at = &h->next;
			continue;
		}
		*at = h->next;
		h->broadcasts = false;
		send_collected(h);
	}
}
