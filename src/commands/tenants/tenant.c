/* TENANT: the operator lists, creates, changes and drops tenants. The control plane runs all subcommands except KILL.
 */
#include "commands/tenants/tenant.h"

#include <stdlib.h>

#include "atomdb/session/fanout.h"
#include "atomdb/store/tenant.h"
#include "commands/handlers.h"

static enum outcome ask(struct session *s, const struct request *r, const struct fanout_kind *kind) {
	s->flags |= SESSION_SECRET;
	return operator_only(s, r) ? fanout_run(s, r, kind, 0) : OUTCOME_DONE;
}

enum outcome cmd_tenant_list(struct session *s, const struct request *r) {
	static const struct fanout_kind kind = {.control = CONTROL_TENANT_LIST, .gather = fanout_gather_text};
	return ask(s, r, &kind);
}

enum outcome cmd_tenant_info(struct session *s, const struct request *r) {
	static const struct fanout_kind kind = {.control = CONTROL_TENANT_INFO, .gather = fanout_gather_text};
	return ask(s, r, &kind);
}

bool tenant_is_secret(const struct slice *argv, uint32_t i) {
	return i >= 4 && (slice_is(argv[i - 1], "secret") || slice_is(argv[i - 1], "secret_sha256"));
}

enum outcome cmd_tenant_create(struct session *s, const struct request *r) {
	static const struct fanout_kind kind = {.control = CONTROL_TENANT_CREATE, .gather = fanout_gather_text};
	return ask(s, r, &kind);
}

enum outcome cmd_tenant_set(struct session *s, const struct request *r) {
	static const struct fanout_kind kind = {.control = CONTROL_TENANT_SET, .gather = fanout_gather_text};
	return ask(s, r, &kind);
}

enum outcome cmd_tenant_drop(struct session *s, const struct request *r) {
	static const struct fanout_kind kind = {.control = CONTROL_TENANT_DROP, .gather = fanout_gather_text};
	return ask(s, r, &kind);
}

static bool is_killed(const struct fanout *c, const struct tenant *t) {
	return t != NULL && !t->clients.removed && slice_equal(c->argv[2], slice_of(tenant_name(t)));
}

/* Answers 0, or -1 if the tenant is not on this worker. */
static void kill_on_worker(struct environment *env, struct fanout *c, struct fanout_answer *answer) {
	struct tenant_array tenants;
	answer->number = -1;
	if (operator_own_tenants(env, &tenants) < 0)
		return;
	for (size_t i = 0; i < tenants.count; i++)
		answer->number = is_killed(c, tenants.at[i]) ? 0 : answer->number;
	free(tenants.at);
}

/* Closes the client if it is one of the tenant, and counts it. */
static void kill_session(struct environment *env, struct fanout *c, struct fanout_answer *answer, struct session *s) {
	if (answer->number < 0 || !is_killed(c, s->tenant))
		return;
	fanout_close(env, c, s);
	answer->number++;
}

static void kill_gather(struct session *s, struct fanout *c) {
	int64_t closed = -1;
	for (unsigned i = 0; i < c->workers; i++) {
		if (c->answers[i].number > closed)
			closed = c->answers[i].number;
	}
	if (closed < 0)
		writer_error(s->reply, "ERR No such tenant");
	else
		writer_integer(s->reply, closed);
}

enum outcome cmd_tenant_kill(struct session *s, const struct request *r) {
	static const struct fanout_kind kind = {
		.on_worker = kill_on_worker, .on_session = kill_session, .gather = kill_gather};
	return ask(s, r, &kind);
}

enum outcome cmd_tenant_help(struct session *s, const struct request *r) {
	(void)r;
	static const char *const lines[] = {
		"CREATE <name> <option> <value> [<option> <value> ...]",
		"    Adds a tenant. The options are those of a tenant in the configuration file.",
		"DROP <name>",
		"    Removes a tenant with its data and closes its clients.",
		"INFO <name>",
		"    Returns limits and statistics of a tenant, and its differences from the configuration file.",
		"KILL <name>",
		"    Closes the clients of a tenant and returns their number.",
		"LIST",
		"    Returns the names of all tenants.",
		"SET <name> <option> <value> [<option> <value> ...]",
		"    Changes options of a tenant.",
	};
	return reply_help_lines(s, "tenant", lines);
}
