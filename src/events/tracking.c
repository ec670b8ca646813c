/* Client-side caching: a client is told when keys change that it has read, or all keys that begin with a prefix.
 *
 * By default the keys of each reading command make the session a member of a channel of that name; a change sends each
 * member one message and ends the channel. With BCAST the session is a member of prefixes instead, whose changed keys
 * are gathered and told at the end of the turn. */
#include "atomdb/events/tracking.h"

#include <errno.h>
#include <stdlib.h>

#include "atomdb/session/client_memory.h"
#include "atomdb/session/reply.h"
#include "atomdb/store/tenant.h"
#include "atomdb/util/error.h"

/* Keys of a tenant that are remembered at most; beyond it clients are told that the oldest has changed. */
#define TRACKED_MAX 100000
/* Bytes of changed keys of a prefix that are gathered; beyond it they are told before the turn ends. */
#define GATHERED_MAX ((size_t)256 << 10)

/* The part of max_memory that the table of tracked names may take, and how many bytes at most. One name takes less than
 * an eighth of that. */
#define TABLE_SHARE 16
#define TABLE_MAX   ((uint64_t)16 << 20)
#define TABLE_NAMES 8
/* Most bytes around a name in a message. */
#define NAME_ROOM 64

#define CHANNEL SLICE("__redis__:invalidate")

/* A changed key; `name` is an offset in changes.names. */
struct changed_key {
	size_t name, length;
	const struct session *writer; /* may be gone: only compared */
};

struct changes {
	struct buffer names;
	struct changed_key *keys; /* owned */
	size_t count, cap;
	uint64_t charged; /* bytes */
};

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

static void disable(struct session *s) {
	struct tracking *x = s->subscriber->tracking;
	struct subscriptions *h = s->tenant->subscriptions;
	if (x == NULL)
		return;
	/* What it has read stays remembered, in case it comes back before that changes. */
	subscription_remove_all(s, CHANNEL_TRACKED_PREFIX);
	if (s == h->current)
		h->own_redirect = x->redirect_id;
	list_remove(&x->redirect_link);
	list_remove(&x->link);
	free(x);
	client_memory_discharge(s->tenant, sizeof(*x));
	s->subscriber->tracking = NULL;
	s->flags &= ~(uint32_t)SESSION_TRACKING;
	h->trackers--;
	subscriptions_refresh(s->tenant);
}

void tracking_leave(struct session *s) {
	disable(s);
	list_for_each (node, &s->subscriber->redirected) {
		struct tracking *x = list_entry(node, struct tracking, redirect_link);
		list_remove(node);
		x->redirect = NULL;
	}
}

int tracking_turn_on(struct session *s, struct session *redirect, uint32_t options) {
	struct subscriptions *h = s->tenant->subscriptions;
	struct tracking *x = s->subscriber->tracking;
	if (x == NULL) {
		if (client_memory_charge(s->tenant, s, sizeof(*x), CHARGE_NOW) < 0)
			return ATOMDB_E_OOM;
		x = calloc(1, sizeof(*x));
		if (x == NULL) {
			client_memory_discharge(s->tenant, sizeof(*x));
			return ATOMDB_E_OOM;
		}
		x->session = s;
		list_init(&x->redirect_link);
		list_push_back(&h->tracking, &x->link);
		s->subscriber->tracking = x;
		s->flags |= SESSION_TRACKING;
		h->trackers++;
		subscriptions_refresh(s->tenant);
	}
	list_remove(&x->redirect_link);
	x->options = options | (x->options & TRACKING_CACHING);
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
		disable(s);
	return error < 0 ? ATOMDB_E_OOM : 0;
}

void tracking_disable(struct session *s) {
	if (s->subscriber != NULL)
		disable(s);
}

/* --- messages --------------------------------------------------------------------------------------------------- */

/* The other end of a redirection has gone, and a client of RESP3 can be told. */
static void tell_broken(struct subscriptions *h, struct tracking *x) {
	x->options |= TRACKING_BROKEN;
	if (x->session->protocol == 2)
		return;
	struct writer w = publish_head(h, 2);
	writer_bulk(&w, SLICE("tracking-redir-broken"));
	writer_integer(&w, x->redirect_id);
	/* The body at hand is not part of it. */
	if (!w.failed)
		publish_push(h, x->session, buffer_slice(&h->head));
}

