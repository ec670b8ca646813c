#include "atomdb/events/subscriptions.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "atomdb/dispatch/admission.h"
#include "atomdb/dispatch/transaction.h"
#include "atomdb/events/keyspace_events.h"
#include "atomdb/events/monitor.h"
#include "atomdb/events/tracking.h"
#include "atomdb/session/client_memory.h"
#include "atomdb/session/reply.h"
#include "atomdb/store/tenant.h"
#include "atomdb/util/error.h"

/* A message buffer that a rare large message made is not kept. */
#define MESSAGE_KEPT ((size_t)64 << 10)

static uint64_t channel_hash(const struct tenant *t, enum channel_kind kind, unsigned database, struct slice name) {
	return keyspace_key(t, 0, name).hash + (uint64_t)kind * 16 + database;
}

static uint64_t subscription_hash(const struct session *s, const struct channel *channel) {
	uint64_t h = (uintptr_t)s * UINT64_C(0x9E3779B97F4A7C15) ^ (uintptr_t)channel;
	h *= UINT64_C(0xD6E8FEB86659FD93);
	return h ^ h >> 32;
}

/* --- subscriptions and subscriber
 * ----------------------------------------------------------------------------------------------- */

static struct subscriptions *subscriptions_new(struct session *s) {
	if (client_memory_charge(s->tenant, s, sizeof(struct subscriptions), CHARGE_NOW) < 0)
		return NULL;
	struct subscriptions *h = calloc(1, sizeof(*h));
	if (h == NULL) {
		client_memory_discharge(s->tenant, sizeof(*h));
		return NULL;
	}
	h->env = s->env;
	h->tenant = s->tenant;
	list_init(&h->tracking);
	list_init(&h->monitors);
	for (unsigned i = 0; i < CHANNEL_KINDS; i++)
		list_init(&h->kinds[i].channels);
	return s->tenant->subscriptions = h;
}

static void subscriptions_free(struct subscriptions *h) {
	struct tenant *t = h->tenant;
	assert(h->channels.count == 0 && h->subscriptions.count == 0);
	tracking_forget_all(h);
	t->subscriptions = NULL;
	subscriptions_refresh(t);
	publish_end(h);
	buffer_deinit(&h->head);
	buffer_deinit(&h->body);
	free(h);
	client_memory_discharge(t, sizeof(*h));
}

struct subscriber *subscriber_open(struct session *s) {
	if (s->subscriber != NULL)
		return s->subscriber;
	struct subscriptions *h = s->tenant->subscriptions != NULL ? s->tenant->subscriptions : subscriptions_new(s);
	struct subscriber *p = NULL;
	if (h != NULL && client_memory_charge(s->tenant, s, sizeof(*p), CHARGE_NOW) == 0) {
		p = calloc(1, sizeof(*p));
		if (p == NULL)
			client_memory_discharge(s->tenant, sizeof(*p));
	}
	if (p == NULL) {
		if (h != NULL && h->subscribers == 0)
			subscriptions_free(h);
		reply_store_error(s, ATOMDB_E_OOM);
		return NULL;
	}
	for (unsigned i = 0; i < CHANNEL_KINDS; i++)
		list_init(&p->kinds[i].subscriptions);
	list_init(&p->redirected);
	list_init(&p->monitor);
	p->session = s;
	p->bytes = sizeof(*p);
	h->subscribers++;
	return s->subscriber = p;
}

/* Forgets what was kept for the session that runs a command. */
static void drop_held(struct subscriptions *h) {
	buffer_deinit(&h->deferred);
	buffer_deinit(&h->own);
	client_memory_discharge(h->tenant, h->held);
	h->held = 0;
	h->own_redirect = 0;
}

