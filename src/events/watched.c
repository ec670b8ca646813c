#include "atomdb/events/watched.h"

#include "atomdb/session/reply.h"
#include "atomdb/store/tenant.h"
#include "atomdb/util/error.h"
#include "atomdb/util/hash.h"

/* Value of lost_watch for a session that left several tenants with watched keys. */
#define LOST_SEVERAL UINT64_MAX

int watched_add(struct session *s, const struct request *r) {
	if (subscriber_open(s) < 0)
		return ATOMDB_E_OOM;
	const struct list *watched = &s->subscriber->kinds[CHANNEL_WATCHED_KEY].subscriptions;
	uint64_t before = subscription_count(s, CHANNEL_WATCHED_KEY);
	size_t work = 0;
	for (uint32_t i = 1; i < r->argc; i++) {
		(void)fiber_check_every(&work, 1, CHECK_KEYS);
		/* Removes expired keys now, so that a later removal is not reported as a change. */
		struct key key = request_key(s, r, i);
		(void)keyspace_find(s->tenant, &key, LOOKUP_PEEK);
		if (subscription_add(s, CHANNEL_WATCHED_KEY, s->database, r->argv[i]) >= 0)
			continue;
		for (; subscription_count(s, CHANNEL_WATCHED_KEY) > before;
		     (void)fiber_check_every(&work, 1, CHECK_KEYS))
			subscription_end(list_entry(watched->prev, struct subscription, by_subscriber));
		return ATOMDB_E_OOM;
	}
	return 0;
}

void watched_forget(struct session *s) {
	subscription_remove_all(s, CHANNEL_WATCHED_KEY);
	s->flags &= ~(uint32_t)SESSION_DIRTY_KEYS;
	s->lost_watch = 0;
}

void watched_check(struct session *s) {
	size_t work = 0;
	list_for_each (node, &s->subscriber->kinds[CHANNEL_WATCHED_KEY].subscriptions) {
		const struct channel *channel = list_entry(node, struct subscription, by_subscriber)->channel;
		struct key key =
			keyspace_key(s->tenant, keyspace_db_slot(s->tenant, channel->database), channel_name(channel));
		(void)keyspace_find(s->tenant, &key, LOOKUP_PEEK);
		(void)fiber_check_every(&work, 1, CHECK_KEYS);
	}
}

/* Returns a number that identifies a tenant, even after it was forgotten and opened again. Never 0 or LOST_SEVERAL. */
static uint64_t identity(const struct tenant *t) {
	const char *name = tenant_name(t);
	return hash_bytes(&(struct hash_seed){0}, name, strlen(name)) % (LOST_SEVERAL - 1) + 1;
}

/* Keys may have changed before the session returned to the tenant, so that EXEC must fail. */
void watched_detach(struct session *s) {
	uint64_t tenant = identity(s->tenant);
	if (!(s->flags & SESSION_DIRTY_KEYS) && subscription_count(s, CHANNEL_WATCHED_KEY) == 0)
		return;
	s->lost_watch = s->lost_watch == 0 || s->lost_watch == tenant ? tenant : LOST_SEVERAL;
}

void watched_attach(struct session *s) {
	if (s->lost_watch == 0)
		return;
	if (s->lost_watch == LOST_SEVERAL || s->lost_watch == identity(s->tenant))
		s->flags |= SESSION_DIRTY_KEYS;
}

static void mark_dirty(const struct channel *channel) {
	list_for_each (node, &channel->subscriptions) {
		struct session *s = list_entry(node, struct subscription, by_channel)->session;
		/* Changes of a transaction do not count for itself. */
		if (!(s->flags & SESSION_EXECUTING))
			s->flags |= SESSION_DIRTY_KEYS;
	}
}

void watched_touch(struct subscriptions *h, unsigned database, struct slice name) {
	const struct channel *channel = subscriptions_find(h, CHANNEL_WATCHED_KEY, database, name);
	if (channel != NULL)
		mark_dirty(channel);
}

void watched_flush(struct subscriptions *h, unsigned database) {
	size_t work = 0;
	list_for_each (node, &h->kinds[CHANNEL_WATCHED_KEY].channels) {
		const struct channel *channel = list_entry(node, struct channel, order);
		(void)fiber_check_every(&work, 1, CHECK_KEYS);
		if (database != channel->database && database != TENANT_DATABASES)
			continue;
		struct key key =
			keyspace_key(h->tenant, keyspace_db_slot(h->tenant, channel->database), channel_name(channel));
		if (keyspace_find(h->tenant, &key, LOOKUP_PEEK) != NULL)
			mark_dirty(channel);
	}
}

void watched_swap(struct tenant *t, unsigned a, unsigned b) {
	size_t work = 0;
	if (t->clients.subscriptions == NULL)
		return;
	list_for_each (node, &t->clients.subscriptions->kinds[CHANNEL_WATCHED_KEY].channels) {
		const struct channel *channel = list_entry(node, struct channel, order);
		(void)fiber_check_every(&work, 1, CHECK_KEYS);
		if (channel->database != a && channel->database != b)
			continue;
		struct key here = keyspace_key(t, keyspace_db_slot(t, a), channel_name(channel));
		struct key there = keyspace_key(t, keyspace_db_slot(t, b), channel_name(channel));
		if (keyspace_find(t, &here, LOOKUP_PEEK) != NULL || keyspace_find(t, &there, LOOKUP_PEEK) != NULL)
			mark_dirty(channel);
	}
}
