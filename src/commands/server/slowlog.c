/* SLOWLOG: slow commands of the tenant. The operator sees those of all tenants, with the name of the tenant in a
 * further field. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "atomdb/session/fanout.h"
#include "atomdb/session/tenant_stats.h"
#include "atomdb/store/tenant.h"
#include "commands/handlers.h"

#define DEFAULT_COUNT 10
/* Maximum number of entries in one answer. */
#define ENTRIES_MAX 10000

/* Replies with an entry as in SLOWLOG GET. `tenant` is the name of its tenant for the operator, else NULL. */
static void reply_entry(struct writer *w, const struct slow_entry *e, const char *tenant) {
	const char *at = e->text;
	writer_array(w, tenant == NULL ? 6 : 7);
	writer_integer(w, e->id);
	writer_integer(w, e->time_s);
	writer_integer(w, e->micros);
	writer_array(w, e->argc);
	for (uint32_t i = 0; i < e->argc; i++) {
		uint32_t len;
		memcpy(&len, at, sizeof(len));
		writer_bulk(w, (struct slice){at + sizeof(len), len});
		at += sizeof(len) + len;
	}
	writer_bulk(w, slice_of(at));
	writer_bulk(w, slice_of(at + strlen(at) + 1));
	if (tenant != NULL)
		writer_bulk(w, slice_of(tenant));
}

struct found {
	const struct slow_entry *entry;
	const struct tenant *tenant;
};

/* Precedes each entry in the text of an answer: `size` bytes of RESP follow. */
struct rendered {
	int64_t time_s;
	size_t size;
};

static int newer_first(const void *a, const void *b) {
	const struct found *x = a, *y = b;
	return (x->entry->time_s < y->entry->time_s) - (x->entry->time_s > y->entry->time_s);
}

/* Collects the latest entries of all tenants of this worker, at most `most` of each. Returns their number or -ENOMEM.
 */
static int64_t find_entries(const struct tenant_array *tenants, int64_t most, struct found **out) {
	size_t room = 0, n = 0;
	for (size_t i = 0; i < tenants->count; i++) {
		const struct tenant_stats *tenant_stats = tenants->at[i]->clients.tenant_stats;
		if (tenant_stats != NULL)
			room += (size_t)(tenant_stats->slow_count < most ? tenant_stats->slow_count : most);
	}
	*out = malloc((room + 1) * sizeof(**out));
	if (*out == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < tenants->count; i++) {
		const struct tenant_stats *tenant_stats = tenants->at[i]->clients.tenant_stats;
		int64_t left = tenant_stats == NULL              ? 0
			       : tenant_stats->slow_count < most ? tenant_stats->slow_count
								 : most;
		for (const struct list *node = tenant_stats == NULL ? NULL : tenant_stats->slow.prev; left > 0;
		     left--) {
			(*out)[n++] = (struct found){list_entry(node, const struct slow_entry, link), tenants->at[i]};
			node = node->prev;
		}
	}
	qsort(*out, n, sizeof(**out), newer_first);
	return n < (size_t)most ? (int64_t)n : most;
}

static int render(struct buffer *out, const struct found *f) {
	struct rendered head = {.time_s = f->entry->time_s};
	struct writer w;
	size_t begin = out->len;
	if (buffer_append(out, &head, sizeof(head), SIZE_MAX) < 0)
		return -ENOMEM;
	writer_init(&w, out, SIZE_MAX);
	reply_entry(&w, f->entry, tenant_name(f->tenant));
	head.size = out->len - begin - sizeof(head);
	memcpy(out->data + begin, &head, sizeof(head));
	if (!w.failed)
		return 0;
	out->len = begin;
	return -ENOMEM;
}

static void get_on_worker(struct environment *env, struct fanout *c, struct fanout_answer *answer) {
	struct tenant_array tenants;
	struct found *found = NULL;
	if (operator_own_tenants(env, &tenants) < 0)
		return;
	int64_t n = find_entries(&tenants, c->number, &found);
	while (answer->number < n && render(&answer->text, &found[answer->number]) == 0)
		answer->number++;
	free(found);
	free(tenants.at);
}

