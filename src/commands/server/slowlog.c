/* SLOWLOG: the tenant's commands that took long. */
#include "commands/server/slowlog.h"

#include "atomdb/session/tenant_stats.h"
#include "commands/handlers.h"
#include "commands/tenants/operator.h"

#define DEFAULT_COUNT 10

void slowlog_reply_entry(struct writer *w, const struct slow_entry *e, const char *tenant) {
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

enum outcome cmd_slowlog_get(struct session *s, const struct request *r) {
	const struct tenant_stats *n = s->tenant->tenant_stats;
	int64_t count = DEFAULT_COUNT, have = n == NULL ? 0 : n->slow_count;
	if (r->argc > 3)
		return reply_wrong_count(s, r);
	if (r->argc == 3 && (!number_parse(r->argv[2], &count) || count < -1))
		return reply_error(s, "ERR count should be greater than or equal to -1");
	if (operator_asks(s))
		return operator_slowlog_get(s, r, count);
	if (count == -1 || count > have)
		count = have;
	writer_array(s->reply, (size_t)count);
	if (n == NULL)
		return OUTCOME_DONE;
	for (const struct list *node = n->slow.prev; count-- > 0 && !writer_drops(s->reply); node = node->prev)
		slowlog_reply_entry(s->reply, list_entry(node, struct slow_entry, link), NULL);
	return OUTCOME_DONE;
}

enum outcome cmd_slowlog_len(struct session *s, const struct request *r) {
	if (operator_asks(s))
		return operator_slowlog_len(s, r);
	writer_integer(s->reply, s->tenant->tenant_stats == NULL ? 0 : s->tenant->tenant_stats->slow_count);
	return OUTCOME_DONE;
}

enum outcome cmd_slowlog_reset(struct session *s, const struct request *r) {
	if (operator_asks(s))
		return operator_slowlog_reset(s, r);
	tenant_stats_reset_slowlog(s->tenant);
	writer_ok(s->reply);
	return OUTCOME_DONE;
}

enum outcome cmd_slowlog_help(struct session *s, const struct request *r) {
	(void)r;
	static const char *const lines[] = {
		"GET [<count>]",
		"    Shows the latest slow commands (10 where no count is given, all for -1): id, Unix time,",
		"    microseconds, arguments, address and name of the client.",
		"LEN",
		"    Counts the slow commands that are kept.",
		"RESET",
		"    Forgets them.",
	};
	return reply_help_lines(s, "slowlog", lines);
}
