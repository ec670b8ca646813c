#include "atomdb/events/subscriptions.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "atomdb/events/changes.h"
#include "atomdb/events/keyspace_events.h"
#include "atomdb/session/client_memory.h"
#include "atomdb/session/module.h"
#include "atomdb/store/tenant.h"
#include "atomdb/util/error.h"

static uint64_t channel_hash(const struct tenant *t, enum channel_kind kind, unsigned database, struct slice name) {
	return keyspace_key(t, 0, name).hash + (uint64_t)kind * 16 + database;
}

static uint64_t subscription_hash(const struct session *s, const struct channel *channel) {
	uint64_t h = (uintptr_t)s * UINT64_C(0x9E3779B97F4A7C15) ^ (uintptr_t)channel;
	h *= UINT64_C(0xD6E8FEB86659FD93);
	return h ^ h >> 32;
}

/* --- subscriptions and subscribers ------------------------------------------------------------------------------ */

void subscriptions_interest(struct subscriptions *h, int change) {
	h->interest += (uint64_t)(int64_t)change;
	h->tenant->watcher = h->interest != 0 ? h->env->modules->key_changed : NULL;
}

static struct subscriptions *subscriptions_new(struct session *s) {
	if (client_memory_charge(s->tenant, s, sizeof(struct subscriptions), CHARGE_NOW) < 0)
		return NULL;
	struct subscriptions *h = calloc(1, sizeof(*h));
	if (h == NULL) {
		client_memory_discharge(s->tenant, sizeof(*h));
		return NULL;
	}
	h->env = h->push.env = s->env;
	h->tenant = h->push.tenant = s->tenant;
	list_init(&h->tracking);
	list_init(&h->monitors);
	for (unsigned i = 0; i < CHANNEL_KINDS; i++)
		list_init(&h->kinds[i].channels);
	subscriptions_interest(h, keyspace_events_wanted(s->tenant));
	return s->tenant->clients.subscriptions = h;
}

/* Nothing is left to send for the tenant at the end of the turn. */
static void leave_broadcasts(struct subscriptions *h) {
	struct subscriptions **at = &h->env->broadcasts;
	if (!h->broadcasts)
		return;
	while (*at != h)
		at = &(*at)->next;
	*at = h->next;
}

static void subscriptions_free(struct subscriptions *h) {
	struct tenant *t = h->tenant;
	assert(h->channels.count == 0 && h->subscriptions.count == 0);
	subscriptions_interest(h, -(int)keyspace_events_wanted(t));
	assert(h->interest == 0);
	leave_broadcasts(h);
	t->clients.subscriptions = NULL;
	push_deinit(&h->push);
	free(h);
	client_memory_discharge(t, sizeof(*h));
}

static struct subscriber *subscriber_new(struct session *s) {
	if (client_memory_charge(s->tenant, s, sizeof(struct subscriber), CHARGE_NOW) < 0)
		return NULL;
	struct subscriber *p = calloc(1, sizeof(*p));
	if (p == NULL) {
		client_memory_discharge(s->tenant, sizeof(*p));
		return NULL;
	}
	for (unsigned i = 0; i < CHANNEL_KINDS; i++)
		list_init(&p->kinds[i].subscriptions);
	list_init(&p->redirected);
	list_init(&p->monitor);
	p->session = s;
	s->event_bytes += sizeof(*p);
	s->tenant->clients.subscriptions->subscribers++;
	return s->subscriber = p;
}

int subscriber_open(struct session *s) {
	if (s->subscriber != NULL)
		return 0;
	struct subscriptions *h =
		s->tenant->clients.subscriptions != NULL ? s->tenant->clients.subscriptions : subscriptions_new(s);
	if (h == NULL)
		return ATOMDB_E_OOM;
	if (subscriber_new(s) != NULL)
		return 0;
	if (h->subscribers == 0)
		subscriptions_free(h);
	return ATOMDB_E_OOM;
}