/* Merges the sorted answers. */
static void get_gather(struct session *s, struct fanout *c) {
	int64_t total = 0;
	size_t *at = calloc(c->workers, sizeof(*at));
	if (at == NULL) {
		reply_store_error(s, -ENOMEM);
		return;
	}
	for (unsigned i = 0; i < c->workers; i++)
		total += c->answers[i].number;
	if (total > c->number)
		total = c->number;
	writer_array(s->reply, (size_t)total);
	while (total-- > 0 && !writer_drops(s->reply)) {
		struct rendered best = {.time_s = INT64_MIN};
		unsigned from = 0;
		for (unsigned i = 0; i < c->workers; i++) {
			struct rendered head;
			if (at[i] == c->answers[i].text.len)
				continue;
			memcpy(&head, c->answers[i].text.data + at[i], sizeof(head));
			if (head.time_s > best.time_s) {
				best = head;
				from = i;
			}
		}
		writer_raw(s->reply, (struct slice){c->answers[from].text.data + at[from] + sizeof(best), best.size});
		at[from] += sizeof(best) + best.size;
	}
	free(at);
}

static enum outcome get_from_all(struct session *s, const struct request *r, int64_t count) {
	static const struct fanout_kind kind = {.on_worker = get_on_worker, .gather = get_gather};
	return fanout_run(s, r, &kind, count < 0 || count > ENTRIES_MAX ? ENTRIES_MAX : count);
}

static void len_on_worker(struct environment *env, struct fanout *c, struct fanout_answer *answer) {
	struct tenant_array tenants;
	if (operator_own_tenants(env, &tenants) < 0)
		return;
	for (size_t i = 0; i < tenants.count; i++) {
		struct tenant *t = tenants.at[i];
		answer->number += t->clients.tenant_stats == NULL ? 0 : t->clients.tenant_stats->slow_count;
		if (c->number != 0)
			tenant_stats_reset_slowlog(t);
	}
	free(tenants.at);
}

static enum outcome count_all(struct session *s, const struct request *r) {
	static const struct fanout_kind kind = {.on_worker = len_on_worker, .gather = fanout_gather_sum};
	return fanout_run(s, r, &kind, 0);
}

static void reset_gather(struct session *s, struct fanout *c) {
	(void)c;
	writer_ok(s->reply);
}

static enum outcome reset_all(struct session *s, const struct request *r) {
	static const struct fanout_kind kind = {.on_worker = len_on_worker, .gather = reset_gather};
	return fanout_run(s, r, &kind, 1);
}

enum outcome cmd_slowlog_get(struct session *s, const struct request *r) {
	const struct tenant_stats *n = s->tenant->clients.tenant_stats;
	int64_t count = DEFAULT_COUNT, have = n == NULL ? 0 : n->slow_count;
	if (r->argc > 3)
		return reply_wrong_count(s, r);
	if (r->argc == 3 && (!number_parse(r->argv[2], &count) || count < -1))
		return reply_error(s, "ERR count should be greater than or equal to -1");
	if (operator_asks(s))
		return get_from_all(s, r, count);
	if (count == -1 || count > have)
		count = have;
	writer_array(s->reply, (size_t)count);
	if (n == NULL)
		return OUTCOME_DONE;
	for (const struct list *node = n->slow.prev; count-- > 0 && !writer_drops(s->reply); node = node->prev)
		reply_entry(s->reply, list_entry(node, struct slow_entry, link), NULL);
	return OUTCOME_DONE;
}

enum outcome cmd_slowlog_len(struct session *s, const struct request *r) {
	if (operator_asks(s))
		return count_all(s, r);
	writer_integer(s->reply,
		       s->tenant->clients.tenant_stats == NULL ? 0 : s->tenant->clients.tenant_stats->slow_count);
	return OUTCOME_DONE;
}

enum outcome cmd_slowlog_reset(struct session *s, const struct request *r) {
	if (operator_asks(s))
		return reset_all(s, r);
	tenant_stats_reset_slowlog(s->tenant);
	writer_ok(s->reply);
	return OUTCOME_DONE;
}

enum outcome cmd_slowlog_help(struct session *s, const struct request *r) {
	(void)r;
	static const char *const lines[] = {
		"GET [<count>]",
		"    Returns the latest slow commands, 10 by default, all for -1: id, Unix time, duration in",
		"    microseconds, arguments, address and name of the client.",
		"LEN",
		"    Returns the number of entries of the slow log.",
		"RESET",
		"    Removes all entries of the slow log.",
	};
	return reply_help_lines(s, "slowlog", lines);
}
