#include "atomdb/events/tracking.h"

#include "atomdb/events/tracking_broadcast.h"
#include "atomdb/session/client_memory.h"
#include "atomdb/session/keys.h"
#include "atomdb/session/reply.h"
#include "atomdb/store/tenant.h"
#include "atomdb/util/error.h"

/* Most tracked keys of a tenant. Above it, clients receive an invalidation of the oldest. */
#define TRACKED_MAX 100000

/* Share of max_memory that the table of tracked names may take, and its most bytes. One name takes less than an eighth
 * of that. */
#define TABLE_SHARE 16
#define TABLE_MAX   ((uint64_t)16 << 20)
#define TABLE_NAMES 8

int64_t tracking_redirection(const struct session *s, bool global) {
	const struct tracking *x = s->subscriber == NULL ? NULL : s->subscriber->tracking;
	if (x == NULL)
		return -1;
	return global && x->redirect != NULL ? (int64_t)x->redirect->global_id : x->redirect_id;
}

void tracking_letters(const struct session *s, char letters[4]) {
	const struct tracking *x = s->subscriber == NULL ? NULL : s->subscriber->tracking;
	size_t n = 0;
	if (x != NULL) {
		letters[n++] = 't';
		if (x->options & TRACKING_BROKEN)
			letters[n++] = 'R';
		if (x->options & TRACKING_BCAST)
			letters[n++] = 'B';
	}
	letters[n] = '\0';
}

/* --- on and off ------------------------------------------------------------------------------------------------- */

/* Turns tracking off, if it is on. */
static void tracking_free(struct session *s) {
	struct tracking *x = s->subscriber->tracking;
	struct subscriptions *h = s->tenant->clients.subscriptions;
	if (x == NULL)
		return;
	/* The keys that it has read stay tracked: tracking may be turned on again before they change. */
	subscription_remove_all(s, CHANNEL_TRACKED_PREFIX);
	if (s == h->push.current)
		h->own_redirect = x->redirect_id;
	list_remove(&x->redirect_link);
	list_remove(&x->link);
	client_memory_free(s, x, sizeof(*x));
	s->subscriber->tracking = NULL;
	s->subscriber->by_prefix = false;
	s->flags &= ~(uint32_t)SESSION_TRACKING;
	h->trackers--;
	subscriptions_measure_audience(h);
	subscriptions_interest(h, -1);
	session_count_attention(s->tenant, -1);
}

static struct tracking *tracking_new(struct session *s) {
	struct subscriptions *h = s->tenant->clients.subscriptions;
	struct tracking *x = client_memory_alloc(s, sizeof(*x));
	if (x == NULL)
		return NULL;
	x->session = s;
	list_init(&x->redirect_link);
	list_push_back(&h->tracking, &x->link);
	s->subscriber->tracking = x;
	s->flags |= SESSION_TRACKING;
	h->trackers++;
	subscriptions_measure_audience(h);
	subscriptions_interest(h, 1);
	session_count_attention(s->tenant, 1);
	return x;
}

void tracking_leave(struct session *s) {
	if (s->subscriber == NULL)
		return;
	tracking_free(s);
	list_for_each (node, &s->subscriber->redirected) {
		struct tracking *x = list_entry(node, struct tracking, redirect_link);
		list_remove(node);
		x->redirect = NULL;
	}
}

int tracking_turn_on(struct session *s, struct session *redirect, uint32_t options) {
	struct tracking *x = s->subscriber->tracking != NULL ? s->subscriber->tracking : tracking_new(s);
	if (x == NULL)
		return ATOMDB_E_OOM;
	list_remove(&x->redirect_link);
	x->options = options | (x->options & TRACKING_CACHING);
	s->subscriber->by_prefix = (options & TRACKING_BCAST) != 0;
	x->redirect = redirect;
	x->redirect_id = redirect == NULL ? 0 : (int64_t)redirect->id;
	if (redirect != NULL)
		list_push_back(&redirect->subscriber->redirected, &x->redirect_link);
	return 0;
}

