#include "atomdb/command/handover.h"

#include <stdlib.h>

#include "atomdb/util/error.h"
#include "command/between.h"
#include "command/client.h"
#include "command/handlers.h"
#include "command/monitor.h"
#include "command/notes.h"
#include "command/tracking.h"

/* The flags that are a state of their own; the others follow from what else is restored. */
#define KEPT_FLAGS                                                                                       \
	((uint32_t)(SESSION_NO_EVICT | SESSION_NO_TOUCH | SESSION_REPLY_OFF | SESSION_REPLY_SKIP_NEXT |  \
		    SESSION_REPLY_SKIP | SESSION_DIRTY_KEYS | SESSION_DIRTY_QUEUE | SESSION_SUBSCRIBED | \
		    SESSION_NAMED))
/* A state of its own, but one of the other clients too. */
#define LINKED_FLAGS ((uint32_t)SESSION_MONITOR)

#define TRACKING_OPTIONS \
	(TRACKING_BCAST | TRACKING_OPTIN | TRACKING_OPTOUT | TRACKING_NOLOOP | TRACKING_CACHING | TRACKING_BROKEN)

/* --- writing ---------------------------------------------------------------------------------------------------- */

static void pack_tracking(const struct tracking *x, struct pack *p) {
	pack_number(p, x != NULL);
	if (x == NULL)
		return;
	pack_number(p, x->options);
	pack_number(p, (uint64_t)x->redirect_id);
	/* What it was redirected to may have gone. */
	pack_number(p, x->redirect != NULL);
}

static void pack_peer(const struct session *s, struct pack *p) {
	pack_number(p, s->peer != NULL);
	if (s->peer == NULL)
		return;
	pack_tracking(s->peer->tracking, p);
	for (unsigned kind = 0; kind < TOPIC_KINDS; kind++) {
		pack_number(p, s->peer->kinds[kind].count);
		list_for_each (node, &s->peer->kinds[kind].memberships) {
			const struct topic *topic = list_entry(node, struct membership, by_peer)->topic;
			pack_number(p, topic->database);
			pack_bytes(p, topic_name(topic));
		}
	}
	transaction_pack(s, p);
}

void session_pack(const struct session *s, struct pack *p) {
	pack_number(p, s->global_id);
	pack_number(p, (uint64_t)s->created_ms);
	pack_number(p, (uint64_t)s->last_ms);
	/* The next process does not know which tenants were left: it takes the watch for lost in any. */
	uint32_t flags = s->lost_watch != 0 ? s->flags | SESSION_DIRTY_KEYS : s->flags;
	pack_number(p, flags & (KEPT_FLAGS | LINKED_FLAGS));
	pack_number(p, s->database);
	pack_number(p, s->protocol);
	pack_text(p, s->name);
	pack_text(p, s->lib_name);
	pack_text(p, s->lib_version);
	pack_text(p, s->last != NULL ? s->last->name : NULL);
	pack_peer(s, p);
}

/* --- reading ---------------------------------------------------------------------------------------------------- */

static int unpack_text(struct unpack *u, char **out) {
	struct slice text = unpack_bytes(u);
	if (text.len == 0)
		return 0;
	if (memchr(text.data, '\0', text.len) != NULL)
		return ATOMDB_E_FORMAT;
	*out = strndup(text.data, text.len);
	return *out == NULL ? ATOMDB_E_OOM : 0;
}

static int unpack_topics(struct session *s, enum topic_kind kind, struct unpack *u) {
	const struct tracking *x = s->peer->tracking;
	uint64_t count = unpack_number(u);
	/* Members of prefixes are told by what their tracking says. */
	if (kind == TOPIC_PREFIX && count > 0 && (x == NULL || !(x->options & TRACKING_BCAST)))
		return ATOMDB_E_FORMAT;
	for (; count > 0 && !u->failed; count--) {
		unsigned database = (unsigned)unpack_up_to(u, TENANT_DATABASES - 1);
		struct slice name = unpack_bytes(u);
		if (!u->failed && hub_join(s, kind, database, name) < 0)
			return ATOMDB_E_OOM;
	}
	return u->failed ? ATOMDB_E_FORMAT : 0;
}

static int unpack_tracking(struct session *s, struct unpack *u) {
	if (unpack_up_to(u, 1) == 0)
		return u->failed ? ATOMDB_E_FORMAT : 0;
	uint32_t options = (uint32_t)unpack_up_to(u, TRACKING_OPTIONS);
	int64_t redirect = (int64_t)unpack_up_to(u, INT64_MAX);
	bool there = unpack_up_to(u, 1) != 0;
	if (u->failed)
		return ATOMDB_E_FORMAT;
	int error = tracking_turn_on(s, NULL, options);
	if (error < 0)
		return error;
	s->peer->tracking->redirect_id = redirect;
	s->peer->tracking->unlinked = there;
	return 0;
}

static int unpack_peer(struct session *s, struct unpack *u) {
	if (unpack_up_to(u, 1) == 0)
		return u->failed ? ATOMDB_E_FORMAT : 0;
	if (s->tenant == NULL)
		return ATOMDB_E_FORMAT;
	if (hub_peer(s) == NULL)
		return ATOMDB_E_OOM;
	int error = unpack_tracking(s, u);
	for (unsigned kind = 0; kind < TOPIC_KINDS && error == 0; kind++)
		error = unpack_topics(s, (enum topic_kind)kind, u);
	return error == 0 ? transaction_unpack(s, u) : error;
}

