#include "net/connection_host.h"

#include "net/accept.h"
#include "net/connection.h"
#include "net/fanout.h"
#include "net/output.h"
#include "net/peer.h"
#include "net/pending.h"
#include "net/push.h"
#include "net/report.h"
#include "net/schedule.h"
#include "net/worker.h"

static struct connection *connection_of(struct session *s) {
	return list_entry(s, struct connection, session);
}

static void host_describe(struct session *s, struct client_facts *facts) {
	struct connection *c = connection_of(s);
	*facts = (struct client_facts){
		.fd = c->fd,
		.query_bytes = c->pending != NULL ? c->pending->bytes.len : 0,
		.output_bytes = output_unsent(c),
		.memory = sizeof(*c) + connection_memory(c),
	};
	peer_addresses(c->fd, facts->address, facts->local_address, sizeof(facts->address));
}

static void host_close(struct session *s) {
	struct connection *c = connection_of(s);
	if (s->env->running == s)
		s->flags |= SESSION_CLOSING;
	else
		connection_close(c);
}

static void host_push(struct session *s, struct slice bytes) {
	if (s->env->running != s)
		push_bytes(connection_of(s), bytes);
	else if (!writer_fits(s->reply, bytes.len) || buffer_append(s->reply->out, bytes.data, bytes.len, SIZE_MAX) < 0)
		s->reply->failed = true;
}

static void host_push_shared(struct session *s, struct slice head, struct shared *shared) {
	if (s->env->running != s) {
		push_shared(connection_of(s), head, shared);
		return;
	}
	host_push(s, head);
	host_push(s, buffer_slice(&shared->bytes));
}

static void host_wake(struct environment *env) {
	list_entry(env, struct worker, env)->resume_ms = 0;
}

static void host_send_monitor_feed(struct environment *env) {
	worker_send_monitor_feed(list_entry(env, struct worker, env));
}

static uint64_t host_held(const struct session *s) {
	const struct connection *c = list_entry(s, const struct connection, session);
	return c->charge.bytes + (c->output != NULL ? c->output->shared_bytes : 0);
}

static void host_evict(struct session *s, uint64_t held) {
	struct connection *c = connection_of(s);
	report_evicted(c, held);
	connection_overrun(c);
}

static uint64_t host_source(const struct session *s) {
	return peer_source(list_entry(s, const struct connection, session)->fd);
}

static bool host_has_place(const struct session *s, const struct tenant *t) {
	return accept_has_place(list_entry(s->env, struct worker, env), t);
}

static void host_leaving(struct session *s) {
	struct connection *c = connection_of(s);
	/* The tenant may end with its last client. */
	if (c->worker->cpu.tenant == s->tenant)
		cpu_time_leave(&c->worker->cpu);
	connection_uncharge(c);
	output_leave(c);
	if (output_unshare(c) < 0)
		s->flags |= SESSION_CLOSING;
}

const struct session_host connection_host = {
	.describe = host_describe,
	.close = host_close,
	.push = host_push,
	.push_shared = host_push_shared,
	.wake = host_wake,
	.visit = worker_visit,
	.prepare_fanout = worker_prepare_fanout,
	.send_fanout = worker_send_fanout,
	.has_place = host_has_place,
	.source = host_source,
	.leaving = host_leaving,
	.send_monitor_feed = host_send_monitor_feed,
	.held = host_held,
	.evict = host_evict,
	.run_long = schedule_run_long,
};
