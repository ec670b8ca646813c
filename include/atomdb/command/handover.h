/* What of a session, and of what a tenant's clients chose, outlives the process.
 *
 * The old process packs; the next one makes a session, attaches it to its tenant, unpacks, and links when all are
 * there. */
#pragma once

#include "atomdb/command/session.h"
#include "atomdb/util/pack.h"

/* Everything but the tenant. Between two commands only. */
void session_pack(const struct session *s, struct pack *p);
/* Gives it to a session that session_init has seen, and session_attach where it had a tenant. 0; ATOMDB_E_FORMAT, or
 * ATOMDB_E_OOM where the tenant's quota has no room: the session has to end then. */
int session_unpack(struct session *s, struct unpack *u);
/* The id among its tenant's clients: after all else that is packed of a client, for a release that does not know it. */
void session_pack_id(const struct session *s, struct pack *p);
void session_unpack_id(struct session *s, struct unpack *u);
/* Joins it to others that it named, and goes on with its MONITOR. When all sessions of its tenant have been unpacked.
 * True: it is told of all tenants, and session_feed has to follow for every worker. */
bool session_link(struct session *s);
/* The sessions of `env` tell the session of their commands. */
void session_feed(const struct session *s, struct environment *env);

/* By what the next process finds the tenant, and reads it: 0 or ATOMDB_E_FORMAT. */
void tenant_pack_identity(const struct tenant *t, struct pack *p);
int tenant_unpack_identity(struct unpack *u, struct tenant_identity *out);
/* Whether the tenant has anything that tenant_pack would tell of: what CONFIG SET and CLIENT PAUSE set. */
bool tenant_is_set(const struct tenant *t);
void tenant_pack(const struct tenant *t, struct pack *p);
/* For a tenant of this worker. 0, ATOMDB_E_FORMAT, or ATOMDB_E_OOM. */
int tenant_unpack(struct tenant *t, const struct environment *env, struct unpack *u);