static int unpack_session(struct session *s, struct unpack *u) {
	s->global_id = unpack_number(u);
	s->created_ms = (int64_t)unpack_up_to(u, INT64_MAX);
	s->last_ms = (int64_t)unpack_up_to(u, INT64_MAX);
	uint32_t flags = (uint32_t)unpack_up_to(u, UINT32_MAX);
	unsigned database = (unsigned)unpack_up_to(u, TENANT_DATABASES - 1);
	uint64_t protocol = unpack_up_to(u, 3);
	if (u->failed || protocol < 2)
		return ATOMDB_E_FORMAT;
	s->protocol = (uint8_t)protocol;
	if (s->tenant != NULL)
		session_select(s, database);
	else
		flags &= (uint32_t) ~(SESSION_DIRTY_KEYS | SESSION_DIRTY_QUEUE | SESSION_SUBSCRIBED);
	int error = unpack_text(u, &s->name);
	if (error == 0)
		error = unpack_text(u, &s->lib_name);
	if (error == 0)
		error = unpack_text(u, &s->lib_version);
	if (error != 0)
		return error;
	s->last = command_find_full(unpack_bytes(u));
	s->flags |= flags & KEPT_FLAGS;
	error = unpack_peer(s, u);
	if (u->failed || ((flags & SESSION_MONITOR) && s->peer == NULL))
		return ATOMDB_E_FORMAT;
	s->flags |= flags & SESSION_MONITOR ? SESSION_MONITOR_KEPT : 0;
	return error;
}

int session_unpack(struct session *s, struct unpack *u) {
	struct buffer text;
	struct writer ignored;
	buffer_init(&text);
	writer_init(&ignored, &text, SIZE_MAX);
	/* Where there is no room that would be a reply. */
	s->reply = &ignored;
	int error = unpack_session(s, u);
	s->reply = NULL;
	buffer_deinit(&text);
	return error;
}

void session_pack_id(const struct session *s, struct pack *p) {
	pack_number(p, s->id);
}

void session_unpack_id(struct session *s, struct unpack *u) {
	/* In a release that did not write it, a client's only number was the global one. */
	uint64_t id = u->rest.len > 0 ? unpack_up_to(u, INT64_MAX) : s->global_id;
	if (s->tenant == NULL || u->failed)
		return;
	if (!s->tenant->is_operator)
		tenant_keep_client_id(s->tenant, s->id, id);
	s->id = id;
}

static void link_tracking(struct session *s) {
	struct tracking *x = s->peer == NULL ? NULL : s->peer->tracking;
	if (x == NULL || !x->unlinked)
		return;
	x->unlinked = false;
	struct session *to = client_by_id(s->tenant, (uint64_t)x->redirect_id);
	if (to == NULL || to->peer == NULL)
		return;
	x->redirect = to;
	list_push_back(&to->peer->redirected, &x->redirect_link);
}

bool session_link(struct session *s) {
	link_tracking(s);
	return monitor_again(s);
}

void session_feed(const struct session *s, struct environment *env) {
	/* A worker that has not started has no registry of its own yet. */
	env->registry = s->env->registry;
	monitor_feed(env, s->env->worker, 1);
}

/* --- what is a tenant's ----------------------------------------------------------------------------------------- */

void tenant_pack_identity(const struct tenant *t, struct pack *p) {
	const struct tenant_identity *i = tenant_identity(t);
	pack_bytes(p, (struct slice){(const char *)i->digest, sizeof(i->digest)});
	pack_text(p, tenant_listed(t) ? i->name : NULL);
}

int tenant_unpack_identity(struct unpack *u, struct tenant_identity *out) {
	struct slice digest = unpack_bytes(u), name = unpack_bytes(u);
	if (u->failed || digest.len != sizeof(out->digest) || name.len > TENANT_NAME_MAX)
		return ATOMDB_E_FORMAT;
	*out = (struct tenant_identity){.name = ""};
	memcpy(out->digest, digest.data, digest.len);
	if (name.len > 0)
		memcpy(out->name, name.data, name.len);
	return 0;
}

bool tenant_is_set(const struct tenant *t) {
	return t->notify != 0 || t->pause_end_ms != 0 || t->notes != NULL;
}

void tenant_pack(const struct tenant *t, struct pack *p) {
	struct notes_settings notes = notes_settings_of(t);
	pack_number(p, t->notify);
	pack_number(p, (uint64_t)t->pause_end_ms);
	pack_number(p, t->pause_all);
	pack_number(p, t->notes != NULL);
	pack_number(p, (uint64_t)notes.slow_us);
	pack_number(p, (uint64_t)notes.slow_max);
	pack_number(p, (uint64_t)notes.latency_ms);
	pack_number(p, notes.tracking);
}

int tenant_unpack(struct tenant *t, const struct environment *env, struct unpack *u) {
	uint32_t notify = (uint32_t)unpack_up_to(u, UINT32_MAX);
	int64_t pause_end_ms = (int64_t)unpack_up_to(u, INT64_MAX);
	bool pause_all = unpack_up_to(u, 1) != 0;
	bool noted = unpack_up_to(u, 1) != 0;
	struct notes_settings notes = {.slow_us = (int64_t)unpack_number(u),
				       .slow_max = (int64_t)unpack_up_to(u, INT64_MAX),
				       .latency_ms = (int64_t)unpack_up_to(u, INT64_MAX),
				       .tracking = unpack_up_to(u, 1) != 0};
	if (u->failed)
		return ATOMDB_E_FORMAT;
	notify_set(t, notify & (NOTIFY_KEYSPACE | NOTIFY_KEYEVENT | NOTIFY_ALL | NOTIFY_MISS | NOTIFY_NEW));
	t->pause_end_ms = pause_end_ms;
	t->pause_all = pause_all;
	shard_hold_expired(t, pause_end_ms);
	hub_refresh(t);
	return noted ? notes_configure(t, env, &notes) : 0;
}
