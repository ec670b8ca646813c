#include "atomdb/dispatch/dispatch.h"

#include <ctype.h>
#include <stdio.h>

#include "atomdb/dispatch/admission.h"
#include "atomdb/events/subscriptions.h"
#include "atomdb/session/reply.h"
#include "atomdb/session/run.h"
#include "atomdb/session/tenant_stats.h"
#include "atomdb/store/tenant.h"
#include "atomdb/util/ascii_word.h"
#include "atomdb/util/error.h"
#include "atomdb/util/fiber.h"

/* Prefetch distances in commands, of an entry and of its neighbours: far enough for a miss of all caches, and near
 * enough to stay in the first-level cache. */
#define ENTRIES_AHEAD 16u
#define LINKS_AHEAD   8u

static const struct command *resolve(const struct environment *env, const struct request *r) {
	const struct command *c = command_index_find(&env->index, r->argv[0]);
	if (c == NULL || __builtin_expect(!(c->flags & CMD_PARENT), 1) || r->argc == 1)
		return c;
	return command_find_subcommand(env->command_set, c, r->argv[1]);
}

/* Looks up the commands. A name that equals the one before needs no search. */
static void resolve_all(struct session *s, struct request *requests, unsigned count) {
	const struct command *last = NULL;
	uint64_t spelled = 0;
	size_t length = SIZE_MAX; /* a copy of that name */
	for (struct request *r = requests; r < requests + count; r++) {
		uint64_t word = ascii_word_exact(r->argv[0]);
		if (word == spelled && r->argv[0].len == length) {
			r->command = last;
			continue;
		}
		const struct command *c = r->command = resolve(s->env, r);
		/* The next argument selects the subcommand. */
		bool alone = c != NULL && c->number < COMMAND_COUNT && !(c->flags & CMD_PARENT);
		last = c;
		spelled = word;
		length = alone && r->argv[0].len <= sizeof(word) ? r->argv[0].len : SIZE_MAX;
	}
}

/* Returns the generation of a session with a tenant. It changes with the tenant, and when prefetched pointers become
 * invalid. */
static inline uint64_t present(const struct session *s) {
	return (uint64_t)s->attachments << 32 | keyspace_generation(s->tenant);
}

/* Returns whether prefetched pointers of the requests that were prepared with `r` are still valid. */
static inline bool is_fresh(const struct session *s, const struct request *r) {
	return s->tenant != NULL && r->prepared == present(s);
}

void dispatch_prepare(struct session *s, struct request *requests, unsigned count) {
	const struct tenant *t = s->tenant;
	struct request *end = requests + count;
	const uint64_t now = t != NULL ? present(s) : 0;
	if (__builtin_expect(!s->env->index.ready, 0))
		command_index_build(&s->env->index, s->env->command_set);
	resolve_all(s, requests, count);
	for (struct request *r = requests; r < end; r++) {
		const struct command *c = r->command;
		r->hashed = 0;
		r->prepared = now;
		r->bucket = NULL;
		r->entry = NULL;
		if (c == NULL || c->first_key == 0 || (uint32_t)c->first_key >= r->argc || t == NULL)
			continue;
		/* The command itself hashes a long name, with check points. */
		if (__builtin_expect(r->argv[c->first_key].len > LONG_NAME, 0))
			continue;
		r->key = keyspace_key(t, s->db_slot, r->argv[c->first_key]);
		r->hashed = s->attachments;
		r->bucket = keyspace_fetch_bucket(t, &r->key);
	}
}

static inline void fetch_entry(const struct session *s, struct request *r) {
	if (r->bucket != NULL)
		r->entry = keyspace_fetch_entry(s->tenant, &r->key, r->bucket);
}

static inline void fetch_links(const struct session *s, const struct request *r) {
	if (r->entry != NULL)
		keyspace_fetch_links(s->tenant, r->entry);
}

void dispatch_fetch_entries(const struct session *s, struct request *requests, unsigned count) {
	if (count == 0 || !is_fresh(s, requests))
		return;
	for (unsigned i = 0; i < count && i < ENTRIES_AHEAD; i++)
		fetch_entry(s, &requests[i]);
}

void dispatch_fetch_links(const struct session *s, const struct request *requests, unsigned count) {
	if (count == 0 || !is_fresh(s, requests))
		return;
	for (unsigned i = 0; i < count && i < LINKS_AHEAD; i++)
		fetch_links(s, &requests[i]);
}