int tracking_enable(struct session *s, struct session *redirect, uint32_t options, const struct slice *prefixes,
		    size_t count) {
	int error = tracking_turn_on(s, redirect, options);
	if (error < 0)
		return error;
	if ((options & TRACKING_BCAST) && count == 0)
		error = subscription_add(s, CHANNEL_TRACKED_PREFIX, 0, SLICE(""));
	for (size_t i = 0; i < count && error >= 0; i++)
		error = subscription_add(s, CHANNEL_TRACKED_PREFIX, 0, prefixes[i]);
	if (error < 0)
		tracking_free(s);
	return error < 0 ? ATOMDB_E_OOM : 0;
}

void tracking_disable(struct session *s) {
	if (s->subscriber != NULL)
		tracking_free(s);
}

/* --- keys that were read ---------------------------------------------------------------------------------------- */

static void send_key(struct subscriptions *h, struct tracking *x, struct slice name) {
	if (!invalidation_write_name(h, name))
		invalidation_write_null(h, x->session);
	invalidation_send(h, x);
	push_end(&h->push);
}

/* Sends an invalidation to the subscribers of a channel, and ends the channel. */
static void invalidate(struct subscriptions *h, struct channel *channel) {
	bool named = invalidation_write_name(h, channel_name(channel));
	size_t work = 0;
	/* The channel ends with its last subscription. */
	for (uint64_t left = channel->count; left > 0; left--) {
		struct subscription *m = list_entry(channel->subscriptions.next, struct subscription, by_channel);
		struct tracking *x = m->session->subscriber->tracking;
		bool own = x != NULL && (x->options & TRACKING_NOLOOP) && m->session == h->push.current;
		if (x != NULL && !(x->options & TRACKING_BCAST) && !own) {
			if (!named)
				invalidation_write_null(h, x->session);
			invalidation_send(h, x);
		}
		subscription_end(m);
		if (!h->in_change)
			(void)fiber_check_every(&work, 1, CHECK_KEYS);
	}
	push_end(&h->push);
}

/* Returns the bytes that the table of tracked names may take. */
static uint64_t table_limit(const struct tenant *t) {
	uint64_t most = t->limits.max_memory / TABLE_SHARE;
	return most == 0 || most > TABLE_MAX ? TABLE_MAX : most;
}

static void remember(struct session *s, struct slice name) {
	struct subscriptions *h = s->tenant->clients.subscriptions;
	uint64_t limit = table_limit(s->tenant);
	if (name.len > limit / TABLE_NAMES || subscription_add(s, CHANNEL_TRACKED_KEY, 0, name) < 0) {
		/* The client must not cache a key that is not in the table. */
		send_key(h, s->subscriber->tracking, name);
		return;
	}
	while (h->kinds[CHANNEL_TRACKED_KEY].count > TRACKED_MAX || h->tracked_bytes > limit)
		invalidate(h, list_entry(h->kinds[CHANNEL_TRACKED_KEY].channels.next, struct channel, order));
}

void tracking_remember(struct session *s, const struct request *r) {
	const struct command *c = r->command;
	const struct tracking *x = s->subscriber->tracking;
	bool caching = (x->options & TRACKING_CACHING) != 0;
	if (!(c->flags & CMD_READONLY) || (x->options & TRACKING_BCAST) ||
	    ((x->options & TRACKING_OPTIN) && !caching) || ((x->options & TRACKING_OPTOUT) && caching))
		return;
	struct command_keys keys = command_keys_begin(c, r->argv, r->argc);
	size_t work = 0;
	for (uint32_t at; command_keys_next(&keys, &at); (void)fiber_check_every(&work, 1, CHECK_KEYS))
		remember(s, r->argv[at]);
}

void tracking_after_command(struct session *s, const struct request *r, enum outcome outcome) {
	if (s->tenant != NULL && s->tenant->clients.subscriptions != NULL)
		invalidation_send_own(s->tenant->clients.subscriptions, s);
	if ((s->flags & SESSION_TRACKING) && !(s->flags & SESSION_MULTI) && outcome_is_final(outcome) &&
	    !(r->command->flags & CMD_KEEPS_CACHING))
		s->subscriber->tracking->options &= ~(uint32_t)TRACKING_CACHING;
}

/* --- changes ---------------------------------------------------------------------------------------------------- */

