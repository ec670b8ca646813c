/* How often clients may try secrets that open no tenant yet: wrong ones, and in open tenancy new ones.
 *
 * The first of a connection are free. After that each waits for its turn, before it is looked at, so that a right one
 * is let in as soon as it is tried, and a wrong one tells nothing sooner. All connections of another host's address
 * wait together, and on a Unix socket all of one user; on loopback, where all have one address, nobody waits for
 * another (the generic cell rate algorithm of ITU-T I.371, one for each connection and source). */
#pragma once

#include "atomdb/session/session.h"

/* Until when the session's next secret has to wait, by environment.steady_ms; 0: it need not. */
int64_t auth_limit_wait(struct session *s);
/* Counts a secret that opened no tenant before. */
void auth_limit_count(struct session *s);
/* Whether one tenant more may be made now, by any client of this worker; counts it. */
bool auth_limit_new_tenant(struct environment *env);
