#include "atomdb/dispatch/handover.h"

#include <stdlib.h>

#include "atomdb/events/keyspace_events.h"
#include "atomdb/events/monitor.h"
#include "atomdb/session/module.h"
#include "atomdb/session/tenant_stats.h"
#include "atomdb/store/shard.h"
#include "atomdb/store/tenant.h"
#include "atomdb/util/error.h"

/* The records. Other releases know the names, but not the numbers, of flags and kinds. */

struct session_record {
	uint64_t global_id, id, created_ms, last_ms, database, protocol;
	uint64_t flags; /* enum session_flag */
	struct slice name, lib_name, lib_version, last_command;
};

#define NUMBER(member, most, missing) \
	{ #member, FIELD_NUMBER, offsetof(struct session_record, member), most, missing }
#define BYTES(member) \
	{ #member, FIELD_BYTES, offsetof(struct session_record, member), SIZE_MAX, 0 }
#define FLAG(name, flag) \
	{ name, FIELD_FLAG, offsetof(struct session_record, flags), flag, 0 }

/* Other flags follow from the rest of the record. */
static const struct field session_fields[] = {
	NUMBER(global_id, UINT64_MAX, 0),
	NUMBER(id, INT64_MAX, 0),
	NUMBER(created_ms, INT64_MAX, 0),
	NUMBER(last_ms, INT64_MAX, 0),
	NUMBER(database, TENANT_DATABASES - 1, 0),
	NUMBER(protocol, 3, 2),
	FLAG("no_evict", SESSION_NO_EVICT),
	FLAG("no_touch", SESSION_NO_TOUCH),
	FLAG("reply_off", SESSION_REPLY_OFF),
	FLAG("reply_skip_next", SESSION_REPLY_SKIP_NEXT),
	FLAG("reply_skip", SESSION_REPLY_SKIP),
	FLAG("dirty_keys", SESSION_DIRTY_KEYS),
	FLAG("dirty_queue", SESSION_DIRTY_QUEUE),
	FLAG("subscribed", SESSION_SUBSCRIBED),
	FLAG("named", SESSION_NAMED),
	FLAG("monitor", SESSION_MONITOR),
	BYTES(name),
	BYTES(lib_name),
#ifdef ATOMDB_OTHER_RELEASE
	/* A test build: a release with one field more and one field less. */
	FLAG("of_another_release", UINT64_C(1) << 63),
#else
	BYTES(lib_version),
#endif
	BYTES(last_command),
};

#undef NUMBER
#undef BYTES
#undef FLAG

static const struct field identity_fields[] = {
	{"digest", FIELD_BYTES, 0, SIZE_MAX, 0},
	{"name", FIELD_BYTES, sizeof(struct slice), TENANT_NAME_MAX, 0},
};

struct settings_record {
	uint64_t pause_end_ms, pause_all, noted, slow_us, slow_max, latency_ms, tracking;
	uint64_t notify; /* enum keyspace_event_class */
};

#define NUMBER(member, most) \
	{ #member, FIELD_NUMBER, offsetof(struct settings_record, member), most, 0 }
#define FLAG(member) \
	{ #member, FIELD_FLAG, offsetof(struct settings_record, member), 1, 0 }
/* Named after the letters of CONFIG SET notify-keyspace-events. */
#define NOTIFY(name, class) \
	{ name, FIELD_FLAG, offsetof(struct settings_record, notify), class, 0 }

static const struct field settings_fields[] = {
	NUMBER(pause_end_ms, INT64_MAX),
	FLAG(pause_all),
	FLAG(noted),
	NUMBER(slow_us, UINT64_MAX),
	NUMBER(slow_max, INT64_MAX),
	NUMBER(latency_ms, INT64_MAX),
	FLAG(tracking),
	NOTIFY("notify_K", NOTIFY_KEYSPACE),
	NOTIFY("notify_E", NOTIFY_KEYEVENT),
	NOTIFY("notify_g", NOTIFY_GENERIC),
	NOTIFY("notify_$", NOTIFY_STRING),
	NOTIFY("notify_l", NOTIFY_LIST),
	NOTIFY("notify_s", NOTIFY_SET),
	NOTIFY("notify_h", NOTIFY_HASH),
	NOTIFY("notify_z", NOTIFY_ZSET),
	NOTIFY("notify_x", NOTIFY_EXPIRED),
	NOTIFY("notify_e", NOTIFY_EVICTED),
	NOTIFY("notify_t", NOTIFY_STREAM),
	NOTIFY("notify_d", NOTIFY_MODULE),
	NOTIFY("notify_m", NOTIFY_MISS),
	NOTIFY("notify_n", NOTIFY_NEW),
};

#undef NUMBER
#undef FLAG
#undef NOTIFY

#define COUNT(fields) (sizeof(fields) / sizeof((fields)[0]))

static struct slice text_or_missing(const char *text) {
	return text == NULL ? (struct slice){NULL, 0} : slice_of(text);
}

/* --- writing ---------------------------------------------------------------------------------------------------- */

void session_serialize(const struct session *s, struct serializer *out) {
	const struct session_record r = {
		.global_id = s->global_id,
		.id = s->id,
		.created_ms = (uint64_t)s->created_ms,
		.last_ms = (uint64_t)s->last_ms,
		.database = s->database,
		.protocol = s->protocol,
		/* The next process does not know the tenants that the client has left, so that it treats their watched
		 * keys as changed. */
		.flags = s->flags | (s->lost_watch != 0 ? SESSION_DIRTY_KEYS : 0),
		.name = text_or_missing(s->name),
		.lib_name = text_or_missing(s->lib_name),
		.lib_version = text_or_missing(s->lib_version),
		.last_command = text_or_missing(s->last != NULL ? s->last->name : NULL),
	};
	serialize_record(out, session_fields, COUNT(session_fields), &r);
	const struct session_modules *m = s->env->modules;
	for (unsigned i = 0; i < m->count; i++) {
		if (m->all[i].serialize != NULL)
			m->all[i].serialize(s, out, m->all[i].record);
	}
}

/* --- reading ---------------------------------------------------------------------------------------------------- */

static int copy_text(struct slice text, char **out) {
	if (text.len == 0)
		return 0;
	if (memchr(text.data, '\0', text.len) != NULL)
		return ATOMDB_E_FORMAT;
	*out = strndup(text.data, text.len);
	return *out == NULL ? ATOMDB_E_OOM : 0;
}

/* The state of modules: further fields in the session's record. */
static int deserialize_modules(struct session *s, struct slice record) {
	const struct session_modules *m = s->env->modules;
	int error = 0;
	for (unsigned i = 0; i < m->count && error == 0; i++) {
		struct slice state = {NULL, 0};
		if (m->all[i].deserialize == NULL)
			continue;
		const struct field field = {m->all[i].record, FIELD_BYTES, 0, SIZE_MAX, 0};
		error = deserialize_record(record, &field, 1, &state);
		if (error == 0 && state.data != NULL)
			error = m->all[i].deserialize(s, state);
	}
	return error;
}

static void keep_id(struct session *s, uint64_t id) {
	if (s->tenant == NULL || id == 0)
		return;
	if (!s->tenant->is_operator)
		tenant_keep_client_id(s->tenant, s->id, id);
	s->id = id;
}

static int restore(struct session *s, const struct session_record *r, struct slice record) {
	uint32_t flags = (uint32_t)r->flags & ~(uint32_t)SESSION_MONITOR;
	if (r->protocol < 2)
		return ATOMDB_E_FORMAT;
	s->global_id = r->global_id;
	s->created_ms = (int64_t)r->created_ms;
	s->last_ms = (int64_t)r->last_ms;
	s->protocol = (uint8_t)r->protocol;
	if (s->tenant != NULL)
		session_select(s, (unsigned)r->database);
	else
		flags &= (uint32_t) ~(SESSION_DIRTY_KEYS | SESSION_DIRTY_QUEUE | SESSION_SUBSCRIBED);
	s->flags |= flags;
	s->last = command_find_full(s->env->command_set, r->last_command);
	int error = copy_text(r->name, &s->name);
	if (error == 0)
		error = copy_text(r->lib_name, &s->lib_name);
	if (error == 0)
		error = copy_text(r->lib_version, &s->lib_version);
	if (error == 0)
		error = deserialize_modules(s, record);
	if (error == 0 && (r->flags & SESSION_MONITOR))
		error = monitor_deserialize(s);
	if (error == 0)
		keep_id(s, r->id);
	return error;
}

int session_deserialize(struct session *s, struct slice record) {
	struct session_record r = {0};
	int error = deserialize_record(record, session_fields, COUNT(session_fields), &r);
	return error < 0 ? error : restore(s, &r, record);
}

bool session_link(struct session *s) {
	const struct session_modules *m = s->env->modules;
	bool feeds = false;
	for (unsigned i = 0; i < m->count; i++) {
		if (m->all[i].link != NULL)
			feeds |= m->all[i].link(s);
	}
	return feeds;
}

void session_count_feed(const struct session *s, struct environment *env) {
	/* A worker that has not started has no registry yet. */
	env->registry = s->env->registry;
	monitor_count_feed(env, s->env->worker, 1);
}

/* --- tenants ---------------------------------------------------------------------------------------------------- */

void tenant_serialize_identity(const struct tenant *t, struct serializer *out) {
	const struct tenant_identity *i = tenant_identity(t);
	const struct slice values[] = {{(const char *)i->digest, sizeof(i->digest)},
				       text_or_missing(tenant_listed(t) ? i->name : NULL)};
	serialize_record(out, identity_fields, COUNT(identity_fields), values);
}

int tenant_deserialize_identity(struct slice record, struct tenant_identity *out) {
	struct slice values[COUNT(identity_fields)];
	int error = deserialize_record(record, identity_fields, COUNT(identity_fields), values);
	if (error == 0 && values[0].len != sizeof(out->digest))
		error = ATOMDB_E_FORMAT;
	if (error < 0)
		return error;
	*out = (struct tenant_identity){.name = ""};
	memcpy(out->digest, values[0].data, values[0].len);
	if (values[1].len > 0)
		memcpy(out->name, values[1].data, values[1].len);
	return 0;
}

bool tenant_is_set(const struct tenant *t) {
	return t->clients.event_classes != 0 || t->clients.pause_end_ms != 0 || t->clients.tenant_stats != NULL;
}

void tenant_serialize(const struct tenant *t, struct serializer *out) {
	struct tenant_stats_settings tenant_stats = tenant_stats_settings_of(t);
	const struct settings_record r = {
		.pause_end_ms = (uint64_t)t->clients.pause_end_ms,
		.pause_all = t->clients.pause_all,
		.noted = t->clients.tenant_stats != NULL,
		.slow_us = (uint64_t)tenant_stats.slow_us,
		.slow_max = (uint64_t)tenant_stats.slow_max,
		.latency_ms = (uint64_t)tenant_stats.latency_ms,
		.tracking = tenant_stats.tracking,
		.notify = t->clients.event_classes,
	};
	serialize_record(out, settings_fields, COUNT(settings_fields), &r);
}

int tenant_deserialize(struct tenant *t, const struct environment *env, struct slice record) {
	struct settings_record r;
	int error = deserialize_record(record, settings_fields, COUNT(settings_fields), &r);
	if (error < 0)
		return error;
	keyspace_events_set(t, (uint32_t)r.notify);
	session_pause(t, (int64_t)r.pause_end_ms, r.pause_all != 0);
	shard_hold_expired(t, t->clients.pause_end_ms);
	const struct tenant_stats_settings tenant_stats = {
		.slow_us = (int64_t)r.slow_us,
		.slow_max = (int64_t)r.slow_max,
		.latency_ms = (int64_t)r.latency_ms,
		.tracking = r.tracking != 0,
	};
	return r.noted != 0 ? tenant_stats_configure(t, env, &tenant_stats) : 0;
}