void tracking_changed(struct subscriptions *h, struct slice name) {
	if (h->kinds[CHANNEL_TRACKED_PREFIX].count != 0)
		tracking_broadcast_changed(h, name);
	struct channel *channel = subscriptions_find(h, CHANNEL_TRACKED_KEY, 0, name);
	if (channel != NULL)
		invalidate(h, channel);
}

void tracking_swapped(struct subscriptions *h) {
	size_t work = 0;
	list_for_each (node, &h->tracking) {
		struct tracking *x = list_entry(node, struct tracking, link);
		invalidation_write_null(h, x->session);
		invalidation_send(h, x);
		(void)fiber_check_every(&work, 1, CHECK_KEYS);
	}
	push_end(&h->push);
}

void tracking_flushed(struct subscriptions *h) {
	size_t work = 0;
	tracking_swapped(h);
	/* All clients have received their invalidations. */
	while (h->kinds[CHANNEL_TRACKED_KEY].count != 0) {
		struct channel *channel =
			list_entry(h->kinds[CHANNEL_TRACKED_KEY].channels.next, struct channel, order);
		for (uint64_t left = channel->count; left > 0; left--) {
			subscription_end(list_entry(channel->subscriptions.next, struct subscription, by_channel));
			(void)fiber_check_every(&work, 1, CHECK_KEYS);
		}
	}
}

/* --- hand-over to the next process ------------------------------------------------------------------------------ */

struct tracking_record {
	uint64_t options; /* enum tracking_option */
	uint64_t redirect_id;
	uint64_t redirected; /* 1: the session with redirect_id existed */
};

#define OPTION(name, option) \
	{ name, FIELD_FLAG, offsetof(struct tracking_record, options), option, 0 }

static const struct field tracking_fields[] = {
	OPTION("bcast", TRACKING_BCAST),
	OPTION("optin", TRACKING_OPTIN),
	OPTION("optout", TRACKING_OPTOUT),
	OPTION("noloop", TRACKING_NOLOOP),
	OPTION("caching", TRACKING_CACHING),
	OPTION("broken", TRACKING_BROKEN),
	{"redirect_id", FIELD_NUMBER, offsetof(struct tracking_record, redirect_id), INT64_MAX, 0},
	{"redirected", FIELD_FLAG, offsetof(struct tracking_record, redirected), 1, 0},
};

#undef OPTION

#define COUNT(fields) (sizeof(fields) / sizeof((fields)[0]))

void tracking_serialize(const struct session *s, struct serializer *out, const char *name) {
	const struct tracking *x = s->subscriber == NULL ? NULL : s->subscriber->tracking;
	if (x == NULL)
		return;
	const struct tracking_record r = {
		.options = x->options,
		.redirect_id = (uint64_t)x->redirect_id,
		.redirected = x->redirect != NULL,
	};
	size_t begin = serialize_begin(out, name);
	serialize_record(out, tracking_fields, COUNT(tracking_fields), &r);
	serialize_end(out, begin);
}

int tracking_deserialize(struct session *s, struct slice record) {
	struct tracking_record r;
	if (s->tenant == NULL)
		return ATOMDB_E_FORMAT;
	if (subscriber_open(s) < 0)
		return ATOMDB_E_OOM;
	int error = deserialize_record(record, tracking_fields, COUNT(tracking_fields), &r);
	if (error == 0)
		error = tracking_turn_on(s, NULL, (uint32_t)r.options);
	if (error < 0)
		return error;
	s->subscriber->tracking->redirect_id = (int64_t)r.redirect_id;
	s->subscriber->tracking->unlinked = r.redirected != 0;
	return 0;
}

bool tracking_link(struct session *s) {
	struct tracking *x = s->subscriber == NULL ? NULL : s->subscriber->tracking;
	if (x == NULL || !x->unlinked)
		return false;
	x->unlinked = false;
	struct session *to = session_by_id(s->tenant, (uint64_t)x->redirect_id);
	if (to == NULL || to->subscriber == NULL)
		return false;
	x->redirect = to;
	list_push_back(&to->subscriber->redirected, &x->redirect_link);
	return false;
}
