/* The operator's own commands: TENANT and SHUTDOWN. The control plane does most of it. */
#include "commands/tenants/operator.h"

#include <errno.h>
#include <stdlib.h>

#include "commands/handlers.h"

bool operator_only(struct session *s, const struct request *r) {
	if (s->tenant->is_operator)
		return true;
	writer_errorf(s->reply, "NOPERM this user has no permissions to run the '%s' command", r->command->name);
	return false;
}

struct collection {
	struct tenant_array *out;
	size_t room;
	int error;
};

static void collect(void *context, struct tenant *t) {
	struct collection *c = context;
	if (c->error != 0)
		return;
	if (c->out->count == c->room) {
		size_t room = c->room == 0 ? 64 : c->room * 2;
		struct tenant **larger = realloc(c->out->at, room * sizeof(struct tenant *));
		if (larger == NULL) {
			c->error = -ENOMEM;
			return;
		}
		c->out->at = larger;
		c->room = room;
	}
	c->out->at[c->out->count++] = t;
}

int operator_own_tenants(struct environment *env, struct tenant_array *out) {
	*out = (struct tenant_array){NULL, 0};
	struct collection c = {.out = out};
	registry_each_of(env->registry, env->worker, collect, &c);
	if (c.error != 0)
		free(out->at);
	return c.error;
}

void fanout_gather_sum(struct session *s, struct fanout *c) {
	int64_t sum = 0;
	for (unsigned i = 0; i < c->workers; i++)
		sum += c->answers[i].number;
	writer_integer(s->reply, sum);
}

void fanout_gather_text(struct session *s, struct fanout *c) {
	struct slice text = buffer_slice(&c->answers[0].text);
	if (text.len != 0 && text.data[0] == '-')
		writer_errorf(s->reply, "%.*s", (int)text.len - 1, text.data + 1);
	else
		writer_raw(s->reply, text);
}

/* --- TENANT ----------------------------------------------------------------------------------------------------- */

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

/* Answers how many clients were closed; -1: the tenant is not here. */
static void kill_on_worker(struct environment *env, struct fanout *c, struct fanout_answer *answer) {
	struct tenant_array tenants;
	answer->number = -1;
	if (operator_own_tenants(env, &tenants) < 0)
		return;
	for (size_t i = 0; i < tenants.count; i++) {
		struct tenant *t = tenants.at[i];
		if (t->removed || !slice_equal(c->argv[2], slice_of(tenant_name(t))))
			continue;
		struct list todo = t->sessions;
		answer->number = 0;
		/* The last to go may end the tenant: how many there are is known before. */
		for (uint64_t left = counter_get(&t->counters.clients); left > 0; left--) {
			struct session *of = list_entry(todo.next, struct session, tenant_link);
			todo.next = of->tenant_link.next;
			env->host->close(of);
			answer->number++;
		}
	}
	free(tenants.at);
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
	static const struct fanout_kind kind = {.on_worker = kill_on_worker, .gather = kill_gather};
	return ask(s, r, &kind);
}

enum outcome cmd_tenant_help(struct session *s, const struct request *r) {
	(void)r;
	static const char *const lines[] = {
		"CREATE <name> <option> <value> [<option> <value> ...]",
		"    Adds a tenant. The options are those of a tenant in the configuration file.",
		"DROP <name>",
		"    Removes a tenant with all that it has, and closes its clients.",
		"INFO <name>",
		"    Tells the limits and the figures of a tenant, and what of it differs from the file.",
		"KILL <name>",
		"    Closes the clients of a tenant; answers how many.",
		"LIST",
		"    Lists the names of all tenants.",
		"SET <name> <option> <value> [<option> <value> ...]",
		"    Changes options of a tenant.",
	};
	return reply_help_lines(s, "tenant", lines);
}

/* --- SHUTDOWN --------------------------------------------------------------------------------------------------- */

enum outcome cmd_shutdown(struct session *s, const struct request *r) {
	static const struct fanout_kind kind = {.control = CONTROL_SHUTDOWN, .gather = fanout_gather_text};
	bool save = false, nosave = false, now = false, force = false, abort = false;
	if (!operator_only(s, r))
		return OUTCOME_DONE;
	for (uint32_t i = 1; i < r->argc; i++) {
		if (slice_is(r->argv[i], "SAVE"))
			save = true;
		else if (slice_is(r->argv[i], "NOSAVE"))
			nosave = true;
		else if (slice_is(r->argv[i], "NOW"))
			now = true;
		else if (slice_is(r->argv[i], "FORCE"))
			force = true;
		else if (slice_is(r->argv[i], "ABORT"))
			abort = true;
		else
			return reply_syntax_error(s);
	}
	if ((abort && (save || nosave || now || force)) || (save && nosave))
		return reply_syntax_error(s);
	if (abort)
		return reply_error(s, "ERR No shutdown in progress.");
	if (save && !force)
		return reply_error(s,
				   "ERR Errors trying to SHUTDOWN: nothing can be saved. FORCE stops it all the same.");
	return fanout_run(s, r, &kind, 0);
}
