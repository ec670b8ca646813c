/* Session and tenant state that survives a restart, as records of named fields: see serialize.h.
 *
 * The old process serializes. The next one makes a session, attaches it to its tenant, deserializes, and links when all
 * sessions are there. */
#pragma once

#include "atomdb/session/session.h"
#include "atomdb/util/serialize.h"

/* Writes the fields of a session, except its tenant. Between two commands only. */
void session_serialize(const struct session *s, struct serializer *out);
/* Restores a session that session_init has seen, and session_attach if it had a tenant. 0; ATOMDB_E_FORMAT,
 * ATOMDB_E_VERSION, or ATOMDB_E_OOM if the tenant's quota has no room: the session has to end then. */
int session_deserialize(struct session *s, struct slice record);
/* Joins the session to others that it named, and goes on with its MONITOR. When all sessions of its tenant have been
 * restored. True: it is told of all tenants, and session_count_feed has to follow for every worker. */
bool session_link(struct session *s);
/* The sessions of `env` tell the session of their commands. */
void session_count_feed(const struct session *s, struct environment *env);

/* Writes and reads the fields by which the next process finds the tenant. 0, ATOMDB_E_FORMAT or ATOMDB_E_VERSION. */
void tenant_serialize_identity(const struct tenant *t, struct serializer *out);
int tenant_deserialize_identity(struct slice record, struct tenant_identity *out);
/* Whether the tenant has settings to hand over: of CONFIG SET and CLIENT PAUSE. */
bool tenant_is_set(const struct tenant *t);
/* Writes and reads the fields of these settings, for a tenant of this worker. 0, ATOMDB_E_FORMAT, ATOMDB_E_VERSION or
 * ATOMDB_E_OOM. */
void tenant_serialize(const struct tenant *t, struct serializer *out);
int tenant_deserialize(struct tenant *t, const struct environment *env, struct slice record);
