#include "net/report.h"

#include <stdio.h>

#include "atomdb/store/tenant.h"
#include "net/connection.h"
#include "net/peer.h"
#include "net/worker.h"

void report_event(const struct connection *c, enum log_event_id id, struct slice bytes, const char *detail) {
	struct client_facts facts;
	peer_addresses(c->fd, facts.address, facts.local_address, sizeof(facts.address));
	const struct tenant *t = c->session.tenant;
	log_report(c->worker->env.events, &(struct log_event){
						  .id = id,
						  .tenant = t != NULL ? tenant_name(t) : NULL,
						  .client = facts.address,
						  .bytes = bytes,
						  .detail = detail,
					  });
}

void report_evicted(const struct connection *c, uint64_t held) {
	char detail[64];
	snprintf(detail, sizeof(detail), "%llu bytes", (unsigned long long)held);
	report_event(c, LOG_EVENT_CLIENT_EVICTED, (struct slice){0}, detail);
}

void report_stall(const struct connection *c, const struct command *command, uint64_t ms) {
	char detail[96];
	snprintf(detail, sizeof(detail), "command %s, %llu ms", command->name, (unsigned long long)ms);
	report_event(c, LOG_EVENT_COMMAND_STALLED, (struct slice){0}, detail);
}

void report_ended(const struct connection *c, const struct command *command, uint64_t ms) {
	char detail[96];
	snprintf(detail, sizeof(detail), "command %s, after %llu ms", command->name, (unsigned long long)ms);
	report_event(c, LOG_EVENT_COMMAND_ENDED, (struct slice){0}, detail);
}
