/* CLIENT LIST and KILL over all tenants. The lines tell the tenant as the user. */
#include "commands/connection/client.h"
#include "commands/handlers.h"
#include "commands/tenants/operator.h"

static const char *user_of(const struct session *s) {
	return s->tenant == NULL ? "" : tenant_name(s->tenant);
}

/* The arguments were read once before: nobody hears of errors. */
struct reader {
	struct buffer nothing;
	struct writer deaf;
	struct session session;
	struct request request;
};

static void read_again(struct reader *r, const struct fanout *c) {
	buffer_init(&r->nothing);
	writer_init(&r->deaf, &r->nothing, 0);
	r->deaf.muted = true;
	r->session = (struct session){.reply = &r->deaf};
	r->request = (struct request){.argv = c->argv, .argc = c->argc};
}

/* --- CLIENT LIST ------------------------------------------------------------------------------------------------ */

struct listing {
	struct environment *env;
	const struct fanout *fanout;
	struct buffer *out;
	enum client_list filter;
	enum client_type type;
};

static bool is_listed(const struct listing *l, const struct session *of) {
	if (l->filter == CLIENT_LIST_TYPE)
		return client_type_of(of) == l->type;
	bool found = l->filter == CLIENT_LIST_ALL;
	for (uint32_t i = 3; i < l->fanout->argc && !found; i++) {
		int64_t id = 0;
		(void)number_parse(l->fanout->argv[i], &id);
		found = client_number(of, true) == (uint64_t)id;
	}
	return found;
}

static void list_one(void *context, struct session *of) {
	const struct listing *l = context;
	if (is_listed(l, of))
		(void)client_append_line(l->env, of, user_of(of), true, l->out);
}

static void list_on_worker(struct environment *env, struct fanout *c, struct fanout_answer *answer) {
	struct listing l = {.env = env, .fanout = c, .out = &answer->text};
	struct reader again;
	read_again(&again, c);
	l.filter = client_parse_list(&again.session, &again.request, &l.type);
	env->host->each(env, list_one, &l);
}

static void list_gather(struct session *s, struct fanout *c) {
	struct buffer *all = &s->env->scratch;
	int error = 0;
	for (unsigned i = 0; i < c->workers && error == 0; i++)
		error = buffer_append(all, c->answers[i].text.data, c->answers[i].text.len, SIZE_MAX);
	if (error < 0)
		reply_store_error(s, error);
	else
		writer_verbatim(s->reply, "txt", buffer_slice(all));
}

enum outcome operator_client_list(struct session *s, const struct request *r) {
	static const struct fanout_kind kind = {.on_worker = list_on_worker, .gather = list_gather};
	enum client_type type;
	if (client_parse_list(s, r, &type) == CLIENT_LIST_ERROR)
		return OUTCOME_DONE;
	return fanout_run(s, r, &kind, 0);
}

/* --- CLIENT KILL ------------------------------------------------------------------------------------------------ */

struct killing {
	struct environment *env;
	struct client_kill filter;
	uint64_t caller;
	int64_t count;
};

static void kill_one(void *context, struct session *of) {
	struct killing *k = context;
	const struct client_kill *f = &k->filter;
	if ((f->skip_caller && of->global_id == k->caller) || !client_matches(k->env, of, f))
		return;
	if (f->user.data != NULL && !slice_equal(f->user, slice_of(user_of(of))))
		return;
	k->env->host->close(of);
	k->count++;
}

static void kill_on_worker(struct environment *env, struct fanout *c, struct fanout_answer *answer) {
	struct killing k = {.env = env, .caller = (uint64_t)c->number};
	struct reader again;
	read_again(&again, c);
	(void)client_parse_kill(&again.session, &again.request, &k.filter);
	k.filter.global = true;
	env->host->each(env, kill_one, &k);
	answer->number = k.count;
}

/* The form with an address alone answers otherwise. */
static void kill_gather(struct session *s, struct fanout *c) {
	bool any = false;
	for (unsigned i = 0; i < c->workers; i++)
		any |= c->answers[i].number != 0;
	if (any)
		writer_ok(s->reply);
	else
		writer_error(s->reply, "ERR No such client");
}

enum outcome operator_client_kill(struct session *s, const struct request *r) {
	static const struct fanout_kind one = {.on_worker = kill_on_worker, .gather = kill_gather};
	static const struct fanout_kind many = {.on_worker = kill_on_worker, .gather = fanout_gather_sum};
	struct client_kill f;
	if (!client_parse_kill(s, r, &f))
		return OUTCOME_DONE;
	return fanout_run(s, r, r->argc == 3 ? &one : &many, (int64_t)s->global_id);
}
