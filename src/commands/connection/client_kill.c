/* CLIENT KILL. The operator closes clients of all tenants. */
#include <errno.h>
#include <stdlib.h>

#include "atomdb/session/fanout.h"
#include "atomdb/session/options.h"
#include "atomdb/store/tenant.h"
#include "commands/connection/client.h"
#include "commands/handlers.h"

/* The filters of CLIENT KILL. */
struct filter {
	struct slice address, local_address, user; /* no data: any */
	int64_t id;                                /* 0: any */
	bool global;                               /* the operator's command: ids are global, users are tenants */
	bool typed;
	enum client_type type;
	bool skip_caller;
};

enum {
	OPTION_ID = 1 << 0,
	OPTION_TYPE = 1 << 1,
	OPTION_ADDR = 1 << 2,
	OPTION_LADDR = 1 << 3,
	OPTION_USER = 1 << 4,
	OPTION_SKIPME = 1 << 5,
};

static const struct command_option options[] = {
	OPTION("id", .flag = OPTION_ID, .values = 1),     OPTION("type", .flag = OPTION_TYPE, .values = 1),
	OPTION("addr", .flag = OPTION_ADDR, .values = 1), OPTION("laddr", .flag = OPTION_LADDR, .values = 1),
	OPTION("user", .flag = OPTION_USER, .values = 1), OPTION("skipme", .flag = OPTION_SKIPME, .values = 1),
};

/* Returns whether the caller's tenant has that user. For the operator the users are the tenants. */
static bool user_exists(const struct session *s, struct slice user) {
	return s->tenant == NULL || s->tenant->is_operator || slice_equal(user, SLICE("default")) ||
	       slice_equal(user, slice_of(tenant_name(s->tenant)));
}

/* Reads one filter. Returns false if an error was replied. */
static bool parse_one(struct session *s, uint32_t flag, struct slice value, struct filter *f) {
	switch (flag) {
	case OPTION_ID:
		if (number_parse(value, &f->id) && f->id >= 1)
			return true;
		writer_error(s->reply, "ERR client-id should be greater than 0");
		return false;
	case OPTION_TYPE:
		f->typed = true;
		return client_parse_type(s, value, &f->type);
	case OPTION_ADDR:
		f->address = value;
		return true;
	case OPTION_LADDR:
		f->local_address = value;
		return true;
	case OPTION_USER:
		f->user = value;
		if (user_exists(s, value))
			return true;
		writer_errorf(s->reply, "ERR No such user '%.*s'", ECHO_TEXT(value, ECHO_LONG));
		return false;
	default:
		f->skip_caller = slice_is(value, "yes");
		if (f->skip_caller || slice_is(value, "no"))
			return true;
		reply_syntax_error(s);
		return false;
	}
}

/* Reads the arguments. Returns false if an error was replied. */
static bool parse_filter(struct session *s, const struct request *r, struct filter *f) {
	struct options o = OPTIONS_BEGIN(r, 2, options);
	const struct command_option *option;
	size_t work = 0;
	*f = (struct filter){.skip_caller = r->argc != 3};
	if (r->argc == 3) {
		f->address = r->argv[2];
		return true;
	}
	while ((option = options_next(&o)) != NULL) {
		(void)fiber_check_every(&work, 1, CHECK_KEYS);
		if (!parse_one(s, option->flag, *o.value, f))
			return false;
	}
	if (o.error != OPTIONS_OK)
		reply_syntax_error(s);
	return o.error == OPTIONS_OK;
}

static bool matches(struct environment *env, struct session *of, const struct filter *f) {
	if ((f->id != 0 && client_number(of, f->global) != (uint64_t)f->id) ||
	    (f->typed && client_type_of(of) != f->type))
		return false;
	const char *user = f->global ? client_tenant(of) : session_user(of);
	if (f->user.data != NULL && !slice_equal(f->user, slice_of(user)))
		return false;
	if (f->address.data == NULL && f->local_address.data == NULL)
		return true;
	struct client_facts facts = {.fd = -1};
	env->host->describe(of, &facts);
	return (f->address.data == NULL || slice_equal(f->address, slice_of(facts.address))) &&
	       (f->local_address.data == NULL || slice_equal(f->local_address, slice_of(facts.local_address)));
}

/* Closes the client if the filter matches, and counts it. `c->number` is the id of the caller. */
static void kill_session(struct environment *env, struct fanout *c, struct fanout_answer *answer, struct session *of) {
	const struct filter *f = c->data;
	if ((f->skip_caller && of->global_id == (uint64_t)c->number) || !matches(env, of, f))
		return;
	fanout_close(env, c, of);
	answer->number++;
}

/* Copies a text of the filter to `*at`, and advances `*at`. */
static void copy_text(struct slice *text, char **at) {
	if (text->data == NULL)
		return;
	memcpy(*at, text->data, text->len);
	text->data = *at;
	*at += text->len + 1;
}

/* Returns a copy of the filter with its texts, for other workers; NULL: no memory. */
static struct filter *copy_filter(const struct filter *f) {
	size_t bytes = sizeof(*f) + f->address.len + f->local_address.len + f->user.len + 3;
	struct filter *copy = malloc(bytes);
	if (copy == NULL)
		return NULL;
	char *at = (char *)(copy + 1);
	*copy = *f;
	copy_text(&copy->address, &at);
	copy_text(&copy->local_address, &at);
	copy_text(&copy->user, &at);
	copy->global = true;
	return copy;
}

/* The reply to the form with only an address. */
static void kill_gather(struct session *s, struct fanout *c) {
	bool any = false;
	for (unsigned i = 0; i < c->workers; i++)
		any |= c->answers[i].number != 0;
	if (any)
		writer_ok(s->reply);
	else
		writer_error(s->reply, "ERR No such client");
}

static enum outcome kill_of_all(struct session *s, const struct request *r) {
	static const struct fanout_kind one = {.on_session = kill_session, .gather = kill_gather};
	static const struct fanout_kind many = {.on_session = kill_session, .gather = fanout_gather_sum};
	const struct fanout_kind *kind = r->argc == 3 ? &one : &many;
	struct filter f;
	if (fanout_of(s) != NULL)
		return fanout_run(s, r, kind, 0);
	if (!parse_filter(s, r, &f))
		return OUTCOME_DONE;
	struct filter *copy = copy_filter(&f);
	if (copy == NULL)
		return reply_store_error(s, -ENOMEM);
	return fanout_run_with(s, r, kind, (int64_t)s->global_id, copy);
}

enum outcome cmd_client_kill(struct session *s, const struct request *r) {
	struct filter f;
	if (operator_asks(s))
		return kill_of_all(s, r);
	if (!parse_filter(s, r, &f))
		return OUTCOME_DONE;
	int64_t killed = 0;
	list_for_each (node, &s->tenant->clients.sessions) {
		struct session *of = list_entry(node, struct session, tenant_link);
		(void)fiber_check();
		if ((of == s && f.skip_caller) || !matches(s->env, of, &f))
			continue;
		s->env->host->close(of);
		killed++;
	}
	if (r->argc != 3)
		writer_integer(s->reply, killed);
	else if (killed == 0)
		writer_error(s->reply, "ERR No such client");
	else
		writer_ok(s->reply);
	return OUTCOME_DONE;
}
