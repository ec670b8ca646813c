#include "atomdb/events/subscriptions.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "atomdb/dispatch/admission.h"
#include "atomdb/events/monitor.h"
#include "atomdb/session/client_memory.h"
#include "atomdb/util/error.h"
#include "commands/handlers.h"

/* A message buffer that a rare large message made is not kept. */
#define MESSAGE_KEPT ((size_t)64 << 10)

static uint64_t topic_hash(const struct tenant *t, enum topic_kind kind, unsigned database, struct slice name) {
	return keyspace_key(t, 0, name).hash + (uint64_t)kind * 16 + database;
}

static uint64_t membership_hash(const struct session *s, const struct topic *topic) {
	uint64_t h = (uintptr_t)s * UINT64_C(0x9E3779B97F4A7C15) ^ (uintptr_t)topic;
	h *= UINT64_C(0xD6E8FEB86659FD93);
	return h ^ h >> 32;
}

/* --- hub and peer ----------------------------------------------------------------------------------------------- */

static struct hub *hub_new(struct session *s) {
	if (client_memory_charge(s->tenant, s, sizeof(struct hub), CHARGE_NOW) < 0)
		return NULL;
	struct hub *h = calloc(1, sizeof(*h));
	if (h == NULL) {
		client_memory_discharge(s->tenant, sizeof(*h));
		return NULL;
	}
	h->env = s->env;
	h->tenant = s->tenant;
	list_init(&h->tracking);
	list_init(&h->monitors);
	for (unsigned i = 0; i < TOPIC_KINDS; i++)
		list_init(&h->kinds[i].topics);
	return s->tenant->hub = h;
}

static void hub_free(struct hub *h) {
	struct tenant *t = h->tenant;
	assert(h->topics.count == 0 && h->memberships.count == 0);
	tracking_forget_hub(h);
	t->hub = NULL;
	hub_refresh(t);
	hub_end_message(h);
	buffer_deinit(&h->head);
	buffer_deinit(&h->body);
	free(h);
	client_memory_discharge(t, sizeof(*h));
}

struct peer *hub_peer(struct session *s) {
	if (s->peer != NULL)
		return s->peer;
	struct hub *h = s->tenant->hub != NULL ? s->tenant->hub : hub_new(s);
	struct peer *p = NULL;
	if (h != NULL && client_memory_charge(s->tenant, s, sizeof(*p), CHARGE_NOW) == 0) {
		p = calloc(1, sizeof(*p));
		if (p == NULL)
			client_memory_discharge(s->tenant, sizeof(*p));
	}
	if (p == NULL) {
		if (h != NULL && h->peers == 0)
			hub_free(h);
		reply_store_error(s, ATOMDB_E_OOM);
		return NULL;
	}
	for (unsigned i = 0; i < TOPIC_KINDS; i++)
		list_init(&p->kinds[i].memberships);
	list_init(&p->redirected);
	list_init(&p->monitor);
	p->session = s;
	p->bytes = sizeof(*p);
	h->peers++;
	return s->peer = p;
}

/* Forgets what was kept for the session that runs a command. */
static void drop_held(struct hub *h) {
	buffer_deinit(&h->deferred);
	buffer_deinit(&h->own);
	client_memory_discharge(h->tenant, h->held);
	h->held = 0;
	h->own_redirect = 0;
}

void hub_leave(struct session *s) {
	struct peer *p = s->peer;
	struct hub *h = s->tenant->hub;
	if (h != NULL && h->current == s) {
		h->current = NULL;
		drop_held(h);
	}
	if (p == NULL)
		return;
	transaction_end(s);
	tracking_leave(s);
	monitor_leave(s);
	for (unsigned i = 0; i < TOPIC_KINDS; i++)
		hub_part_all(s, (enum topic_kind)i);
	s->flags &= ~(uint32_t)SESSION_BETWEEN;
	s->peer = NULL;
	h->tenant->leaving_bytes -= p->leaving;
	free(p);
	client_memory_discharge(h->tenant, sizeof(*p));
	if (--h->peers == 0)
		hub_free(h);
	else
		hub_refresh(h->tenant);
}

void hub_refresh(struct tenant *t) {
	const struct hub *h = t->hub;
	bool told = h != NULL && (h->kinds[TOPIC_WATCHED].count != 0 || h->kinds[TOPIC_TRACKED].count != 0 ||
				  h->trackers != 0 || notify_wants_changes(t));
	bool attention =
		t->pause_end_ms != 0 || t->watched || (h != NULL && (h->trackers != 0 || !list_empty(&h->monitors)));
	t->watcher = told ? between_changed : NULL;
	if (attention == t->attention)
		return;
	t->attention = attention;
	list_for_each (node, &t->sessions) {
		struct session *s = list_entry(node, struct session, tenant_link);
		s->flags = attention ? s->flags | SESSION_TENANT_ATTENTION
				     : s->flags & ~(uint32_t)SESSION_TENANT_ATTENTION;
	}
}