void subscriber_close(struct session *s) {
	struct subscriber *p = s->subscriber;
	struct subscriptions *h = s->tenant->clients.subscriptions;
	if (p == NULL)
		return;
	for (unsigned i = 0; i < CHANNEL_KINDS; i++)
		subscription_remove_all(s, (enum channel_kind)i);
	s->flags &= ~(uint32_t)SESSION_EVENT_FLAGS;
	s->subscriber = NULL;
	s->event_bytes -= sizeof(*p);
	free(p);
	client_memory_discharge(h->tenant, sizeof(*p));
	if (--h->subscribers == 0)
		subscriptions_free(h);
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
	const struct subscriptions *h = s->tenant->clients.subscriptions;
	uint64_t hash = subscription_hash(s, channel);
	for (struct hash_link *l = hashtable_first(&h->subscriptions, hash); l != NULL; l = l->next) {
		struct subscription *m = list_entry(l, struct subscription, link);
		if (m->session == s && m->channel == channel)
			return m;
	}
	return NULL;
}

/* A charge includes the share of the table's bucket array. */
static uint64_t channel_bytes(const struct channel *channel) {
	return sizeof(*channel) + channel->length + 2 * sizeof(void *);
}
#define SUBSCRIPTION_BYTES (sizeof(struct subscription) + 2 * sizeof(void *))