static struct session *session_of(const struct subscriptions *h, int64_t id) {
	list_for_each (node, &h->tenant->sessions) {
		struct session *s = list_entry(node, struct session, tenant_link);
		if ((int64_t)s->id == id)
			return s;
	}
	return NULL;
}

/* Tells the session that gets the invalidations of `s`, or `s` itself if it does not track; the subscriptions' body is
 * an array of keys, or null. */
static void tell(struct subscriptions *h, struct session *s) {
	struct tracking *x = s->subscriber == NULL ? NULL : s->subscriber->tracking;
	struct session *to = s;
	bool redirected = x != NULL && x->redirect_id != 0;
	if (x == NULL && h->own_redirect != 0) {
		redirected = true;
		to = session_of(h, h->own_redirect);
		if (to == NULL)
			return;
	}
	struct writer w;
	if (redirected && x != NULL) {
		if (x->redirect == NULL) {
			tell_broken(h, x);
			return;
		}
		to = x->redirect;
	}
	if (to->protocol > 2) {
		w = publish_head(h, 2);
		writer_bulk(&w, SLICE("invalidate"));
	} else if (redirected && (to->flags & SESSION_SUBSCRIBED)) {
		w = publish_head(h, 3);
		writer_bulk(&w, SLICE("message"));
		writer_bulk(&w, CHANNEL);
	} else {
		return;
	}
	if (!w.failed)
		publish_send(h, to);
}

/* The same, for what a session tracks; of what its command changes it hears as that ends. */
static void send_invalidation(struct subscriptions *h, struct tracking *x) {
	struct slice body = publish_body_bytes(h);
	if (x->session != h->current || h->unplanned) {
		tell(h, x->session);
		return;
	}
	publish_hold(h, &h->own, &body.len, sizeof(body.len));
	publish_hold(h, &h->own, body.data, body.len);
}

/* Makes the body null: all that the receiver knows has changed. */
static void write_null(struct subscriptions *h, const struct session *s) {
	struct writer w = publish_body(h, 0);
	writer_raw(&w, s->protocol == 2 ? SLICE("$-1\r\n") : SLICE("_\r\n"));
}

void tracking_tell_own(struct subscriptions *h, struct session *s) {
	struct slice body;
	for (size_t at = 0; at < h->own.len; at += body.len) {
		memcpy(&body.len, h->own.data + at, sizeof(body.len));
		at += sizeof(body.len);
		body.data = h->own.data + at;
		struct writer w = publish_body(h, body.len);
		writer_raw(&w, body);
		if (w.failed)
			write_null(h, s);
		tell(h, s);
	}
	publish_end(h);
}

/* Makes the body an array of one name. False where there is no room for it: write_null then. */
static bool write_name(struct subscriptions *h, struct slice name) {
	struct writer w = publish_body(h, name.len + NAME_ROOM);
	writer_array(&w, 1);
	writer_bulk(&w, name);
	return !w.failed;
}

static void send_key(struct subscriptions *h, struct tracking *x, struct slice name) {
	if (!write_name(h, name))
		write_null(h, x->session);
	send_invalidation(h, x);
	publish_end(h);
}

/* --- keys that were read ---------------------------------------------------------------------------------------- */

/* Tells the members of a channel, and ends it. */
static void invalidate(struct subscriptions *h, struct channel *channel) {
	bool named = write_name(h, channel_name(channel));
	/* With the last of its members it is gone. */
	for (uint64_t left = channel->count; left > 0; left--) {
		struct subscription *m = list_entry(channel->subscriptions.next, struct subscription, by_channel);
		struct tracking *x = m->session->subscriber->tracking;
		bool own = x != NULL && (x->options & TRACKING_NOLOOP) && m->session == h->current;
		if (x != NULL && !(x->options & TRACKING_BCAST) && !own) {
			if (!named)
				write_null(h, x->session);
			send_invalidation(h, x);
		}
		subscription_end(m);
	}
	publish_end(h);
}

/* Bytes that the table of tracked names may take: a small part of the quota. */
static uint64_t table_limit(const struct tenant *t) {
	uint64_t most = t->limits.max_memory / TABLE_SHARE;
	return most == 0 || most > TABLE_MAX ? TABLE_MAX : most;
}

