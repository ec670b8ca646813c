#include "atomdb/events/monitor.h"

#include <stdio.h>

#include "atomdb/events/subscriptions.h"
#include "atomdb/session/client_memory.h"
#include "atomdb/session/fanout.h"
#include "atomdb/session/run.h"
#include "atomdb/session/tenant_stats.h"
#include "atomdb/store/registry_walk.h"
#include "atomdb/store/tenant.h"
#include "atomdb/util/error.h"
#include "atomdb/util/fiber.h"

/* --- a line ----------------------------------------------------------------------------------------------------- */

/* Most bytes of a command's arguments in a line. */
#define SHOWN_MAX ((size_t)1 << 20)
/* Bytes around an argument: a space and two quotes. */
#define AROUND 3
/* Bytes of arguments between two check points. */
#define CHECK_BYTES 4096
/* More bytes of lines for the operator are sent before the turn ends. */
#define FEED_EARLY ((size_t)1 << 20)

/* The layout of a line, computed before it is written. */
struct line {
	const struct request *request;
	char head[256]; /* time and client */
	char tail[64];  /* count of omitted arguments, and the line end */
	uint32_t argc;  /* number of arguments shown; the last of them may be cut */
	size_t cut;     /* bytes of the last argument shown */
	size_t size;
};

static struct slice argument(const struct line *l, uint32_t i) {
	return request_is_secret(l->request, i) ? SLICE("(redacted)") : l->request->argv[i];
}

static struct slice shown(const struct line *l, uint32_t i) {
	struct slice text = argument(l, i);

	if (i + 1 == l->argc && l->cut < text.len)
		text.len = l->cut;
	return text;
}

/* Returns the length of a byte in the line. */
static size_t quoted_size(unsigned char c) {
	if (c >= ' ' && c <= '~')
		return c == '"' || c == '\\' ? 2 : 1;
	return c == '\n' || c == '\r' || c == '\t' || c == '\a' || c == '\b' ? 2 : 4;
}

/* Decides how many arguments are shown, and how much of the last one. */
static void cut(struct line *l) {
	size_t left = SHOWN_MAX, hidden = 0;
	const struct request *r = l->request;
	for (l->argc = 0; l->argc < r->argc && left > 0; l->argc++) {
		size_t len = argument(l, l->argc).len;
		l->cut = len < left ? len : left;
		hidden = len - l->cut;
		left -= l->cut + AROUND < left ? l->cut + AROUND : left;
	}
	int n = 0;
	if (hidden > 0)
		n += snprintf(l->tail, sizeof(l->tail), "... (%zu more bytes)", hidden);
	if (l->argc < r->argc)
		n += snprintf(l->tail + n, sizeof(l->tail) - (size_t)n, "... (%u more arguments)", r->argc - l->argc);
	snprintf(l->tail + n, sizeof(l->tail) - (size_t)n, "\r\n");
}

/* `tenant` is shown only to the operator; NULL for others. */
static void begin_line(struct line *l, struct session *s, const struct request *r, const char *tenant) {
	struct client_facts facts = {.address = ""};
	char place[96];
	l->request = r;
	l->cut = 0;
	s->env->host->describe(s, &facts);
	/* A client of a Unix socket has the address "path:0". */
	size_t len = strlen(facts.address);
	if (facts.address[0] == '/' && len > 2)
		snprintf(place, sizeof(place), "unix:%.*s", (int)(len - 2), facts.address);
	else
		snprintf(place, sizeof(place), "%s", facts.address);
	snprintf(l->head, sizeof(l->head), "+%lld.%06lld [%u %s%s%s]", (long long)(s->env->now_ms / 1000),
		 (long long)(s->env->now_ms % 1000 * 1000), s->tenant == NULL ? 0U : s->database,
		 tenant == NULL ? "" : tenant, tenant == NULL ? "" : " ", place);
	cut(l);
	size_t work = 0;
	l->size = strlen(l->head) + strlen(l->tail);
	for (uint32_t i = 0; i < l->argc; i++) {
		struct slice text = shown(l, i);
		l->size += AROUND;
		for (size_t k = 0; k < text.len; k++)
			l->size += quoted_size((unsigned char)text.data[k]);
		(void)fiber_check_every(&work, text.len, CHECK_BYTES);
	}
}

