/* Tells the worker for which tenant a slice of the shard's work is: see struct work_account. */
#pragma once

#include "atomdb/store/work_account.h"
#include "store/keyspace/record.h"

/* Begins a slice of work. Returns the tenant for work_end(). */
static inline struct tenant *work_begin(struct shard *s) {
	s->works = s->account != NULL;
	s->works_for = NULL;
	return s->works ? s->account->begin(s->account->context) : NULL;
}

/* The time from now on is for `t`; NULL: for no tenant. Does nothing outside of a slice of work: the running command
 * pays. */
static inline void work_for(struct shard *s, struct tenant *t) {
	if (!s->works || s->works_for == t)
		return;
	s->works_for = t;
	s->account->work_for(s->account->context, t);
}

/* Returns whether a kind of work may go on after a step. Only the watcher of the tenant may take long: it sends
 * messages to many clients. */
static inline bool work_has_time(const struct shard *s) {
	const struct tenant *t = s->works_for;
	return !s->works || t == NULL || t->watcher == NULL || s->account->has_time(s->account->context);
}

/* Ends the slice: the time from now on is for `before`. */
static inline void work_end(struct shard *s, struct tenant *before) {
	if (s->works)
		s->account->work_for(s->account->context, before);
	s->works = false;
}
