/* Runs an operator command on every worker, or on the control plane, without blocking the worker of the session.
 *
 *   session -> fanout -> on_worker() of every worker, or the control plane -> the last answer -> worker of the session
 *
 * A worker writes only its own element of `answers[]`, until it calls fanout_answered(). The rest is constant by then,
 * or belongs to the worker of the session. The session runs the command again when all have answered (OUTCOME_BLOCKED),
 * and finds its fanout by fanout_of(). */
#pragma once

#include <stdatomic.h>

#include "atomdb/session/session.h"

struct fanout;

/* A request to the control plane. The arguments are those of the command. */
enum control {
	CONTROL_NONE,
	CONTROL_TENANT_LIST,
	CONTROL_TENANT_INFO,
	CONTROL_TENANT_CREATE,
	CONTROL_TENANT_SET,
	CONTROL_TENANT_DROP,
	CONTROL_CONFIG_GET, /* answers pairs, and their number */
	CONTROL_CONFIG_SET,
	CONTROL_SHUTDOWN,
};

struct fanout_answer {
	struct buffer text; /* mostly RESP */
	int64_t number;
};

struct fanout_kind {
	/* Runs on the thread of each worker. NULL: the control plane answers. */
	void (*on_worker)(struct environment *env, struct fanout *c, struct fanout_answer *answer);
	enum control control;
	/* Replies to the session when all have answered. */
	void (*gather)(struct session *s, struct fanout *c);
	/* Undoes the work of on_worker() if the session left before gather(). NULL: there is nothing to undo. */
	void (*undo)(struct environment *env);
};

struct fanout {
	const struct fanout_kind *kind;
	unsigned worker;  /* of the session */
	unsigned workers; /* how many there are */
	uint8_t protocol; /* of the session */
	int64_t number;   /* for on_worker() */
	uint32_t argc;
	const struct slice *argv; /* owned with their bytes, which are wiped: they may be secrets */

	/* Used by the worker of the session only. */
	struct fanout *sibling;  /* in environment.fanouts while the session waits */
	struct session *session; /* NULL: it left */
	bool done;

	_Atomic unsigned waiting;       /* answers still to come */
	struct fanout *next;            /* in the control plane's queue */
	void *envelopes;                /* owned: src/net sends the fanout with them */
	struct fanout_answer answers[]; /* of each worker, by number; the first is that of the control plane */
};

/* The fanout that the session waits for, or NULL. */
struct fanout *fanout_of(const struct session *s);
/* Starts the fanout at the first call. Returns OUTCOME_BLOCKED until all have answered, and OUTCOME_DONE with the reply
 * then. `number` is for on_worker(). */
enum outcome fanout_run(struct session *s, const struct request *r, const struct fanout_kind *kind, int64_t number);
/* Runs on_worker() on every worker, without a reply. */
void fanout_post(struct environment *env, const struct fanout_kind *kind, int64_t number);

/* Counts one answer. Returns true for the last: the caller then tells the worker of the session. From any thread. */
static inline bool fanout_answered(struct fanout *c) {
	return atomic_fetch_sub_explicit(&c->waiting, 1, memory_order_acq_rel) == 1;
}
/* All have answered. Frees the fanout if its session left. On the worker of the session. */
void fanout_done(struct environment *env, struct fanout *c);
/* The session ends, or leaves its tenant. */
void fanout_abandon(struct session *s);
void fanout_free(struct fanout *c);

/* Whether a command of the session is about all tenants. Inside EXEC, which cannot wait, it is about the tenant of the
 * operator only. */
static inline bool operator_asks(const struct session *s) {
	return s->tenant->is_operator && !(s->flags & SESSION_EXECUTING);
}
/* Returns whether the session is the operator's. Otherwise it replies with an error. */
bool operator_only(struct session *s, const struct request *r);

/* The tenants of a worker. They end on its thread alone: the array is valid while the function that asked for it runs.
 */
struct tenant_array {
	struct tenant **at; /* owned */
	size_t count;
};
/* 0 or -ENOMEM. */
int operator_own_tenants(struct environment *env, struct tenant_array *out);

/* Reads the arguments of a fanout again, on a worker. The session has no tenant and drops its replies: the session that
 * started the fanout has replied to errors. */
struct fanout_reader {
	struct buffer nothing;
	struct writer writer;
	struct session session;
	struct request request;
};
void fanout_reader_init(struct fanout_reader *r, const struct fanout *c);

/* Replies with the sum of the numbers of all answers. */
void fanout_gather_sum(struct session *s, struct fanout *c);
/* Replies with the text of the control plane. */
void fanout_gather_text(struct session *s, struct fanout *c);