void dispatch_fetch_ahead(const struct session *s, struct request *r, unsigned left) {
	if (left <= LINKS_AHEAD || !is_fresh(s, r))
		return;
	fetch_links(s, r + LINKS_AHEAD);
	if (left > ENTRIES_AHEAD)
		fetch_entry(s, r + ENTRIES_AHEAD);
}

/* Returns whether the name is the first word of an HTTP header, and of no command. As in Redis, the connection is then
 * closed in any state. */
static bool is_http(struct slice name) {
	return (name.len >= 4 && strncasecmp(name.data, "POST", 4) == 0) ||
	       (name.len >= 5 && strncasecmp(name.data, "Host:", 5) == 0);
}

static void reply_unknown_subcommand(struct session *s, const struct command *parent, struct slice name) {
	char upper[32];
	size_t n = 0;
	for (; parent->name[n] != '\0' && n < sizeof(upper) - 1; n++)
		upper[n] = (char)toupper((unsigned char)parent->name[n]);
	upper[n] = '\0';
	writer_errorf(s->reply, "ERR unknown subcommand '%.*s'. Try %s HELP.", ECHO_TEXT(name, ECHO_MAX), upper);
}

/* Repeats the first arguments, in quotes, up to 128 bytes in total. */
static void reply_unknown(struct session *s, const struct request *r) {
	const struct command *parent = command_index_find(&s->env->index, r->argv[0]);
	if (parent != NULL && r->argc > 1) {
		reply_unknown_subcommand(s, parent, r->argv[1]);
		return;
	}
	char args[ECHO_MAX + 8];
	int used = 0;
	args[0] = '\0';
	for (uint32_t i = 1; i < r->argc && used < ECHO_MAX; i++)
		used += snprintf(args + used, sizeof(args) - (size_t)used, "'%.*s' ",
				 ECHO_TEXT(r->argv[i], ECHO_MAX - used));
	writer_errorf(s->reply, "ERR unknown command '%.*s', with args beginning with: %s",
		      ECHO_TEXT(r->argv[0], ECHO_MAX), args);
}

/* Attaches a session without AUTH to the anonymous tenant. Returns false if the command cannot run, and then sets
 * `*outcome`. */
static bool enter_anonymous(struct session *s, enum outcome *outcome) {
	struct tenant *t;
	unsigned worker;
	*outcome = OUTCOME_DONE;
	int r = registry_anonymous(s->env->registry, &t, &worker);
	if (r == 0 && worker != s->env->worker) {
		s->home = (uint16_t)worker;
		*outcome = OUTCOME_MIGRATE;
		return false;
	}
	if (r == 0)
		r = session_attach(s, t);
	if (r == 0)
		return true;
	if (r == ATOMDB_E_AGAIN) {
		s->env->awaited = t;
		*outcome = OUTCOME_BUSY;
	} else if (r == ATOMDB_E_FULL) {
		writer_error(s->reply, "ERR max number of clients reached");
		*outcome = OUTCOME_CLOSE;
	} else if (r == ATOMDB_E_WRONGPASS) {
		writer_error(s->reply, "NOAUTH Authentication required.");
	} else {
		reply_store_error(s, r);
	}
	return false;
}

/* Returns whether the command may run. If not, sets `*outcome`; the reply is written. */
static bool admit(struct session *s, const struct request *r, enum outcome *outcome) {
	const struct command *c = r->command;
	*outcome = OUTCOME_DONE;
	if (__builtin_expect(!command_arity_ok(c, r->argc), 0)) {
		writer_errorf(s->reply, "ERR wrong number of arguments for '%s' command", c->name);
		return false;
	}
	if (__builtin_expect((c->flags & (CMD_NO_AUTH | CMD_LONG)) != 0 || fiber_test_yields(), 0)) {
		s->flags |= c->flags & CMD_LONG || fiber_test_yields() ? (uint32_t)SESSION_LONG : 0;
		if (c->flags & CMD_NO_AUTH)
			return true;
	}
	if (__builtin_expect(s->tenant == NULL, 0)) {
		if (!session_authenticated(s)) {
			writer_error(s->reply, "NOAUTH Authentication required.");
			return false;
		}
		if (!enter_anonymous(s, outcome))
			return false;
	}
	struct tenant *t = s->tenant;
	if (__builtin_expect(!token_bucket_take(&t->commands, s->env->now_ns), 0)) {
		counter_add(&t->counters.throttled, 1);
		writer_error(s->reply, "ERR commands_per_second of this tenant exceeded");
		return false;
	}
	return true;
}

