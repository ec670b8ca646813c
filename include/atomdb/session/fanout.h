/* A call: a command of the operator that needs others than the worker of its session, who answer without being waited
 * for.
 *
 *   session -> call -> every worker's part, or the control plane's -> the last to answer -> the session's worker
 *
 * Whoever works on a call owns his answer in it until he has given it; the rest is constant by then, or the session's
 * worker's. The command is run again when all have answered (OUTCOME_BLOCKED), and finds its call by fanout_of. */
#pragma once

#include <stdatomic.h>

#include "atomdb/session/session.h"

struct fanout;

/* What the control plane is asked for. The arguments are those of the command. */
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
	/* A worker's part, on its thread. NULL: the control plane is asked. */
	void (*on_worker)(struct environment *env, struct fanout *c, struct fanout_answer *answer);
	enum control control;
	/* Replies to the session when all have answered. */
	void (*gather)(struct session *s, struct fanout *c);
	/* Undoes what the parts did, where the session went before that; NULL: nothing to undo. */
	void (*undo)(struct environment *env);
};

struct fanout {
	const struct fanout_kind *kind;
	unsigned worker;  /* of the session */
	unsigned workers; /* how many there are */
	uint8_t protocol; /* of the session */
	int64_t number;   /* for the parts */
	uint32_t argc;
	const struct slice *argv; /* owned with their bytes, which are wiped: they may be secrets */

	/* The session's worker's. */
	struct fanout *sibling;  /* in environment.calls while the session waits */
	struct session *session; /* NULL: nobody waits any more */
	bool done;

	_Atomic unsigned waiting;       /* answers still to come */
	struct fanout *next;            /* in the control plane's queue */
	void *envelopes;                /* owned: the connection floor's, to send it */
	struct fanout_answer answers[]; /* of each worker, by number; the control plane's is the first */
};

/* The session's call; NULL where it waits for none. */
struct fanout *fanout_of(const struct session *s);
/* Asks the others, once, or sees whether they have answered: OUTCOME_BLOCKED until then, and the reply has been given
 * with OUTCOME_DONE. `number` is for the parts. */
enum outcome fanout_run(struct session *s, const struct request *r, const struct fanout_kind *kind, int64_t number);
/* Has every worker do its part; nobody waits for that. */
void fanout_post(struct environment *env, const struct fanout_kind *kind, int64_t number);

/* One more has answered; true for the last, who tells the session's worker. From any thread. */
static inline bool fanout_answered(struct fanout *c) {
	return atomic_fetch_sub_explicit(&c->waiting, 1, memory_order_acq_rel) == 1;
}
/* All have answered: on the session's worker. Ends the call where nobody waits. */
void fanout_done(struct environment *env, struct fanout *c);
/* The session ends, or leaves its tenant. */
void fanout_abandon(struct session *s);
void fanout_free(struct fanout *c);
