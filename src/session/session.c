#include "atomdb/session/session.h"

#include <stdlib.h>

#include "atomdb/events/subscriptions.h"
#include "atomdb/session/fanout.h"
#include "atomdb/session/hotkeys.h"
#include "atomdb/store/registry_lifecycle.h"
#include "atomdb/store/shard.h"
#include "atomdb/store/shard_tenants.h"
#include "atomdb/store/tenant.h"
#include "atomdb/util/error.h"
#include "atomdb/util/hash.h"

/* lost_watch of a session that left several tenants with watched keys. */
#define LOST_SEVERAL UINT64_MAX

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

/* Whether the tenant may have one client more, by its own limit and beside all others; counts and reports it if not. */
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

/* A number that tells a tenant from others, also after it was forgotten and opened again. Never 0 or LOST_SEVERAL. */
static uint64_t identity(const struct tenant *t) {
	const char *name = tenant_name(t);
	return hash_bytes(&(struct hash_seed){0}, name, strlen(name)) % (LOST_SEVERAL - 1) + 1;
}

/* A session that leaves its tenant loses what it watches there. If it comes back, keys may have changed meanwhile, and
 * EXEC must fail. */
static void lose_watch(struct session *s) {
	uint64_t tenant = identity(s->tenant);
	if (!(s->flags & SESSION_DIRTY_KEYS) && subscription_count(s, CHANNEL_WATCHED_KEY) == 0)
		return;
	s->lost_watch = s->lost_watch == 0 || s->lost_watch == tenant ? tenant : LOST_SEVERAL;
}

static void find_lost_watch(struct session *s) {
	if (s->lost_watch == LOST_SEVERAL || s->lost_watch == identity(s->tenant))
		s->flags |= SESSION_DIRTY_KEYS;
}

int session_attach(struct session *s, struct tenant *t) {
	if (s->tenant == t)
		return 0;
	session_detach(s);
	if (t->removed)
		return ATOMDB_E_WRONGPASS;
	int r = has_place(s, t) ? shard_open_tenant(t->shard, t) : ATOMDB_E_FULL;
	if (r < 0) {
		if (counter_get(&t->counters.clients) == 0)
			registry_release(s->env->registry, t);
		return r;
	}
	list_push_back(&t->sessions, &s->tenant_link);
	t->written_large = hotkeys_written;
	counter_add(&t->counters.clients, 1);
	counter_add(&t->counters.connections, 1);
	s->tenant = t;
	s->id = t->is_operator ? s->global_id : tenant_new_client_id(t);
	s->attachments++;
	session_select(s, s->database);
	if (__builtin_expect(s->lost_watch != 0, 0))
		find_lost_watch(s);
	if (t->monitored != (s->env->feed.watchers != 0)) {
		t->monitored = !t->monitored;
		subscriptions_refresh(t);
	}
	if (t->attention)
		s->flags |= SESSION_TENANT_ATTENTION;
	return 0;
}

void session_detach(struct session *s) {
	struct tenant *t = s->tenant;
	if (t == NULL)
		return;
	if (s->env->host != NULL && s->env->host->leaving != NULL)
		s->env->host->leaving(s);
	fanout_abandon(s);
	lose_watch(s);
	subscriber_close(s);
	s->flags &= ~(uint32_t)(SESSION_TENANT_ATTENTION | SESSION_NAMED | SESSION_DIRTY_KEYS);
	s->tenant = NULL;
	s->id = 0;
	s->database = 0;
	forget(&s->name);
	list_remove(&s->tenant_link);
	counter_sub(&t->counters.clients, 1);
	if (counter_get(&t->counters.clients) != 0)
		return;
	if (t->removed)
		registry_remove_done(s->env->registry, t);
	else if ((!tenant_listed(t) || tenant_orphaned(t)) && counter_get(&t->counters.keys) == 0)
		registry_release(s->env->registry, t);
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