static void replace_reply(struct session *s, const char *error) {
	struct writer *w = s->reply;
	w->failed = false;
	w->out->len = w->begin;
	writer_error(w, error);
	tenant_stats_count_error(s);
}

void dispatch_drop_reply(struct session *s) {
	replace_reply(s, "OOM the reply is larger than client_memory allows, though the command has run");
}

void dispatch_end_reader(struct session *s) {
	replace_reply(s, "BUSYKILLED the command ran longer than busy_limit, and the tenant has to give memory back");
}

void dispatch_refuse(struct session *s) {
	size_t mark = s->reply->out->len;
	bool muted = s->reply->muted;
	if (s->flags & SESSION_REPLY_SKIP_NEXT) {
		s->flags &= ~(uint32_t)SESSION_REPLY_SKIP_NEXT;
		s->reply->muted = true;
	}
	reply_store_error(s, ATOMDB_E_OOM);
	admission_refused(s, &(struct request){.command = NULL}, mark);
	s->reply->muted = muted;
}

enum outcome dispatch_run_admitted(struct session *s, struct request *r, uint64_t *ticks) {
	return (s->flags & SESSION_ATTENTION) != 0 ? admission_run(s, r, ticks) : command_run(s, r, ticks);
}

/* Whether the command is to run on a fiber. A command of EXEC is on EXEC's, and one that is only queued is
 * copied. */
static bool is_long(const struct session *s, const struct request *r) {
	const struct command *c = r->command;
	const struct session_host *host = s->env->host;
	if (fiber_current != NULL || s->tenant == NULL || host == NULL || host->run_long == NULL)
		return false;
	bool queued = (s->flags & SESSION_MULTI) && !(c->flags & CMD_IN_MULTI);
	if ((s->flags & SESSION_LARGE) && (queued || !(c->flags & CMD_NO_AUTH)))
		return true;
	bool yields = fiber_test_yields() && !(c->flags & CMD_NO_AUTH);
	return !queued && (yields || command_is_long(s, r) || subscriptions_make_long(s->tenant, r));
}

/* Runs a command that needs attention or may take long. */
static __attribute__((noinline)) enum outcome run_unusual(struct session *s, struct request *r, uint64_t *ticks) {
	bool separate = is_long(s, r);
	s->flags &= ~(uint32_t)(SESSION_LARGE | SESSION_LONG);
	return separate ? s->env->host->run_long(s, r, ticks) : dispatch_run_admitted(s, r, ticks);
}

enum outcome dispatch_run(struct session *s, struct request *r, uint64_t *ticks) {
	const struct command *c = r->command;
	size_t mark = s->reply->begin = s->reply->out->len;
	s->last_ms = s->env->steady_ms;
	if (__builtin_expect(c == NULL, 0)) {
		if (is_http(r->argv[0]))
			return OUTCOME_HTTP;
		counter_add(&s->env->unknown_commands, 1);
		reply_unknown(s, r);
		admission_refused(s, r, mark);
		return OUTCOME_DONE;
	}
	enum outcome outcome;
	if (__builtin_expect(!admit(s, r, &outcome), 0)) {
		if (outcome != OUTCOME_MIGRATE && outcome != OUTCOME_BUSY) {
			counter_add(&s->env->commands[c->id].rejected, 1);
			admission_refused(s, r, mark);
		}
		return outcome;
	}
	s->last = c;
	outcome = __builtin_expect((s->flags & SESSION_ATTENTION) != 0, 0) ? run_unusual(s, r, ticks)
									   : command_run(s, r, ticks);
	/* The same command takes its token again when it is retried. */
	if (__builtin_expect(!outcome_is_final(outcome), 0) && outcome != OUTCOME_MIGRATE &&
	    outcome != OUTCOME_SUSPENDED && !(c->flags & CMD_NO_AUTH))
		token_bucket_give_back(&s->tenant->commands);
	return outcome;
}