void subscriber_close(struct session *s) {
	struct subscriber *p = s->subscriber;
	struct subscriptions *h = s->tenant->subscriptions;
	if (h != NULL && h->current == s) {
		h->current = NULL;
		drop_held(h);
	}
	if (p == NULL)
		return;
	transaction_end(s);
	tracking_leave(s);
	monitor_leave(s);
	for (unsigned i = 0; i < CHANNEL_KINDS; i++)
		subscription_remove_all(s, (enum channel_kind)i);
	s->flags &= ~(uint32_t)SESSION_EVENT_FLAGS;
	s->subscriber = NULL;
	h->tenant->leaving_bytes -= p->leaving;
	free(p);
	client_memory_discharge(h->tenant, sizeof(*p));
	if (--h->subscribers == 0)
		subscriptions_free(h);
	else
		subscriptions_refresh(h->tenant);
}

void subscriptions_refresh(struct tenant *t) {
	const struct subscriptions *h = t->subscriptions;
	bool told =
		h != NULL && (h->kinds[CHANNEL_WATCHED_KEY].count != 0 || h->kinds[CHANNEL_TRACKED_KEY].count != 0 ||
			      h->trackers != 0 || keyspace_events_wanted(t));
	bool attention =
		t->pause_end_ms != 0 || t->monitored || (h != NULL && (h->trackers != 0 || !list_empty(&h->monitors)));
	t->watcher = told ? key_changed : NULL;
	if (attention == t->attention)
		return;
	t->attention = attention;
	list_for_each (node, &t->sessions) {
		struct session *s = list_entry(node, struct session, tenant_link);
		s->flags = attention ? s->flags | SESSION_TENANT_ATTENTION
				     : s->flags & ~(uint32_t)SESSION_TENANT_ATTENTION;
	}
}

/* --- channels ----------------------------------------------------------------------------------------------------- */

struct channel *subscriptions_find(const struct subscriptions *h, enum channel_kind kind, unsigned database,
				   struct slice name) {
	if (h == NULL || h->kinds[kind].count == 0)
		return NULL;
	uint64_t hash = channel_hash(h->tenant, kind, database, name);
	for (struct hash_link *l = hashtable_first(&h->channels, hash); l != NULL; l = l->next) {
		struct channel *channel = list_entry(l, struct channel, link);
		if (l->hash == hash && channel->kind == kind && channel->database == database &&
		    slice_equal(channel_name(channel), name))
			return channel;
	}
	return NULL;
}

static struct subscription *find_subscription(const struct session *s, const struct channel *channel) {
	const struct subscriptions *h = s->tenant->subscriptions;
	uint64_t hash = subscription_hash(s, channel);
	for (struct hash_link *l = hashtable_first(&h->subscriptions, hash); l != NULL; l = l->next) {
		struct subscription *m = list_entry(l, struct subscription, link);
		if (m->session == s && m->channel == channel)
			return m;
	}
	return NULL;
}

/* The share of a thing in the table's array of buckets is part of what it is charged. */
static uint64_t channel_bytes(const struct channel *channel) {
	return sizeof(*channel) + channel->length + 2 * sizeof(void *);
}
#define SUBSCRIPTION_BYTES (sizeof(struct subscription) + 2 * sizeof(void *))

/* Subscriptions and watched keys count among client_memory. The table of tracked names has a limit of its own. */
static int charge(struct session *s, enum channel_kind kind, uint64_t bytes) {
	if (kind != CHANNEL_TRACKED_KEY)
		return client_memory_charge(s->tenant, s, bytes, CHARGE_NOW);
	int error = tenant_charge(s->tenant, bytes);
	if (error == 0)
		s->tenant->subscriptions->tracked_bytes += bytes;
	return error;
}

static void discharge(struct subscriptions *h, enum channel_kind kind, uint64_t bytes) {
	if (kind != CHANNEL_TRACKED_KEY) {
		client_memory_discharge(h->tenant, bytes);
		return;
	}
	h->tracked_bytes -= bytes;
	tenant_discharge(h->tenant, bytes);
}

