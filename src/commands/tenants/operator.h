/* What the operator's commands share: about all tenants, where a tenant's are about its own. */
#pragma once

#include "atomdb/session/fanout.h"

/* Whether a command is about all tenants. Inside EXEC, where nothing can be waited for, it is about the operator's own.
 */
static inline bool operator_asks(const struct session *s) {
	return s->tenant->is_operator && !(s->flags & SESSION_EXECUTING);
}
/* The same for what only the operator may do; answers an error and returns false to others. */
bool operator_only(struct session *s, const struct request *r);

/* The tenants of a worker. They end on its thread alone, so they stay while it looks at them. */
struct tenant_array {
	struct tenant **at; /* owned */
	size_t count;
};
/* 0 or -ENOMEM. */
int operator_own_tenants(struct environment *env, struct tenant_array *out);

/* Replies with the sum of the answers' numbers. */
void fanout_gather_sum(struct session *s, struct fanout *c);
/* Replies with what the control plane answered. */
void fanout_gather_text(struct session *s, struct fanout *c);

enum outcome operator_client_list(struct session *s, const struct request *r);
enum outcome operator_client_kill(struct session *s, const struct request *r);
enum outcome operator_slowlog_get(struct session *s, const struct request *r, int64_t count);
enum outcome operator_slowlog_len(struct session *s, const struct request *r);
enum outcome operator_slowlog_reset(struct session *s, const struct request *r);
