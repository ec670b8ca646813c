#include "command/monitor.h"

#include <stdio.h>

#include "atomdb/command/call.h"
#include "command/between.h"
#include "command/handlers.h"
#include "command/notes.h"

/* --- a line ----------------------------------------------------------------------------------------------------- */

static int append(struct buffer *b, const char *text, size_t n) {
	return buffer_append(b, text, n, SIZE_MAX);
}

/* As Redis shows bytes: in quotes, what is not printable escaped. */
static int append_quoted(struct buffer *b, struct slice text) {
	static const char hex[] = "0123456789abcdef", plain[] = "\n\r\t\a\b\"\\", letters[] = "nrtab\"\\";
	/* Each byte takes up to four. */
	if (text.len > (SIZE_MAX - 3) / 4 || buffer_reserve(b, text.len * 4 + 3, SIZE_MAX) < 0)
		return -1;
	char *p = b->data + b->len;
	*p++ = ' ';
	*p++ = '"';
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.data[i];
		const char *special = c == '\0' ? NULL : strchr(plain, c);
		if (special != NULL) {
			*p++ = '\\';
			*p++ = letters[special - plain];
		} else if (c >= ' ' && c <= '~') {
			*p++ = (char)c;
		} else {
			*p++ = '\\';
			*p++ = 'x';
			*p++ = hex[c >> 4];
			*p++ = hex[c & 15];
		}
	}
	*p++ = '"';
	b->len = (size_t)(p - b->data);
	return 0;
}

/* Appends the line of a command; `tenant` is shown to the operator, NULL to others. What memory does not hold is not
 * told. */
static void append_line(struct buffer *b, struct session *s, const struct request *r, const char *tenant) {
	struct client_facts facts = {.address = ""};
	char head[192], place[96];
	size_t begin = b->len;
	s->env->host->describe(s, &facts);
	/* Of a client of a Unix socket "path:0" is known. */
	size_t len = strlen(facts.address);
	if (facts.address[0] == '/' && len > 2)
		snprintf(place, sizeof(place), "unix:%.*s", (int)(len - 2), facts.address);
	else
		snprintf(place, sizeof(place), "%s", facts.address);
	int n = snprintf(head, sizeof(head), "+%lld.%06lld [%u %s%s%s]", (long long)(s->env->now_ms / 1000),
			 (long long)(s->env->now_ms % 1000 * 1000), s->tenant == NULL ? 0U : s->database,
			 tenant == NULL ? "" : tenant, tenant == NULL ? "" : " ", place);
	int error = append(b, head, (size_t)n);
	for (uint32_t i = 0; i < r->argc && error == 0; i++)
		error = append_quoted(b, notes_is_secret(r, i) ? SLICE("(redacted)") : r->argv[i]);
	if (error != 0 || append(b, "\r\n", 2) < 0)
		b->len = begin;
}

/* --- telling ---------------------------------------------------------------------------------------------------- */

/* `t` is the tenant that the command was of. */
static void tell(struct session *s, struct tenant *t, const struct request *r, const struct session *but) {
	struct environment *env = s->env;
	if (t->watched)
		append_line(&env->feed.lines, s, r, tenant_name(t));
	if (t->hub == NULL || list_empty(&t->hub->monitors) || t->is_operator)
		return;
	struct buffer line;
	buffer_init(&line);
	append_line(&line, s, r, NULL);
	list_for_each (node, &t->hub->monitors) {
		struct session *to = list_entry(node, struct peer, monitor)->session;
		if (to != but)
			hub_push(t->hub, to, buffer_slice(&line));
	}
	buffer_deinit(&line);
}

