/* Shares a worker's CPU time among its tenants.
 *
 * A tenant has a virtual time, which advances by the CPU time that the tenant uses, divided by its weight. The worker
 * serves the tenants with the least virtual time first, and none that is more than a slice ahead of them: tenants that
 * always have work get equal time for equal weights, whatever their clients send. A tenant that had no work for a while
 * gets no credit for it: it starts at the virtual time of the worker, which follows the least virtual time among the
 * tenants with work. This is start-time fair queueing (Goyal, Vin and Cheng, SIGCOMM 1996) in turns of the event loop.
 *
 * A new tenant starts as far ahead as allowed, so that a client gains nothing by opening one tenant after the other.
 * Clients without a tenant are served like a tenant that is as far ahead as allowed. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "atomdb/store/tenant_state.h"

/* Nanoseconds that a tenant may be ahead, and nanoseconds of a turn after which it may not be ahead at all. */
#define SHARE_SLICE_NS UINT64_C(1000000)

struct share {
	uint64_t time_ns;  /* virtual time of the worker */
	uint64_t least_ns; /* least virtual time of the tenants that had work in this turn; UINT64_MAX: none had */
	uint64_t ahead_ns; /* how far a tenant may be ahead of time_ns now */
};

void share_init(struct share *s);

/* A turn of the loop begins. Virtual time advances to the least of the tenants that had work in the last turn. */
void share_begin_turn(struct share *s);
/* The clients of the tenants that were not ahead have been served. Virtual time advances to the least of the tenants
 * that have work, so that some tenant is admitted. */
void share_serve_ahead(struct share *s);

/* Returns whether a client of `t` may be served now. NULL: a client without a tenant. A tenant with the least virtual
 * time always may. */
static inline bool share_admits(struct share *s, struct tenant *t) {
	if (t == NULL)
		return s->ahead_ns > 0;
	if (__builtin_expect(t->share_ns == 0, 0))
		t->share_ns = s->time_ns + SHARE_SLICE_NS;
	else if (t->share_ns < s->time_ns)
		t->share_ns = s->time_ns;
	if (t->share_ns < s->least_ns)
		s->least_ns = t->share_ns;
	return t->share_ns - s->time_ns <= s->ahead_ns;
}

/* Counts CPU time of `t`. */
static inline void share_use(struct tenant *t, uint64_t ns) {
	t->share_ns += ns * t->share_factor >> SHARE_FACTOR_BITS;
}
