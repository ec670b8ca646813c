/* CLIENT KILL. The operator closes clients of all tenants. */
#include "atomdb/session/fanout.h"
#include "atomdb/store/tenant.h"
#include "commands/connection/client.h"
#include "commands/handlers.h"

/* The filters of CLIENT KILL. */
struct filter {
	struct slice address, local_address, user; /* no data: any */
	int64_t id;                                /* 0: any */
	bool global;                               /* the operator asks: ids are global, users are tenants */
	bool typed;
	enum client_type type;
	bool skip_caller;
};

/* Reads the arguments. False: an error was replied. */
static bool parse_filter(struct session *s, const struct request *r, struct filter *f) {
	*f = (struct filter){.skip_caller = r->argc != 3};
	if (r->argc == 3) {
		f->address = r->argv[2];
		return true;
	}
	for (uint32_t i = 2; i < r->argc; i += 2) {
		struct slice name = r->argv[i];
		struct slice value = i + 1 < r->argc ? r->argv[i + 1] : (struct slice){NULL, 0};
		if (value.data == NULL) {
			reply_syntax_error(s);
			return false;
		}
		if (slice_is(name, "ID")) {
			if (!number_parse(value, &f->id) || f->id < 1) {
				writer_error(s->reply, "ERR client-id should be greater than 0");
				return false;
			}
		} else if (slice_is(name, "TYPE")) {
			f->typed = true;
			if (!client_parse_type(s, value, &f->type))
				return false;
		} else if (slice_is(name, "ADDR")) {
			f->address = value;
		} else if (slice_is(name, "LADDR")) {
			f->local_address = value;
		} else if (slice_is(name, "USER")) {
			/* The users of the operator are the tenants. */
			f->user = value;
			if (s->tenant != NULL && !s->tenant->is_operator && !slice_equal(value, SLICE("default")) &&
			    !slice_equal(value, slice_of(tenant_name(s->tenant)))) {
				writer_errorf(s->reply, "ERR No such user '%.*s'", ECHO_TEXT(value, ECHO_LONG));
				return false;
			}
		} else if (slice_is(name, "SKIPME") && (slice_is(value, "yes") || slice_is(value, "no"))) {
			f->skip_caller = slice_is(value, "yes");
		} else {
			reply_syntax_error(s);
			return false;
		}
	}
	return true;
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

struct killing {
	struct environment *env;
	struct filter filter;
	uint64_t caller;
	int64_t count;
};

static void kill_one(void *context, struct session *of) {
	struct killing *k = context;
	const struct filter *f = &k->filter;
	if ((f->skip_caller && of->global_id == k->caller) || !matches(k->env, of, f))
		return;
	k->env->host->close(of);
	k->count++;
}

static void kill_on_worker(struct environment *env, struct fanout *c, struct fanout_answer *answer) {
	struct killing k = {.env = env, .caller = (uint64_t)c->number};
	struct fanout_reader again;
	fanout_reader_init(&again, c);
	(void)parse_filter(&again.session, &again.request, &k.filter);
	k.filter.global = true;
	env->host->each(env, kill_one, &k);
	answer->number = k.count;
}

/* The reply of the form with an address alone. */
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
	static const struct fanout_kind one = {.on_worker = kill_on_worker, .gather = kill_gather};
	static const struct fanout_kind many = {.on_worker = kill_on_worker, .gather = fanout_gather_sum};
	struct filter f;
	if (!parse_filter(s, r, &f))
		return OUTCOME_DONE;
	return fanout_run(s, r, r->argc == 3 ? &one : &many, (int64_t)s->global_id);
}

enum outcome cmd_client_kill(struct session *s, const struct request *r) {
	struct filter f;
	if (operator_asks(s))
		return kill_of_all(s, r);
	if (!parse_filter(s, r, &f))
		return OUTCOME_DONE;
	int64_t killed = 0;
	list_for_each (node, &s->tenant->sessions) {
		struct session *of = list_entry(node, struct session, tenant_link);
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
