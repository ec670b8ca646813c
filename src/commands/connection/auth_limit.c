#include "commands/connection/auth_limit.h"

#define SECOND_NS UINT64_C(1000000000)
/* Burst in seconds: of a connection or source, and of new tenants in total. */
#define BURST_SECONDS     1
#define BURST_SECONDS_NEW 10
#define WAIT_STEP_MS      16
/* Slots of the table in which a source may be. */
#define WAYS 4

/* A `due` time within this many nanoseconds is over. */
static uint64_t wait_for(uint64_t due_ns, uint64_t now_ns, uint64_t burst_ns) {
	return due_ns > now_ns + burst_ns ? due_ns - now_ns - burst_ns : 0;
}

static void count(uint64_t *due_ns, uint64_t now_ns, uint64_t interval_ns) {
	*due_ns = (*due_ns > now_ns ? *due_ns : now_ns) + interval_ns;
}

/* Returns the slot of a source in the table: its own, or the slot whose attempts are paid for first. */
static struct auth_source *find_source(struct environment *env, uint64_t source) {
	struct auth_source *set = &env->auth_sources[source % (AUTH_SOURCES / WAYS) * WAYS], *found = set;
	for (unsigned i = 0; i < WAYS; i++) {
		if (set[i].source == source)
			return &set[i];
		if (set[i].due_ns < found->due_ns)
			found = &set[i];
	}
	return found;
}

static uint64_t source_of(struct session *s) {
	const struct session_host *host = s->env->host;
	return host == NULL || host->source == NULL ? 0 : host->source(s);
}

int64_t auth_limit_wait(struct session *s) {
	const struct environment *env = s->env;
	uint64_t rate = env->settings.auth_rate;
	if (rate == 0)
		return 0;
	uint64_t burst_ns = BURST_SECONDS * SECOND_NS - SECOND_NS / rate, source = source_of(s);
	uint64_t wait_ns = wait_for(s->auth_due_ns, env->now_ns, burst_ns);
	if (source != 0) {
		const struct auth_source *a = find_source(s->env, source);
		uint64_t other_ns = a->source == source ? wait_for(a->due_ns, env->now_ns, burst_ns) : 0;
		wait_ns = other_ns > wait_ns ? other_ns : wait_ns;
	}
	if (wait_ns == 0)
		return 0;
	/* Sessions that wait are tried together. */
	return (env->steady_ms + (int64_t)(wait_ns / 1000000) + WAIT_STEP_MS) / WAIT_STEP_MS * WAIT_STEP_MS;
}

void auth_limit_count(struct session *s) {
	struct environment *env = s->env;
	uint64_t rate = env->settings.auth_rate, source = source_of(s);
	if (rate == 0)
		return;
	count(&s->auth_due_ns, env->now_ns, SECOND_NS / rate);
	if (source == 0)
		return;
	struct auth_source *a = find_source(env, source);
	if (a->source != source)
		*a = (struct auth_source){.source = source};
	count(&a->due_ns, env->now_ns, SECOND_NS / rate);
}

bool auth_limit_new_tenant(struct environment *env) {
	uint64_t rate = env->settings.new_tenants_per_second;
	if (rate == 0)
		return true;
	uint64_t interval_ns = SECOND_NS * (env->worker_count == 0 ? 1 : env->worker_count) / rate;
	if (wait_for(env->new_tenants_due_ns, env->now_ns, BURST_SECONDS_NEW * SECOND_NS) != 0)
		return false;
	count(&env->new_tenants_due_ns, env->now_ns, interval_ns);
	return true;
}