/* --- topics ----------------------------------------------------------------------------------------------------- */

struct topic *hub_find(const struct hub *h, enum topic_kind kind, unsigned database, struct slice name) {
	if (h == NULL || h->kinds[kind].count == 0)
		return NULL;
	uint64_t hash = topic_hash(h->tenant, kind, database, name);
	for (struct hash_link *l = hashtable_first(&h->topics, hash); l != NULL; l = l->next) {
		struct topic *topic = list_entry(l, struct topic, link);
		if (l->hash == hash && topic->kind == kind && topic->database == database &&
		    slice_equal(topic_name(topic), name))
			return topic;
	}
	return NULL;
}

static struct membership *find_membership(const struct session *s, const struct topic *topic) {
	const struct hub *h = s->tenant->hub;
	uint64_t hash = membership_hash(s, topic);
	for (struct hash_link *l = hashtable_first(&h->memberships, hash); l != NULL; l = l->next) {
		struct membership *m = list_entry(l, struct membership, link);
		if (m->session == s && m->topic == topic)
			return m;
	}
	return NULL;
}

/* The share of a thing in the table's array of buckets is part of what it is charged. */
static uint64_t topic_bytes(const struct topic *topic) {
	return sizeof(*topic) + topic->length + 2 * sizeof(void *);
}
#define MEMBERSHIP_BYTES (sizeof(struct membership) + 2 * sizeof(void *))

/* Subscriptions and watched keys count among client_memory. The table of tracked names has a limit of its own. */
static int charge(struct session *s, enum topic_kind kind, uint64_t bytes) {
	if (kind != TOPIC_TRACKED)
		return client_memory_charge(s->tenant, s, bytes, CHARGE_NOW);
	int error = tenant_charge(s->tenant, bytes);
	if (error == 0)
		s->tenant->hub->tracked_bytes += bytes;
	return error;
}

static void discharge(struct hub *h, enum topic_kind kind, uint64_t bytes) {
	if (kind != TOPIC_TRACKED) {
		client_memory_discharge(h->tenant, bytes);
		return;
	}
	h->tracked_bytes -= bytes;
	tenant_discharge(h->tenant, bytes);
}

static struct topic *topic_new(struct hub *h, enum topic_kind kind, unsigned database, struct slice name) {
	struct topic *topic = malloc(sizeof(*topic) + name.len);
	if (topic == NULL || hashtable_reserve(&h->topics) < 0) {
		free(topic);
		return NULL;
	}
	*topic = (struct topic){.kind = kind, .database = (uint16_t)database, .length = name.len};
	topic->link.hash = topic_hash(h->tenant, kind, database, name);
	if (name.len != 0)
		memcpy(topic->name, name.data, name.len);
	list_init(&topic->members);
	list_push_back(&h->kinds[kind].topics, &topic->order);
	h->kinds[kind].count++;
	h->kinds[kind].length += name.len;
	hashtable_insert(&h->topics, &topic->link);
	return topic;
}

static void topic_free(struct hub *h, struct topic *topic) {
	tracking_forget_changes(h, topic);
	hashtable_remove(&h->topics, &topic->link);
	list_remove(&topic->order);
	discharge(h, topic->kind, topic_bytes(topic));
	h->kinds[topic->kind].length -= topic->length;
	if (--h->kinds[topic->kind].count == 0)
		hub_refresh(h->tenant);
	free(topic);
}

/* Bytes that a member counts for: as if the topic were its own. Tracked names count for nothing. */
static uint64_t weight_of(const struct topic *topic) {
	return topic->kind == TOPIC_TRACKED ? 0 : MEMBERSHIP_BYTES + topic_bytes(topic);
}

int hub_join(struct session *s, enum topic_kind kind, unsigned database, struct slice name) {
	struct tenant *t = s->tenant;
	struct hub *h = t->hub;
	struct topic *topic = hub_find(h, kind, database, name);
	if (topic != NULL && find_membership(s, topic) != NULL)
		return 0;
	uint64_t bytes = MEMBERSHIP_BYTES;
	if (topic == NULL)
		bytes += topic_bytes(&(struct topic){.length = name.len});
	/* What is evicted for it may end a topic: it is looked for again. */
	int error = charge(s, kind, bytes);
	if (error < 0)
		return error;
	struct topic *again = hub_find(h, kind, database, name);
	if (topic != NULL && again == NULL) {
		discharge(h, kind, bytes);
		return ATOMDB_E_OOM;
	}
	struct membership *m = malloc(sizeof(*m));
	topic = again;
	if (m == NULL || hashtable_reserve(&h->memberships) < 0 ||
	    (topic == NULL && (topic = topic_new(h, kind, database, name)) == NULL)) {
		free(m);
		discharge(h, kind, bytes);
		return -ENOMEM;
	}
	*m = (struct membership){.topic = topic, .session = s, .link.hash = membership_hash(s, topic)};
	hashtable_insert(&h->memberships, &m->link);
	list_push_back(&topic->members, &m->by_topic);
	list_push_back(&s->peer->kinds[kind].memberships, &m->by_peer);
	topic->count++;
	h->kinds[kind].memberships++;
	s->peer->kinds[kind].count++;
	s->peer->bytes += weight_of(topic);
	if (topic->count == 1)
		hub_refresh(t);
	return 1;
}