static char *put(char *p, const char *text) {
	size_t n = strlen(text);
	memcpy(p, text, n);
	return p + n;
}

/* Writes bytes as Redis does: in quotes, with unprintable bytes escaped. Adds them to `*work`. */
static char *put_quoted(char *p, struct slice text, size_t *work) {
	static const char hex[] = "0123456789abcdef", plain[] = "\n\r\t\a\b\"\\", letters[] = "nrtab\"\\";
	*p++ = ' ';
	*p++ = '"';
	for (size_t i = 0; i < text.len; i++) {
		(void)fiber_check_every(work, 1, CHECK_BYTES);
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
	return p;
}

/* Appends the line. Returns 0 or -ENOMEM. */
static int append_line(struct buffer *b, const struct line *l) {
	int error = buffer_reserve(b, l->size, SIZE_MAX);
	if (error < 0)
		return error;
	char *p = put(b->data + b->len, l->head);
	size_t work = 0;
	for (uint32_t i = 0; i < l->argc; i++)
		p = put_quoted(p, shown(l, i), &work);
	p = put(p, l->tail);
	b->len = (size_t)(p - b->data);
	return 0;
}

/* --- sending ---------------------------------------------------------------------------------------------------- */

static void tell_operator(struct session *s, const struct request *r, const char *tenant) {
	struct environment *env = s->env;
	struct line line;
	struct buffer text;
	buffer_init(&text);
	begin_line(&line, s, r, tenant);
	/* Commands of other tenants may add their lines while this one is written. */
	if (append_line(&text, &line) < 0 || buffer_append(&env->feed.lines, text.data, text.len, SIZE_MAX) < 0)
		env->feed.lost = true;
	buffer_deinit(&text);
	if (env->feed.lines.len > FEED_EARLY && env->host->send_monitor_feed != NULL)
		env->host->send_monitor_feed(env);
}

/* Closes the clients that have no room for a line, so that they notice the loss. */
static void lose(struct subscriptions *h, const struct session *but) {
	list_for_each (node, &h->monitors) {
		struct session *to = list_entry(node, struct subscriber, monitor)->session;
		if (to != but && to != h->push.current)
			client_memory_evict(h->tenant, to);
	}
}

static void tell_monitors(struct session *s, struct subscriptions *h, const struct request *r,
			  const struct session *but) {
	struct line line;
	begin_line(&line, s, r, NULL);
	struct writer w = push_body(&h->push, line.size);
	if (w.failed || append_line(w.out, &line) < 0) {
		lose(h, but);
		push_end(&h->push);
		return;
	}
	list_for_each (node, &h->monitors) {
		struct session *to = list_entry(node, struct subscriber, monitor)->session;
		if (to != but)
			push_send_body(&h->push, to);
		(void)fiber_check();
	}
	push_end(&h->push);
}

/* `t` is the tenant of the command. */
static void tell(struct session *s, struct tenant *t, const struct request *r, const struct session *but) {
	if (t->clients.monitored)
		tell_operator(s, r, tenant_name(t));
	if (t->clients.subscriptions != NULL && !list_empty(&t->clients.subscriptions->monitors) && !t->is_operator)
		tell_monitors(s, t->clients.subscriptions, r, but);
}

enum outcome monitor_run(struct session *s, const struct request *r, uint64_t *ticks) {
	struct tenant *t = s->tenant;
	bool told = t != NULL && !(r->command->flags & CMD_ADMIN) &&
		    (t->clients.monitored ||
		     (t->clients.subscriptions != NULL && !list_empty(&t->clients.subscriptions->monitors)));
	/* After this the session is not among the tenant's monitors. */
	bool before = (r->command->flags & CMD_LEAVES_TENANT) != 0;
	if (told && before)
		tell(s, t, r, s);
	enum outcome outcome = command_run(s, r, ticks);
	if (told && (outcome == OUTCOME_DONE || outcome == OUTCOME_PINNED_TAIL) && s->tenant == t && !before)
		tell(s, t, r, NULL);
	return outcome;
}

/* --- the operator's monitors ------------------------------------------------------------------------------------ */

static void refresh_monitored(void *context, struct tenant *t) {
	const struct environment *env = context;
	if (t->clients.monitored == (env->feed.watchers != 0))
		return;
	t->clients.monitored = !t->clients.monitored;
	session_count_attention(t, t->clients.monitored ? 1 : -1);
}

void monitor_count_feed(struct environment *env, unsigned worker, int64_t change) {
	env->feed.watchers += (unsigned)change;
	env->feed.worker = worker;
	registry_each_of(env->registry, env->worker, refresh_monitored, env);
}

void monitor_attach(struct session *s) {
	refresh_monitored(s->env, s->tenant);
}

void monitor_count_on_worker(struct environment *env, struct fanout *c, struct fanout_answer *answer) {
	(void)answer;
	monitor_count_feed(env, c->worker, c->number);
}

void monitor_stop_feed(struct environment *env) {
	static const struct fanout_kind kind = {.on_worker = monitor_count_on_worker};
	fanout_post(env, &kind, -1);
}

void monitor_begin(struct session *s) {
	struct subscriptions *h = s->tenant->clients.subscriptions;
	list_push_back(&h->monitors, &s->subscriber->monitor);
	h->monitor_count++;
	subscriptions_measure_audience(h);
	s->flags |= SESSION_MONITOR;
	session_count_attention(s->tenant, 1);
	if (s->tenant->is_operator)
		s->env->monitors_of_all = h;
}

int monitor_deserialize(struct session *s) {
	if (s->tenant == NULL)
		return ATOMDB_E_FORMAT;
	if (subscriber_open(s) < 0)
		return ATOMDB_E_OOM;
	s->flags |= SESSION_MONITOR_KEPT;
	return 0;
}

bool monitor_link(struct session *s) {
	if (!(s->flags & SESSION_MONITOR_KEPT))
		return false;
	s->flags &= ~(uint32_t)SESSION_MONITOR_KEPT;
	monitor_begin(s);
	return s->tenant->is_operator;
}

void monitor_leave(struct session *s) {
	struct subscriptions *h = s->tenant->clients.subscriptions;
	if (!(s->flags & SESSION_MONITOR))
		return;
	list_remove(&s->subscriber->monitor);
	h->monitor_count--;
	subscriptions_measure_audience(h);
	s->flags &= ~(uint32_t)SESSION_MONITOR;
	session_count_attention(s->tenant, -1);
	if (!s->tenant->is_operator)
		return;
	if (list_empty(&h->monitors) && s->env->monitors_of_all == h)
		s->env->monitors_of_all = NULL;
	monitor_stop_feed(s->env);
}

void monitor_take_lines(struct environment *env, struct slice lines, bool lost) {
	struct subscriptions *h = env->monitors_of_all;
	if (h == NULL)
		return;
	/* A suspended command of the operator may be in the middle of a message. */
	struct push push;
	push_init(&push, env, h->tenant);
	struct writer w = push_body(&push, lines.len);
	writer_raw(&w, lines);
	lost |= w.failed;
	if (!lost) {
		list_for_each (node, &h->monitors)
			push_send_body(&push, list_entry(node, struct subscriber, monitor)->session);
	}
	push_deinit(&push);
	/* Closing the last one ends the subscriptions. */
	while (lost && env->monitors_of_all != NULL)
		env->host->close(list_entry(env->monitors_of_all->monitors.next, struct subscriber, monitor)->session);
}