static struct channel *channel_new(struct subscriptions *h, enum channel_kind kind, unsigned database,
				   struct slice name) {
	struct channel *channel = malloc(sizeof(*channel) + name.len);
	if (channel == NULL || hashtable_reserve(&h->channels) < 0) {
		free(channel);
		return NULL;
	}
	*channel = (struct channel){.kind = kind, .database = (uint16_t)database, .length = name.len};
	channel->link.hash = channel_hash(h->tenant, kind, database, name);
	if (name.len != 0)
		memcpy(channel->name, name.data, name.len);
	list_init(&channel->subscriptions);
	list_push_back(&h->kinds[kind].channels, &channel->order);
	h->kinds[kind].count++;
	h->kinds[kind].length += name.len;
	hashtable_insert(&h->channels, &channel->link);
	return channel;
}

static void channel_free(struct subscriptions *h, struct channel *channel) {
	tracking_forget_changes(h, channel);
	hashtable_remove(&h->channels, &channel->link);
	list_remove(&channel->order);
	discharge(h, channel->kind, channel_bytes(channel));
	h->kinds[channel->kind].length -= channel->length;
	if (--h->kinds[channel->kind].count == 0)
		subscriptions_refresh(h->tenant);
	free(channel);
}

/* Bytes that a member counts for: as if the channel were its own. Tracked names count for nothing. */
static uint64_t weight_of(const struct channel *channel) {
	return channel->kind == CHANNEL_TRACKED_KEY ? 0 : SUBSCRIPTION_BYTES + channel_bytes(channel);
}

int subscription_add(struct session *s, enum channel_kind kind, unsigned database, struct slice name) {
	struct tenant *t = s->tenant;
	struct subscriptions *h = t->subscriptions;
	struct channel *channel = subscriptions_find(h, kind, database, name);
	if (channel != NULL && find_subscription(s, channel) != NULL)
		return 0;
	uint64_t bytes = SUBSCRIPTION_BYTES;
	if (channel == NULL)
		bytes += channel_bytes(&(struct channel){.length = name.len});
	/* What is evicted for it may end a channel: it is looked for again. */
	int error = charge(s, kind, bytes);
	if (error < 0)
		return error;
	struct channel *again = subscriptions_find(h, kind, database, name);
	if (channel != NULL && again == NULL) {
		discharge(h, kind, bytes);
		return ATOMDB_E_OOM;
	}
	struct subscription *m = malloc(sizeof(*m));
	channel = again;
	if (m == NULL || hashtable_reserve(&h->subscriptions) < 0 ||
	    (channel == NULL && (channel = channel_new(h, kind, database, name)) == NULL)) {
		free(m);
		discharge(h, kind, bytes);
		return -ENOMEM;
	}
	*m = (struct subscription){.channel = channel, .session = s, .link.hash = subscription_hash(s, channel)};
	hashtable_insert(&h->subscriptions, &m->link);
	list_push_back(&channel->subscriptions, &m->by_channel);
	list_push_back(&s->subscriber->kinds[kind].subscriptions, &m->by_subscriber);
	channel->count++;
	h->kinds[kind].subscriptions++;
	s->subscriber->kinds[kind].count++;
	s->subscriber->bytes += weight_of(channel);
	if (channel->count == 1)
		subscriptions_refresh(t);
	return 1;
}

void subscription_end(struct subscription *m) {
	struct channel *channel = m->channel;
	struct tenant *t = m->session->tenant;
	hashtable_remove(&t->subscriptions->subscriptions, &m->link);
	list_remove(&m->by_channel);
	list_remove(&m->by_subscriber);
	m->session->subscriber->kinds[channel->kind].count--;
	m->session->subscriber->bytes -= weight_of(channel);
	t->subscriptions->kinds[channel->kind].subscriptions--;
	free(m);
	discharge(t->subscriptions, channel->kind, SUBSCRIPTION_BYTES);
	if (--channel->count == 0)
		channel_free(t->subscriptions, channel);
}

bool subscription_remove(struct session *s, enum channel_kind kind, unsigned database, struct slice name) {
	struct channel *channel =
		s->subscriber == NULL ? NULL : subscriptions_find(s->tenant->subscriptions, kind, database, name);
	struct subscription *m = channel == NULL ? NULL : find_subscription(s, channel);
	if (m == NULL)
		return false;
	subscription_end(m);
	return true;
}

