#include "atomdb/events/monitor.h"

#include "atomdb/events/subscriptions.h"
#include "atomdb/util/error.h"
#include "commands/handlers.h"

static void gather(struct session *s, struct fanout *c) {
	(void)c;
	monitor_begin(s);
	writer_ok(s->reply);
}

enum outcome cmd_monitor(struct session *s, const struct request *r) {
	static const struct fanout_kind kind = {
		.on_worker = monitor_count_on_worker, .gather = gather, .undo = monitor_stop_feed};
	if (s->flags & SESSION_EXECUTING)
		return reply_error(s, "ERR MONITOR isn't allowed for DENY BLOCKING client");
	/* As in Redis, a second MONITOR has no reply. */
	if (s->flags & SESSION_MONITOR)
		return OUTCOME_DONE;
	if (subscriber_open(s) < 0)
		return reply_store_error(s, ATOMDB_E_OOM);
	if (s->tenant->is_operator)
		return fanout_run(s, r, &kind, 1);
	monitor_begin(s);
	writer_ok(s->reply);
	return OUTCOME_DONE;
}
