/* SLOWLOG over all tenants: the entries tell the tenant in a further field. */
#include <errno.h>
#include <stdlib.h>

#include "atomdb/session/tenant_stats.h"
#include "commands/handlers.h"
#include "commands/server/slowlog.h"
#include "commands/tenants/operator.h"

/* Entries that one answer has at most. */
#define ENTRIES_MAX 10000

struct found {
	const struct slow_entry *entry;
	const struct tenant *tenant;
};

/* An entry in an answer's text: this, then `size` bytes of RESP. */
struct rendered {
	int64_t time_s;
	size_t size;
};

static int newer_first(const void *a, const void *b) {
	const struct found *x = a, *y = b;
	return (x->entry->time_s < y->entry->time_s) - (x->entry->time_s > y->entry->time_s);
}

/* The latest entries of all tenants of this worker, `most` of each at most. How many, or -ENOMEM. */
static int64_t find_entries(const struct tenant_array *tenants, int64_t most, struct found **out) {
	size_t room = 0, n = 0;
	for (size_t i = 0; i < tenants->count; i++) {
		const struct tenant_stats *tenant_stats = tenants->at[i]->tenant_stats;
		if (tenant_stats != NULL)
			room += (size_t)(tenant_stats->slow_count < most ? tenant_stats->slow_count : most);
	}
	*out = malloc((room + 1) * sizeof(**out));
	if (*out == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < tenants->count; i++) {
		const struct tenant_stats *tenant_stats = tenants->at[i]->tenant_stats;
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
	slowlog_reply_entry(&w, f->entry, tenant_name(f->tenant));
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

/* Each answer is in order: the newest of their firsts comes next. */
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

enum outcome operator_slowlog_get(struct session *s, const struct request *r, int64_t count) {
	static const struct fanout_kind kind = {.on_worker = get_on_worker, .gather = get_gather};
	return fanout_run(s, r, &kind, count < 0 || count > ENTRIES_MAX ? ENTRIES_MAX : count);
}

static void len_on_worker(struct environment *env, struct fanout *c, struct fanout_answer *answer) {
	struct tenant_array tenants;
	if (operator_own_tenants(env, &tenants) < 0)
		return;
	for (size_t i = 0; i < tenants.count; i++) {
		struct tenant *t = tenants.at[i];
		answer->number += t->tenant_stats == NULL ? 0 : t->tenant_stats->slow_count;
		if (c->number != 0)
			tenant_stats_reset_slowlog(t);
	}
	free(tenants.at);
}

enum outcome operator_slowlog_len(struct session *s, const struct request *r) {
	static const struct fanout_kind kind = {.on_worker = len_on_worker, .gather = fanout_gather_sum};
	return fanout_run(s, r, &kind, 0);
}

static void reset_gather(struct session *s, struct fanout *c) {
	(void)c;
	writer_ok(s->reply);
}

enum outcome operator_slowlog_reset(struct session *s, const struct request *r) {
	static const struct fanout_kind kind = {.on_worker = len_on_worker, .gather = reset_gather};
	return fanout_run(s, r, &kind, 1);
}