void subscription_remove_all(struct session *s, enum channel_kind kind) {
	if (s->subscriber == NULL)
		return;
	list_for_each (node, &s->subscriber->kinds[kind].subscriptions)
		subscription_end(list_entry(node, struct subscription, by_subscriber));
}

/* --- messages --------------------------------------------------------------------------------------------------- */

static void empty(struct buffer *b) {
	b->len = 0;
	if (b->cap > MESSAGE_KEPT)
		buffer_deinit(b);
}

void publish_end(struct subscriptions *h) {
	shared_buffer_release(h->shared);
	h->shared = NULL;
	empty(&h->body);
	empty(&h->head);
}

struct writer publish_body(struct subscriptions *h, size_t size) {
	struct writer w;
	publish_end(h);
	if (size >= SHARED_BUFFER_MIN)
		h->shared = shared_buffer_new(h->tenant, size);
	writer_init(&w, h->shared != NULL ? &h->shared->bytes : &h->body, SIZE_MAX);
	w.protocol = 3;
	w.failed = size >= SHARED_BUFFER_MIN && h->shared == NULL;
	return w;
}

struct slice publish_body_bytes(const struct subscriptions *h) {
	return buffer_slice(h->shared != NULL ? &h->shared->bytes : &h->body);
}

struct writer publish_head(struct subscriptions *h, size_t elements) {
	struct writer w;
	empty(&h->head);
	h->whole = false;
	writer_init(&w, &h->head, SIZE_MAX);
	w.protocol = 3;
	writer_push(&w, elements);
	return w;
}

/* --- pushes to the session that runs a command ------------------------------------------------------------------ */

/* A push must not come into the middle of a reply. One that a command makes before it has begun to reply comes in front
 * of the reply, as in Redis 7.0; what the store tells of keys that expire or are evicted comes behind it. */

void publish_begin_command(struct subscriptions *h, struct session *s) {
	h->current = s;
	h->event_count = 0;
	h->reply_begin = s->reply->out->len;
}

void publish_end_command(struct subscriptions *h) {
	struct session *s = h->current;
	h->current = NULL;
	if (s != NULL && !s->reply->failed) {
		if (h->deferred.len != 0)
			publish_push(h, s, buffer_slice(&h->deferred));
		tracking_tell_own(h, s);
	}
	drop_held(h);
}

void publish_hold(struct subscriptions *h, struct buffer *to, const void *bytes, size_t len) {
	struct writer *w = h->current->reply;
	if (!writer_fits(w, h->held + len) || client_memory_charge(h->tenant, h->current, len, CHARGE_LATER) < 0) {
		w->failed = true;
		return;
	}
	h->held += len;
	if (buffer_append(to, bytes, len, SIZE_MAX) < 0)
		w->failed = true;
}

void publish_push(struct subscriptions *h, struct session *to, struct slice bytes) {
	if (h->env->host == NULL || h->env->host->push == NULL)
		return;
	if (to != h->current) {
		h->env->host->push(to, bytes);
	} else if (h->unplanned || to->reply->out->len > h->reply_begin) {
		publish_hold(h, &h->deferred, bytes.data, bytes.len);
	} else {
		h->env->host->push(to, bytes);
		h->reply_begin = to->reply->out->len;
	}
}

static void send(struct subscriptions *h, struct session *to, struct slice head) {
	const struct session_host *host = h->env->host;
	if (h->shared != NULL && to != h->current && host != NULL && host->push_shared != NULL) {
		host->push_shared(to, head, h->shared);
		return;
	}
	if (head.len > 0)
		publish_push(h, to, head);
	if (h->shared != NULL)
		publish_push(h, to, buffer_slice(&h->shared->bytes));
}

void publish_send(struct subscriptions *h, struct session *to) {
	if (h->shared == NULL && !h->whole)
		h->whole = buffer_append(&h->head, h->body.data, h->body.len, SIZE_MAX) == 0;
	if (h->head.len > 0)
		h->head.data[0] = to->protocol == 2 ? '*' : '>';
	send(h, to, buffer_slice(&h->head));
}

void publish_send_body(struct subscriptions *h, struct session *to) {
	send(h, to, buffer_slice(&h->body));
}
