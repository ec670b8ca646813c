#include "atomdb/session/session.h"

#include <assert.h>
#include <stdlib.h>

#include "atomdb/session/module.h"
#include "atomdb/store/registry_lifecycle.h"
#include "atomdb/store/shard.h"
#include "atomdb/store/shard_tenants.h"
#include "atomdb/store/tenant.h"
#include "atomdb/util/error.h"

void session_init(struct session *s, struct environment *env, uint64_t global_id) {
	memset(s, 0, sizeof(*s));
	s->env = env;
	s->global_id = global_id;
	s->created_ms = s->last_ms = env->steady_ms;
	s->protocol = 2;
	list_init(&s->tenant_link);
}

static void forget(char **text) {
	free(*text);
	*text = NULL;
}

void session_deinit(struct session *s) {
	session_detach(s);
	forget(&s->name);
	forget(&s->lib_name);
	forget(&s->lib_version);
}

/* Returns whether the tenant may have one more client, by its own limit and by the share of all clients. If not, counts
 * and logs it. */
static bool has_place(struct session *s, struct tenant *t) {
	const struct session_host *host = s->env->host;
	if (t->limits.max_clients != 0 && counter_get(&t->counters.clients) >= t->limits.max_clients)
		counter_add(&s->env->rejected_clients, 1);
	else if (host == NULL || host->has_place == NULL || (s->flags & SESSION_RESUMED) || host->has_place(s, t))
		return true;
	counter_add(&t->counters.refused, 1);
	log_report(s->env->events, &(struct log_event){.id = LOG_EVENT_TENANT_CLIENTS, .tenant = tenant_name(t)});
	return false;
}

static void attach_modules(struct session *s) {
	const struct session_modules *m = s->env->modules;
	for (unsigned i = 0; m != NULL && i < m->count; i++) {
		if (m->all[i].attach != NULL)
			m->all[i].attach(s);
	}
}

static void detach_modules(struct session *s) {
	const struct session_modules *m = s->env->modules;
	for (unsigned i = 0; m != NULL && i < m->count; i++) {
		if (m->all[i].detach != NULL)
			m->all[i].detach(s);
	}
	assert(s->event_bytes == 0 && s->leaving_bytes == 0);
}

bool session_shed(struct session *s, unsigned units) {
	const struct session_modules *m = s->env->modules;
	bool more = false;
	for (unsigned i = 0; m != NULL && i < m->count; i++)
		more |= m->all[i].shed != NULL && m->all[i].shed(s, units);
	return more;
}

int session_attach(struct session *s, struct tenant *t) {
	if (s->tenant == t)
		return 0;
	if (t->clients.task != NULL && !t->clients.removed)
		return ATOMDB_E_AGAIN;
	session_detach(s);
	if (t->clients.removed)
		return ATOMDB_E_WRONGPASS;
	int r = has_place(s, t) ? shard_open_tenant(t->shard, t) : ATOMDB_E_FULL;
	if (r < 0) {
		if (counter_get(&t->counters.clients) == 0)
			registry_release(s->env->registry, t);
		return r;
	}
	list_push_back(&t->clients.sessions, &s->tenant_link);
	counter_add(&t->counters.clients, 1);
	counter_add(&t->counters.connections, 1);
	s->tenant = t;
	s->id = t->is_operator ? s->global_id : tenant_new_client_id(t);
	s->attachments++;
	session_select(s, s->database);
	session_follow_limits(t);
	if (t->clients.attention != 0)
		s->flags |= SESSION_TENANT_ATTENTION;
	attach_modules(s);
	return 0;
}

void session_detach(struct session *s) {
	struct tenant *t = s->tenant;
	if (t == NULL)
		return;
	if (s->env->host != NULL && s->env->host->leaving != NULL)
		s->env->host->leaving(s);
	detach_modules(s);
	s->flags &= ~(uint32_t)(SESSION_TENANT_ATTENTION | SESSION_NAMED | SESSION_DIRTY_KEYS);
	s->tenant = NULL;
	s->id = 0;
	s->database = 0;
	forget(&s->name);
	list_remove(&s->tenant_link);
	counter_sub(&t->counters.clients, 1);
	/* A command that was given up at the end of the process is taken back by the next one. */
	if (counter_get(&t->counters.clients) != 0 || tenant_suspended(t))
		return;
	if (t->clients.removed)
		registry_remove_done(s->env->registry, t);
	else if ((!tenant_listed(t) || tenant_orphaned(t)) && counter_get(&t->counters.keys) == 0)
		registry_release(s->env->registry, t);
}

struct session *session_by_id(const struct tenant *t, uint64_t id) {
	list_for_each (node, &t->clients.sessions) {
		struct session *s = list_entry(node, struct session, tenant_link);
		if (s->id == id)
			return s;
	}
	return NULL;
}

void session_count_attention(struct tenant *t, int change) {
	bool before = t->clients.attention != 0;
	t->clients.attention += (uint32_t)change;
	if ((t->clients.attention != 0) == before)
		return;
	list_for_each (node, &t->clients.sessions) {
		struct session *s = list_entry(node, struct session, tenant_link);
		s->flags =
			before ? s->flags & ~(uint32_t)SESSION_TENANT_ATTENTION : s->flags | SESSION_TENANT_ATTENTION;
	}
}

void session_follow_limits(struct tenant *t) {
	bool limited = t->limits.cpu_limit != 0;
	if (limited == t->clients.cpu_limited)
		return;
	t->clients.cpu_limited = limited;
	session_count_attention(t, limited ? 1 : -1);
}

void session_pause(struct tenant *t, int64_t end_ms, bool all) {
	session_count_attention(t, (end_ms != 0) - (t->clients.pause_end_ms != 0));
	t->clients.pause_end_ms = end_ms;
	t->clients.pause_all = all;
}

void session_select(struct session *s, unsigned database) {
	s->database = (uint8_t)database;
	s->db_slot = (uint8_t)keyspace_db_slot(s->tenant, database);
}

const char *session_user(const struct session *s) {
	return s->tenant != NULL && (s->flags & SESSION_NAMED) ? tenant_name(s->tenant) : "default";
}

bool session_authenticated(const struct session *s) {
	return s->tenant != NULL || s->env->settings.anonymous[0] != '\0';
}