/* Subscriptions and watched keys count in client_memory. The table of tracked names has its own limit. */
static int charge(struct session *s, enum channel_kind kind, uint64_t bytes) {
	if (kind != CHANNEL_TRACKED_KEY)
		return client_memory_charge(s->tenant, s, bytes, CHARGE_NOW);
	int error = tenant_charge(s->tenant, bytes);
	if (error == 0)
		s->tenant->clients.subscriptions->tracked_bytes += bytes;
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

/* Returns whether subscribers of the kind need the store's reports of changes. CLIENT TRACKING counts the subscribers
 * of prefixes itself. */
static bool is_of_interest(enum channel_kind kind) {
	return kind == CHANNEL_WATCHED_KEY || kind == CHANNEL_TRACKED_KEY;
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
	if (is_of_interest(kind))
		subscriptions_interest(h, 1);
	return channel;
}

static void channel_free(struct subscriptions *h, struct channel *channel) {
	changes_free(channel->changes);
	if (is_of_interest(channel->kind))
		subscriptions_interest(h, -1);
	hashtable_remove(&h->channels, &channel->link);
	list_remove(&channel->order);
	discharge(h, channel->kind, channel_bytes(channel));
	h->kinds[channel->kind].length -= channel->length;
	h->kinds[channel->kind].count--;
	free(channel);
}

/* Returns the bytes that a subscription counts for its session, as if it owned the channel. Tracked names count 0. */
static uint64_t weight_of(const struct channel *channel) {
	return channel->kind == CHANNEL_TRACKED_KEY ? 0 : SUBSCRIPTION_BYTES + channel_bytes(channel);
}

int subscription_add(struct session *s, enum channel_kind kind, unsigned database, struct slice name) {
	struct subscriptions *h = s->tenant->clients.subscriptions;
	struct channel *channel = subscriptions_find(h, kind, database, name);
	if (channel != NULL && find_subscription(s, channel) != NULL)
		return 0;
	uint64_t bytes = SUBSCRIPTION_BYTES;
	if (channel == NULL)
		bytes += channel_bytes(&(struct channel){.length = name.len});
	/* The charge may evict keys, which may end a channel: look it up again. */
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
	s->event_bytes += weight_of(channel);
	return 1;
}

void subscription_end(struct subscription *m) {
	struct channel *channel = m->channel;
	struct tenant *t = m->session->tenant;
	hashtable_remove(&t->clients.subscriptions->subscriptions, &m->link);
	list_remove(&m->by_channel);
	list_remove(&m->by_subscriber);
	m->session->subscriber->kinds[channel->kind].count--;
	m->session->event_bytes -= weight_of(channel);
	t->clients.subscriptions->kinds[channel->kind].subscriptions--;
	free(m);
	discharge(t->clients.subscriptions, channel->kind, SUBSCRIPTION_BYTES);
	if (--channel->count == 0)
		channel_free(t->clients.subscriptions, channel);
}

bool subscription_remove(struct session *s, enum channel_kind kind, unsigned database, struct slice name) {
	struct channel *channel = s->subscriber == NULL
					  ? NULL
					  : subscriptions_find(s->tenant->clients.subscriptions, kind, database, name);
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

/* --- hand-over to the next process ------------------------------------------------------------------------------ */

/* Lists of channel records, by enum channel_kind. */
struct subscriptions_record {
	struct slice channels[CHANNEL_KINDS];
};

#define CHANNELS(name, kind) [kind] = {name, FIELD_BYTES, (kind) * sizeof(struct slice), SIZE_MAX, 0}

static const struct field subscriptions_fields[CHANNEL_KINDS] = {
	CHANNELS("channels", CHANNEL_GLOBAL),     CHANNELS("shard_channels", CHANNEL_SHARD),
	CHANNELS("patterns", CHANNEL_PATTERN),    CHANNELS("watched", CHANNEL_WATCHED_KEY),
	CHANNELS("tracked", CHANNEL_TRACKED_KEY), CHANNELS("prefixes", CHANNEL_TRACKED_PREFIX),
};

#undef CHANNELS

struct channel_record {
	uint64_t database;
	struct slice name;
};

static const struct field channel_fields[] = {
	{"database", FIELD_NUMBER, offsetof(struct channel_record, database), TENANT_DATABASES - 1, 0},
	{"name", FIELD_BYTES, offsetof(struct channel_record, name), SIZE_MAX, 0},
};

#define COUNT(fields) (sizeof(fields) / sizeof((fields)[0]))

static void serialize_channels(const struct subscriber *p, unsigned kind, struct serializer *out) {
	if (p->kinds[kind].count == 0)
		return;
	size_t begin = serialize_begin(out, subscriptions_fields[kind].name);
	list_for_each (node, &p->kinds[kind].subscriptions) {
		const struct channel *channel = list_entry(node, struct subscription, by_subscriber)->channel;
		const struct channel_record r = {channel->database, channel_name(channel)};
		size_t element = serialize_begin(out, SERIALIZE_ELEMENT);
		serialize_record(out, channel_fields, COUNT(channel_fields), &r);
		serialize_end(out, element);
	}
	serialize_end(out, begin);
}

void subscriptions_serialize(const struct session *s, struct serializer *out, const char *name) {
	if (s->subscriber == NULL)
		return;
	size_t begin = serialize_begin(out, name);
	for (unsigned kind = 0; kind < CHANNEL_KINDS; kind++)
		serialize_channels(s->subscriber, kind, out);
	serialize_end(out, begin);
}

static int add_subscriptions(struct session *s, enum channel_kind kind, struct slice list) {
	struct channel_record channel;
	struct slice element;
	int found;
	/* CLIENT TRACKING ON BCAST subscribes to a prefix. */
	if (kind == CHANNEL_TRACKED_PREFIX && list.len > 0 && !s->subscriber->by_prefix)
		return ATOMDB_E_FORMAT;
	while ((found = deserialize_element(&list, &element)) > 0) {
		int error = deserialize_record(element, channel_fields, COUNT(channel_fields), &channel);
		if (error < 0 || channel.name.data == NULL)
			return ATOMDB_E_FORMAT;
		if (subscription_add(s, kind, (unsigned)channel.database, channel.name) < 0)
			return ATOMDB_E_OOM;
	}
	return found;
}

int subscriptions_deserialize(struct session *s, struct slice record) {
	struct subscriptions_record r;
	if (record.len == 0)
		return 0;
	if (s->tenant == NULL)
		return ATOMDB_E_FORMAT;
	if (subscriber_open(s) < 0)
		return ATOMDB_E_OOM;
	int error = deserialize_record(record, subscriptions_fields, COUNT(subscriptions_fields), &r);
	for (unsigned kind = 0; kind < CHANNEL_KINDS && error == 0; kind++)
		error = add_subscriptions(s, (enum channel_kind)kind, r.channels[kind]);
	return error;
}