void hub_end_membership(struct membership *m) {
	struct topic *topic = m->topic;
	struct tenant *t = m->session->tenant;
	hashtable_remove(&t->hub->memberships, &m->link);
	list_remove(&m->by_topic);
	list_remove(&m->by_peer);
	m->session->peer->kinds[topic->kind].count--;
	m->session->peer->bytes -= weight_of(topic);
	t->hub->kinds[topic->kind].memberships--;
	free(m);
	discharge(t->hub, topic->kind, MEMBERSHIP_BYTES);
	if (--topic->count == 0)
		topic_free(t->hub, topic);
}

bool hub_part(struct session *s, enum topic_kind kind, unsigned database, struct slice name) {
	struct topic *topic = s->peer == NULL ? NULL : hub_find(s->tenant->hub, kind, database, name);
	struct membership *m = topic == NULL ? NULL : find_membership(s, topic);
	if (m == NULL)
		return false;
	hub_end_membership(m);
	return true;
}

void hub_part_all(struct session *s, enum topic_kind kind) {
	if (s->peer == NULL)
		return;
	list_for_each (node, &s->peer->kinds[kind].memberships)
		hub_end_membership(list_entry(node, struct membership, by_peer));
}

/* --- messages --------------------------------------------------------------------------------------------------- */

static void empty(struct buffer *b) {
	b->len = 0;
	if (b->cap > MESSAGE_KEPT)
		buffer_deinit(b);
}

void hub_end_message(struct hub *h) {
	shared_release(h->shared);
	h->shared = NULL;
	empty(&h->body);
	empty(&h->head);
}

struct writer hub_body(struct hub *h, size_t size) {
	struct writer w;
	hub_end_message(h);
	if (size >= SHARED_MIN)
		h->shared = shared_new(h->tenant, size);
	writer_init(&w, h->shared != NULL ? &h->shared->bytes : &h->body, SIZE_MAX);
	w.protocol = 3;
	w.failed = size >= SHARED_MIN && h->shared == NULL;
	return w;
}

struct slice hub_body_bytes(const struct hub *h) {
	return buffer_slice(h->shared != NULL ? &h->shared->bytes : &h->body);
}

struct writer hub_head(struct hub *h, size_t elements) {
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

void hub_begin_command(struct hub *h, struct session *s) {
	h->current = s;
	h->event_count = 0;
	h->reply_begin = s->reply->out->len;
}

void hub_end_command(struct hub *h) {
	struct session *s = h->current;
	h->current = NULL;
	if (s != NULL && !s->reply->failed) {
		if (h->deferred.len != 0)
			hub_push(h, s, buffer_slice(&h->deferred));
		tracking_tell_own(h, s);
	}
	drop_held(h);
}

void hub_hold(struct hub *h, struct buffer *to, const void *bytes, size_t len) {
	struct writer *w = h->current->reply;
	if (!writer_fits(w, h->held + len) || client_memory_charge(h->tenant, h->current, len, CHARGE_LATER) < 0) {
		w->failed = true;
		return;
	}
	h->held += len;
	if (buffer_append(to, bytes, len, SIZE_MAX) < 0)
		w->failed = true;
}

void hub_push(struct hub *h, struct session *to, struct slice bytes) {
	if (h->env->host == NULL || h->env->host->push == NULL)
		return;
	if (to != h->current) {
		h->env->host->push(to, bytes);
	} else if (h->unplanned || to->reply->out->len > h->reply_begin) {
		hub_hold(h, &h->deferred, bytes.data, bytes.len);
	} else {
		h->env->host->push(to, bytes);
		h->reply_begin = to->reply->out->len;
	}
}

static void send(struct hub *h, struct session *to, struct slice head) {
	const struct session_host *host = h->env->host;
	if (h->shared != NULL && to != h->current && host != NULL && host->push_shared != NULL) {
		host->push_shared(to, head, h->shared);
		return;
	}
	if (head.len > 0)
		hub_push(h, to, head);
	if (h->shared != NULL)
		hub_push(h, to, buffer_slice(&h->shared->bytes));
}

void hub_send(struct hub *h, struct session *to) {
	if (h->shared == NULL && !h->whole)
		h->whole = buffer_append(&h->head, h->body.data, h->body.len, SIZE_MAX) == 0;
	if (h->head.len > 0)
		h->head.data[0] = to->protocol == 2 ? '*' : '>';
	send(h, to, buffer_slice(&h->head));
}

void hub_send_body(struct hub *h, struct session *to) {
	send(h, to, buffer_slice(&h->body));
}
