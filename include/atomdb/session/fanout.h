/* Runs an operator command on every worker, or on the control plane, without blocking the worker of the session.
 *
 *   session -> fanout -> on_worker() of every worker, or the control plane -> the last answer -> worker of the session
 *
 * A worker writes only its own element of `answers[]`, until it calls fanout_answered(). All other members are
 * constant, or belong to the worker of the session. The session runs the command again when all have answered
 * (OUTCOME_BLOCKED), and finds its fanout by fanout_of(). */
#pragma once

#include <stdatomic.h>

#include "atomdb/session/session.h"

struct fanout;

/* A request to the control plane. Its arguments are the arguments of the command. */
enum control {
	CONTROL_NONE,
	CONTROL_TENANT_LIST,
	CONTROL_TENANT_INFO,
	CONTROL_TENANT_CREATE,
	CONTROL_TENANT_SET,
	CONTROL_TENANT_DROP,
	CONTROL_CONFIG_GET, /* the answer has `count` pairs */
	CONTROL_CONFIG_SET,
	CONTROL_SHUTDOWN,
};

struct fanout_answer {
	struct buffer text; /* RESP, as a rule */
	int64_t number;
};

struct fanout_kind {
	/* Runs once on the thread of each worker. May be NULL. */
	void (*on_worker)(struct environment *env, struct fanout *c, struct fanout_answer *answer);
	/* Runs after on_worker(), for each session of each worker, and may close that session. The worker serves its
	 * clients between two calls: a session that begins or ends meanwhile may be left out. May be NULL. If both are
	 * NULL, the control plane answers. */
	void (*on_session)(struct environment *env, struct fanout *c, struct fanout_answer *answer, struct session *s);
	enum control control;
	/* Writes the session's reply when all workers have answered. */
	void (*gather)(struct session *s, struct fanout *c);
	/* Undoes the work of on_worker() if the session ends before gather(). NULL: there is nothing to undo. */
	void (*undo)(struct environment *env);
};

struct fanout {
	const struct fanout_kind *kind;
	unsigned worker;  /* of the session */
	unsigned workers; /* number of answers */
	uint8_t protocol; /* of the session */
	int64_t number;   /* argument of on_worker() and on_session() */
	void *data;       /* owned, from malloc(), constant: another argument of both */
	uint32_t argc;
	const struct slice *argv; /* owned, with their bytes, which are wiped: they may contain secrets */

	/* Only the worker of the session uses the members below. */
	struct fanout *sibling;  /* linked in environment.fanouts while the session waits */
	struct session *session; /* NULL: the session has ended */
	bool done;

	_Atomic unsigned waiting;       /* number of missing answers */
	struct fanout *next;            /* in the control plane's queue */
	void *envelopes;                /* owned: src/net sends the fanout with them */
	struct fanout_answer answers[]; /* answers by worker number; the first is the control plane's */
};

/* Returns the fanout that the session waits for, or NULL. */
struct fanout *fanout_of(const struct session *s);
/* Starts the fanout at the first call. Returns OUTCOME_BLOCKED until all have answered, then writes the reply and
 * returns OUTCOME_DONE. `number` is passed to on_worker(). */
enum outcome fanout_run(struct session *s, const struct request *r, const struct fanout_kind *kind, int64_t number);
/* Starts a fanout with `data`, a block from malloc() that it takes over, instead of a copy of the command's arguments.
 * Call it only if fanout_of() returns NULL. For the rest, see fanout_run(). */
enum outcome fanout_run_with(struct session *s, const struct request *r, const struct fanout_kind *kind, int64_t number,
			     void *data);
/* Runs on_worker() on every worker, without a reply. */
void fanout_post(struct environment *env, const struct fanout_kind *kind, int64_t number);

/* Counts one answer. Returns true for the last one: the caller then notifies the worker of the session. Any thread may
 * call it. */
static inline bool fanout_answered(struct fanout *c) {
	return atomic_fetch_sub_explicit(&c->waiting, 1, memory_order_acq_rel) == 1;
}
/* Completes a fanout that all have answered. Frees it if its session has ended. Call it on the worker of the session.
 */
void fanout_done(struct environment *env, struct fanout *c);
/* Detaches the fanout from a session that ends or leaves its tenant. */
void fanout_abandon(struct session *s);
void fanout_free(struct fanout *c);
/* For on_session(): closes a session. The session that started the fanout closes after its reply. */
void fanout_close(struct environment *env, const struct fanout *c, struct session *s);

/* Returns whether a command of the session applies to all tenants. Inside EXEC, which cannot wait, it applies only to
 * the operator's tenant. */
static inline bool operator_asks(const struct session *s) {
	return s->tenant->is_operator && !(s->flags & SESSION_EXECUTING);
}
/* Returns whether the session is the operator's. Otherwise replies with an error. */
bool operator_only(struct session *s, const struct request *r);

/* The tenants of a worker. Only its thread ends them, so that the array is valid while the calling function runs. */
struct tenant_array {
	struct tenant **at; /* owned */
	size_t count;
};
/* Lists the tenants. Returns 0 or -ENOMEM. */
int operator_own_tenants(struct environment *env, struct tenant_array *out);

/* Replies with the sum of the numbers of all answers. */
void fanout_gather_sum(struct session *s, struct fanout *c);
/* Replies with the text of the control plane. */
void fanout_gather_text(struct session *s, struct fanout *c);
