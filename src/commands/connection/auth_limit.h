/* Limits the rate of secrets that open no existing tenant: wrong ones, and new ones in open tenancy.
 *
 * Each connection has a burst. Then every secret is delayed before it is checked, so that the delay does not reveal
 * whether it is right. All connections from the address of another host share one limit, and on a Unix socket all
 * connections of one user. Loopback connections have one address, and share nothing. The limit is the generic cell rate
 * algorithm of ITU-T I.371, for each connection and source. */
#pragma once

#include "atomdb/session/session.h"

/* Returns when the session's next secret may be tried, by environment.steady_ms; 0: now. */
int64_t auth_limit_wait(struct session *s);
/* Counts a secret that opened no existing tenant. */
void auth_limit_count(struct session *s);
/* Returns whether any client of this worker may open one more tenant now, and counts it. */
bool auth_limit_new_tenant(struct environment *env);
