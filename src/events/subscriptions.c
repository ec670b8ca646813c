#include "atomdb/events/subscriptions.h"

#include <assert.h>
#include <stdlib.h>

#include "atomdb/events/changes.h"
#include "atomdb/events/keyspace_events.h"
#include "atomdb/session/client_memory.h"
#include "atomdb/session/module.h"
#include "atomdb/store/tenant.h"
#include "atomdb/util/error.h"
#include "atomdb/util/fiber.h"

/* Subscriptions that end between two check points. */
#define CHECK_ENDED 16
/* An audience above one of these is large: receivers of one message, and bytes of patterns. Each takes some tens of
 * microseconds. */
#define AUDIENCE_RECEIVERS 256
#define AUDIENCE_BYTES     256
/* Bytes of arguments that are matched with patterns in some tens of microseconds. */
#define AUDIENCE_TEXT 512

static uint64_t channel_hash(const struct key *key, enum channel_kind kind, unsigned database) {
	return key->hash + (uint64_t)kind * 16 + database;
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

static enum audience audience_of(const struct subscriptions *h) {
	const struct tenant *t = h->tenant;
	uint64_t receivers = h->trackers > h->monitor_count ? h->trackers : h->monitor_count, bytes = 0;
	if (t->clients.event_classes & (NOTIFY_KEYSPACE | NOTIFY_KEYEVENT)) {
		uint64_t events = h->kinds[CHANNEL_GLOBAL].subscriptions + h->kinds[CHANNEL_PATTERN].subscriptions;
		receivers = events > receivers ? events : receivers;
		bytes = h->kinds[CHANNEL_PATTERN].length;
	}
	if (receivers > AUDIENCE_RECEIVERS || bytes > AUDIENCE_BYTES)
		return AUDIENCE_LARGE;
	return bytes > 0 ? AUDIENCE_PATTERNS : AUDIENCE_SMALL;
}

void subscriptions_measure_audience(struct subscriptions *h) {
	struct tenant_clients *c = &h->tenant->clients;
	enum audience before = (enum audience)c->audience, now = audience_of(h);
	if (now == before)
		return;
	c->audience = (uint8_t)now;
	session_count_attention(h->tenant, (now != AUDIENCE_SMALL) - (before != AUDIENCE_SMALL));
}

/* Returns whether there may be many messages about a command that only reads. */
static bool tells_of_reads(const struct tenant *t) {
	return t->clients.subscriptions->monitor_count > AUDIENCE_RECEIVERS || (t->clients.event_classes & NOTIFY_MISS);
}

bool subscriptions_make_long(const struct tenant *t, const struct request *r) {
	size_t bytes = 0;
	if (t->clients.audience == AUDIENCE_SMALL || (r->command->flags & CMD_NO_AUTH) ||
	    ((r->command->flags & CMD_READONLY) && !tells_of_reads(t)))
		return false;
	for (uint32_t i = 1; i < r->argc && bytes <= AUDIENCE_TEXT; i++)
		bytes += r->argv[i].len + 1;
	return t->clients.audience == AUDIENCE_LARGE || bytes > AUDIENCE_TEXT;
}

static struct subscriptions *subscriptions_new(struct session *s) {
	struct client_charge charge = {.tenant = s->tenant};
	if (client_charge_grow(&charge, s, sizeof(struct subscriptions), CHARGE_NOW) < 0)
		return NULL;
	struct subscriptions *h = calloc(1, sizeof(*h));
	if (h == NULL) {
		client_charge_release(&charge);
		return NULL;
	}
	h->charge = charge;
	h->env = s->env;
	h->tenant = s->tenant;
	push_init(&h->push, s->env, s->tenant);
	change_queue_init(&h->changed, s->tenant);
	list_init(&h->tracking);
	list_init(&h->monitors);
	for (unsigned i = 0; i < CHANNEL_KINDS; i++)
		list_init(&h->kinds[i].channels);
	subscriptions_interest(h, keyspace_events_wanted(s->tenant));
	return s->tenant->clients.subscriptions = h;
}

void subscriptions_send_later(struct subscriptions *h) {
	struct subscriptions **at = &h->env->unsent;
	if (h->unsent)
		return;
	while (*at != NULL)
		at = &(*at)->next;
	*at = h;
	h->next = NULL;
	h->unsent = true;
}

/* Nothing is left to send for the tenant at the end of the turn. */
static void leave_unsent(struct subscriptions *h) {
	struct subscriptions **at = &h->env->unsent;
	if (!h->unsent)
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
	leave_unsent(h);
	change_queue_deinit(&h->changed);
	t->clients.event_classes &= ~(uint32_t)NOTIFY_QUEUED;
	t->clients.subscriptions = NULL;
	push_deinit(&h->push);
	/* A reservation that failed half-way leaves buckets in an empty table. */
	hashtable_deinit(&h->channels);
	hashtable_deinit(&h->subscriptions);
	struct client_charge charge = h->charge;
	assert(charge.bytes == sizeof(*h) && h->tracked_bytes == 0);
	free(h);
	client_charge_release(&charge);
}

static struct subscriber *subscriber_new(struct session *s) {
	struct subscriber *p = client_memory_alloc(s, sizeof(*p));
	if (p == NULL)
		return NULL;
	for (unsigned i = 0; i < CHANNEL_KINDS; i++)
		list_init(&p->kinds[i].subscriptions);
	list_init(&p->redirected);
	list_init(&p->monitor);
	p->session = s;
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
	client_memory_free(s, p, sizeof(*p));
	if (--h->subscribers == 0)
		subscriptions_free(h);
}

/* --- channels ----------------------------------------------------------------------------------------------------- */

static struct channel *find_channel(const struct subscriptions *h, enum channel_kind kind, unsigned database,
				    const struct key *key) {
	uint64_t hash = channel_hash(key, kind, database);
	for (struct hash_link *l = hashtable_first(&h->channels, hash); l != NULL; l = l->next) {
		struct channel *channel = list_entry(l, struct channel, link);
		if (l->hash == hash && channel->kind == kind && channel->database == database &&
		    slice_equal(channel_name(channel), key->name))
			return channel;
	}
	return NULL;
}

struct channel *subscriptions_find(const struct subscriptions *h, enum channel_kind kind, unsigned database,
				   struct slice name) {
	if (h == NULL || h->kinds[kind].count == 0)
		return NULL;
	struct key key = keyspace_key(h->tenant, 0, name);
	return find_channel(h, kind, database, &key);
}

struct channel *subscriptions_look_up(const struct subscriptions *h, enum channel_kind kind, unsigned database,
				      struct slice name) {
	if (h == NULL || h->kinds[kind].count == 0)
		return NULL;
	struct key key = keyspace_long_key(h->tenant, 0, name);
	return find_channel(h, kind, database, &key);
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

/* Bytes charged for a block besides its own: its share of the table's array of buckets. */
#define BUCKETS_SHARE (2 * sizeof(void *))

/* Subscriptions and watched keys count as client_memory. The table of tracked keys has its own limit. */
static int charge(struct subscriptions *h, struct session *s, enum channel_kind kind, uint64_t bytes) {
	if (kind != CHANNEL_TRACKED_KEY)
		return client_charge_grow(&h->charge, s, bytes, CHARGE_NOW);
	int error = tenant_charge(h->tenant, bytes);
	if (error == 0)
		h->tracked_bytes += bytes;
	return error;
}

static void discharge(struct subscriptions *h, enum channel_kind kind, uint64_t bytes) {
	if (kind != CHANNEL_TRACKED_KEY) {
		client_charge_shrink(&h->charge, bytes);
		return;
	}
	assert(bytes <= h->tracked_bytes);
	h->tracked_bytes -= bytes;
	tenant_discharge(h->tenant, bytes);
}

/* Allocates a channel or a subscription, and charges it. Evicting keys for it may end other channels. */
static void *block_alloc(struct subscriptions *h, struct session *s, enum channel_kind kind, size_t size) {
	if (charge(h, s, kind, size + BUCKETS_SHARE) < 0)
		return NULL;
	void *block = calloc(1, size);
	if (block == NULL)
		discharge(h, kind, size + BUCKETS_SHARE);
	return block;
}

/* NULL is ignored. */
static void block_free(struct subscriptions *h, enum channel_kind kind, void *block, size_t size) {
	if (block == NULL)
		return;
	free(block);
	discharge(h, kind, size + BUCKETS_SHARE);
}

/* Returns whether the store must report changes for subscriptions of this kind. CLIENT TRACKING counts those of
 * prefixes itself. */
static bool is_of_interest(enum channel_kind kind) {
	return kind == CHANNEL_WATCHED_KEY || kind == CHANNEL_TRACKED_KEY;
}

static size_t channel_size(const struct channel *channel) {
	return sizeof(*channel) + channel->length;
}

/* Creates a channel that subscriptions_find() does not find. Returns NULL if there is no room. */
static struct channel *channel_new(struct subscriptions *h, struct session *s, enum channel_kind kind,
				   unsigned database, struct slice name) {
	size_t size = sizeof(struct channel) + name.len;
	struct channel *channel = block_alloc(h, s, kind, size);
	if (channel == NULL || hashtable_reserve(&h->channels) < 0) {
		block_free(h, kind, channel, size);
		return NULL;
	}
	*channel = (struct channel){.kind = kind, .database = (uint16_t)database, .length = name.len};
	struct key key = keyspace_long_key(h->tenant, 0, name);
	channel->link.hash = channel_hash(&key, kind, database);
	if (name.len != 0)
		fiber_copy(channel->name, name.data, name.len);
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
	h->kinds[channel->kind].length -= channel->length;
	h->kinds[channel->kind].count--;
	block_free(h, channel->kind, channel, channel_size(channel));
}

/* Returns the bytes that a subscription counts for its session, as if the session held the channel alone. Tracked keys
 * count nothing. */
static int64_t weight_of(const struct channel *channel) {
	if (channel->kind == CHANNEL_TRACKED_KEY)
		return 0;
	return (int64_t)(sizeof(struct subscription) + channel_size(channel) + 2 * BUCKETS_SHARE);
}

/* Finds or creates the channel. Returns NULL if evicting keys has ended a channel that existed: its key has changed. */
static struct channel *open_channel(struct subscriptions *h, struct session *s, enum channel_kind kind,
				    unsigned database, struct slice name, bool existed) {
	struct channel *channel = subscriptions_look_up(h, kind, database, name);
	if (channel == NULL && !existed)
		channel = channel_new(h, s, kind, database, name);
	return channel;
}

/* Creates a subscription that is in no list yet, with room in the table, and its channel. */
static struct subscription *subscription_new(struct subscriptions *h, struct session *s, enum channel_kind kind,
					     unsigned database, struct slice name, bool existed) {
	struct subscription *m = block_alloc(h, s, kind, sizeof(*m));
	struct channel *channel = m == NULL ? NULL : open_channel(h, s, kind, database, name, existed);
	/* Comes last: the table frees its buckets when its last subscription ends. */
	if (channel != NULL && hashtable_reserve(&h->subscriptions) == 0) {
		*m = (struct subscription){
			.channel = channel, .session = s, .link.hash = subscription_hash(s, channel)};
		return m;
	}
	if (channel != NULL && channel->count == 0)
		channel_free(h, channel);
	block_free(h, kind, m, sizeof(*m));
	return NULL;
}

int subscription_add(struct session *s, enum channel_kind kind, unsigned database, struct slice name) {
	struct subscriptions *h = s->tenant->clients.subscriptions;
	struct channel *channel = subscriptions_look_up(h, kind, database, name);
	if (channel != NULL && find_subscription(s, channel) != NULL)
		return 0;
	struct subscription *m = subscription_new(h, s, kind, database, name, channel != NULL);
	if (m == NULL)
		return ATOMDB_E_OOM;
	channel = m->channel;
	hashtable_insert(&h->subscriptions, &m->link);
	list_push_back(&channel->subscriptions, &m->by_channel);
	list_push_back(&s->subscriber->kinds[kind].subscriptions, &m->by_subscriber);
	channel->count++;
	h->kinds[kind].subscriptions++;
	s->subscriber->kinds[kind].count++;
	subscriptions_measure_audience(h);
	client_memory_count(s, weight_of(channel));
	return 1;
}

void subscription_end(struct subscription *m) {
	struct channel *channel = m->channel;
	enum channel_kind kind = channel->kind;
	struct session *s = m->session;
	struct subscriptions *h = s->tenant->clients.subscriptions;
	hashtable_remove(&h->subscriptions, &m->link);
	list_remove(&m->by_channel);
	list_remove(&m->by_subscriber);
	s->subscriber->kinds[kind].count--;
	client_memory_count(s, -weight_of(channel));
	h->kinds[kind].subscriptions--;
	block_free(h, kind, m, sizeof(*m));
	if (--channel->count == 0)
		channel_free(h, channel);
	subscriptions_measure_audience(h);
}

bool subscription_remove(struct session *s, enum channel_kind kind, unsigned database, struct slice name) {
	struct channel *channel =
		s->subscriber == NULL ? NULL
				      : subscriptions_look_up(s->tenant->clients.subscriptions, kind, database, name);
	struct subscription *m = channel == NULL ? NULL : find_subscription(s, channel);
	if (m == NULL)
		return false;
	subscription_end(m);
	return true;
}

void subscription_remove_all(struct session *s, enum channel_kind kind) {
	size_t work = 0;
	if (s->subscriber == NULL)
		return;
	list_for_each (node, &s->subscriber->kinds[kind].subscriptions) {
		subscription_end(list_entry(node, struct subscription, by_subscriber));
		(void)fiber_check_every(&work, 1, CHECK_ENDED);
	}
}

/* Ends up to `units` subscriptions of one kind. Returns whether there are more. */
static bool shed(struct session *s, enum channel_kind kind, unsigned units) {
	const struct list *all = &s->subscriber->kinds[kind].subscriptions;
	/* The session may come back to the tenant: EXEC must fail then. */
	if (kind == CHANNEL_WATCHED_KEY && !list_empty(all))
		s->flags |= SESSION_DIRTY_KEYS;
	for (; units > 0 && !list_empty(all); units--)
		subscription_end(list_entry(all->next, struct subscription, by_subscriber));
	return !list_empty(all);
}

bool subscriptions_shed(struct session *s, unsigned units) {
	bool more = false;
	for (unsigned i = 0; i < CHANNEL_KINDS && s->subscriber != NULL; i++)
		more |= shed(s, (enum channel_kind)i, units);
	return more;
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
