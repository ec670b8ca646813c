#include "atomdb/dispatch/modules.h"

#include "atomdb/dispatch/transaction.h"
#include "atomdb/events/events.h"
#include "atomdb/events/monitor.h"
#include "atomdb/events/tracking.h"
#include "atomdb/events/watched.h"
#include "atomdb/session/fanout.h"
#include "atomdb/session/hotkeys.h"
#include "atomdb/session/tenant_stats.h"

/* A session that leaves must not send anything, so that each module except the last ends its subscriptions. The
 * tracking of a session is restored before the prefixes that it subscribes to. Other releases read the names of
 * records. */
static const struct session_module modules[] = {
	{.detach = fanout_abandon},
	{.attach = tenant_stats_attach},
	{.attach = hotkeys_attach},
	{.detach = events_detach, .after_command = events_after_command},
	{.attach = watched_attach, .detach = watched_detach},
	{.detach = transaction_end,
	 .shed = transaction_shed,
	 .record = "transaction",
	 .serialize = transaction_serialize,
	 .deserialize = transaction_deserialize},
	{.detach = tracking_leave,
	 .after_command = tracking_after_command,
	 .record = "tracking",
	 .serialize = tracking_serialize,
	 .deserialize = tracking_deserialize,
	 .link = tracking_link},
	{.attach = monitor_attach, .detach = monitor_leave, .link = monitor_link},
	{.detach = subscriber_close,
	 .shed = subscriptions_shed,
	 .record = "memberships",
	 .serialize = subscriptions_serialize,
	 .deserialize = subscriptions_deserialize},
};

const struct session_modules dispatch_modules = {modules, sizeof(modules) / sizeof(modules[0]), events_key_changed,
						 events_send_changes};