static void remember(struct session *s, struct slice name) {
	struct subscriptions *h = s->tenant->subscriptions;
	uint64_t limit = table_limit(s->tenant);
	if (name.len > limit / TABLE_NAMES || subscription_add(s, CHANNEL_TRACKED_KEY, 0, name) < 0) {
		/* What is not remembered must not be cached. */
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
	if (c->first_key == 0 || (c->key_flags & KEY_NOT_KEY))
		return;
	uint32_t last = c->last_key < 0 ? r->argc - (uint32_t)-c->last_key : (uint32_t)c->last_key;
	uint32_t step = (uint32_t)c->key_step;
	for (uint32_t i = (uint32_t)c->first_key; i <= last && i < r->argc; i += step)
		remember(s, r->argv[i]);
}

void tracking_command_done(struct session *s, const struct command *c) {
	if (!(s->flags & SESSION_MULTI) && c->id != COMMAND_CLIENT)
		s->subscriber->tracking->options &= ~(uint32_t)TRACKING_CACHING;
}

/* --- prefixes --------------------------------------------------------------------------------------------------- */

void tracking_forget_changes(struct subscriptions *h, struct channel *channel) {
	if (channel->changes == NULL)
		return;
	client_memory_discharge(h->tenant, channel->changes->charged);
	buffer_deinit(&channel->changes->names);
	free(channel->changes->keys);
	free(channel->changes);
	channel->changes = NULL;
}

static int compare_keys(const void *one, const void *other, void *names) {
	const struct changed_key *a = one, *b = other;
	const char *text = names;
	size_t n = a->length < b->length ? a->length : b->length;
	int order = n == 0 ? 0 : memcmp(text + a->name, text + b->name, n);
	if (order == 0 && a->length != b->length)
		order = a->length < b->length ? -1 : 1;
	/* Of equal ones the latest comes last. */
	return order != 0 ? order : (a->name > b->name) - (a->name < b->name);
}

static struct slice changed_name(const struct changes *c, size_t i) {
	return (struct slice){c->names.data + c->keys[i].name, c->keys[i].length};
}

/* Sorts the keys; of each the latest change is left. */
static void sort_changes(struct changes *c) {
	qsort_r(c->keys, c->count, sizeof(*c->keys), compare_keys, c->names.data);
	size_t n = 0;
	for (size_t i = 0; i < c->count; i++) {
		if (i + 1 == c->count || !slice_equal(changed_name(c, i), changed_name(c, i + 1)))
			c->keys[n++] = c->keys[i];
	}
	c->count = n;
}

/* Makes the body those keys that `skip`, or NULL, has not written; how many they are. */
static size_t write_changes(struct subscriptions *h, const struct changes *c, const struct session *skip,
			    bool *written) {
	size_t count = 0, size = NAME_ROOM;
	for (size_t i = 0; i < c->count; i++) {
		if (skip == NULL || c->keys[i].writer != skip) {
			count++;
			size += c->keys[i].length + NAME_ROOM;
		}
	}
	struct writer w = publish_body(h, size);
	writer_array(&w, count);
	for (size_t i = 0; i < c->count; i++) {
		if (skip == NULL || c->keys[i].writer != skip)
			writer_bulk(&w, changed_name(c, i));
	}
	*written = !w.failed;
	return count;
}

static bool has_written(const struct session *s, const struct changes *c) {
	for (size_t i = 0; i < c->count; i++) {
		if (c->keys[i].writer == s)
			return true;
	}
	return false;
}

/* Sends each member the keys, without those that it wrote if it asked for that. All others share one message. */
static void broadcast(struct subscriptions *h, struct channel *channel) {
	const struct changes *c = channel->changes;
	bool written = false, shared = false;
	if (c == NULL)
		return;
	sort_changes(channel->changes);
	list_for_each (node, &channel->subscriptions) {
		struct session *s = list_entry(node, struct subscription, by_channel)->session;
		struct tracking *x = s->subscriber->tracking;
		bool own = (x->options & TRACKING_NOLOOP) != 0 && has_written(s, c);
		size_t count = c->count;
		if (own || !shared)
			count = write_changes(h, c, own ? s : NULL, &written);
		shared = !own && written;
		if (!written)
			write_null(h, s);
		if (count != 0)
			send_invalidation(h, x);
	}
	publish_end(h);
	tracking_forget_changes(h, channel);
}

static int gather(struct subscriptions *h, struct channel *channel, struct slice name, const struct session *writer) {
	uint64_t bytes = name.len + 1 + sizeof(struct changed_key);
	if (channel->changes == NULL) {
		bytes += sizeof(*channel->changes);
		channel->changes = calloc(1, sizeof(*channel->changes));
	}
	struct changes *c = channel->changes;
	if (c == NULL || client_memory_charge(h->tenant, NULL, bytes, CHARGE_LATER) < 0)
		return -ENOMEM;
	c->charged += bytes;
	if (c->count == c->cap) {
		size_t cap = c->cap == 0 ? 8 : c->cap * 2;
		struct changed_key *keys = realloc(c->keys, cap * sizeof(*keys));
		if (keys == NULL)
			return -ENOMEM;
		c->keys = keys;
		c->cap = cap;
	}
	size_t at = c->names.len;
	/* At least a byte each, so that no two are at the same place. */
	if (buffer_append(&c->names, name.data, name.len, SIZE_MAX) < 0 ||
	    buffer_append(&c->names, "", 1, SIZE_MAX) < 0)
		return -ENOMEM;
	c->keys[c->count++] = (struct changed_key){at, name.len, writer};
	return 0;
}

/* There is no room to gather a name: its members must take all for changed. */
static void broadcast_null(struct subscriptions *h, struct channel *channel) {
	tracking_forget_changes(h, channel);
	list_for_each (node, &channel->subscriptions) {
		struct session *s = list_entry(node, struct subscription, by_channel)->session;
		write_null(h, s);
		send_invalidation(h, s->subscriber->tracking);
	}
	publish_end(h);
}

static void gather_all(struct subscriptions *h, struct slice name) {
	list_for_each (node, &h->kinds[CHANNEL_TRACKED_PREFIX].channels) {
		struct channel *channel = list_entry(node, struct channel, order);
		struct slice prefix = channel_name(channel);
		if (prefix.len > name.len || (prefix.len != 0 && memcmp(prefix.data, name.data, prefix.len) != 0))
			continue;
		if (gather(h, channel, name, h->current) < 0)
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

void tracking_turn_ended(struct environment *env) {
	while (env->broadcasts != NULL) {
		struct subscriptions *h = env->broadcasts;
		env->broadcasts = h->next;
		h->broadcasts = false;
		list_for_each (node, &h->kinds[CHANNEL_TRACKED_PREFIX].channels)
			broadcast(h, list_entry(node, struct channel, order));
	}
}

void tracking_forget_all(struct subscriptions *h) {
	struct subscriptions **at = &h->env->broadcasts;
	if (!h->broadcasts)
		return;
	while (*at != h)
		at = &(*at)->next;
	*at = h->next;
	h->broadcasts = false;
}

/* --- changes ---------------------------------------------------------------------------------------------------- */

void tracking_changed(struct subscriptions *h, struct slice name) {
	if (h->kinds[CHANNEL_TRACKED_PREFIX].count != 0)
		gather_all(h, name);
	struct channel *channel = subscriptions_find(h, CHANNEL_TRACKED_KEY, 0, name);
	if (channel != NULL)
		invalidate(h, channel);
}

void tracking_swapped(struct subscriptions *h) {
	list_for_each (node, &h->tracking) {
		struct tracking *x = list_entry(node, struct tracking, link);
		write_null(h, x->session);
		send_invalidation(h, x);
	}
	publish_end(h);
}

void tracking_flushed(struct subscriptions *h) {
	tracking_swapped(h);
	/* All has been told. */
	while (h->kinds[CHANNEL_TRACKED_KEY].count != 0) {
		struct channel *channel =
			list_entry(h->kinds[CHANNEL_TRACKED_KEY].channels.next, struct channel, order);
		for (uint64_t left = channel->count; left > 0; left--)
			subscription_end(list_entry(channel->subscriptions.next, struct subscription, by_channel));
	}
}