enum outcome monitor_call(struct session *s, const struct request *r, uint64_t *ticks) {
	struct tenant *t = s->tenant;
	bool told = t != NULL && !(r->command->flags & CMD_ADMIN) &&
		    (t->watched || (t->hub != NULL && !list_empty(&t->hub->monitors)));
	/* It takes the session out of the tenant, and its monitors out of their list. */
	if (told && r->command->id == COMMAND_RESET)
		tell(s, t, r, s);
	enum outcome outcome = dispatch_call(s, r, ticks);
	if (told && (outcome == OUTCOME_DONE || outcome == OUTCOME_LENT) && s->tenant == t &&
	    r->command->id != COMMAND_RESET)
		tell(s, t, r, NULL);
	return outcome;
}

bool monitor_may_not(const struct command *c) {
	return (c->flags & (CMD_READONLY | CMD_WRITE)) != 0 || c->id == COMMAND_PUBLISH || c->id == COMMAND_SPUBLISH;
}

/* --- the operator's --------------------------------------------------------------------------------------------- */

static void refresh_watched(void *context, struct tenant *t) {
	const struct environment *env = context;
	if (t->watched == (env->feed.watchers != 0))
		return;
	t->watched = !t->watched;
	hub_refresh(t);
}

void monitor_feed(struct environment *env, unsigned worker, int64_t change) {
	env->feed.watchers += (unsigned)change;
	env->feed.worker = worker;
	registry_each_of(env->registry, env->worker, refresh_watched, env);
}

static void watch_part(struct environment *env, struct call *c, struct call_answer *answer) {
	(void)answer;
	monitor_feed(env, c->worker, c->number);
}

static void begin_monitor(struct session *s) {
	struct hub *h = s->tenant->hub;
	list_push_back(&h->monitors, &s->peer->monitor);
	s->flags |= SESSION_MONITOR;
	hub_refresh(s->tenant);
}

static void begin_monitor_of_all(struct session *s) {
	s->env->watching = s->tenant->hub;
	begin_monitor(s);
}

static void watch_reply(struct session *s, struct call *c) {
	(void)c;
	begin_monitor_of_all(s);
	writer_ok(s->reply);
}

static void unwatch(struct environment *env) {
	static const struct call_kind kind = {.part = watch_part};
	call_tell(env, &kind, -1);
}

enum outcome monitor_monitor(struct session *s, const struct request *r) {
	static const struct call_kind watch = {.part = watch_part, .reply = watch_reply, .undo = unwatch};
	if (s->flags & SESSION_EXECUTING)
		return reply_error(s, "ERR MONITOR isn't allowed for DENY BLOCKING client");
	/* Redis, too, does not answer a second one. */
	if ((s->flags & SESSION_MONITOR) || hub_peer(s) == NULL)
		return OUTCOME_DONE;
	if (s->tenant->is_operator)
		return call_run(s, r, &watch, 1);
	begin_monitor(s);
	writer_ok(s->reply);
	return OUTCOME_DONE;
}

bool monitor_again(struct session *s) {
	if (!(s->flags & SESSION_MONITOR_KEPT))
		return false;
	s->flags &= ~(uint32_t)SESSION_MONITOR_KEPT;
	if (!s->tenant->is_operator) {
		begin_monitor(s);
		return false;
	}
	begin_monitor_of_all(s);
	return true;
}

void monitor_leave(struct session *s) {
	struct hub *h = s->tenant->hub;
	if (!(s->flags & SESSION_MONITOR))
		return;
	list_remove(&s->peer->monitor);
	s->flags &= ~(uint32_t)SESSION_MONITOR;
	if (!s->tenant->is_operator)
		return;
	if (list_empty(&h->monitors) && s->env->watching == h)
		s->env->watching = NULL;
	unwatch(s->env);
}

void session_watched(struct environment *env, struct slice lines, bool lost) {
	/* The last that is closed ends the hub. */
	while (lost && env->watching != NULL)
		env->host->close(list_entry(env->watching->monitors.next, struct peer, monitor)->session);
	if (env->watching == NULL)
		return;
	list_for_each (node, &env->watching->monitors)
		env->host->push(list_entry(node, struct peer, monitor)->session, lines);
}
