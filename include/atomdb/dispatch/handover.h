/* Session and tenant state that survives a restart, as records of named fields: see serialize.h.
 *
 * The old process serializes. The next process makes a session, attaches it to its tenant, deserializes it, and links
 * it when all sessions are restored. */
#pragma once

#include "atomdb/session/session.h"
#include "atomdb/util/serialize.h"

/* Writes the fields of a session, except its tenant. Call it only between two commands. */
void session_serialize(const struct session *s, struct serializer *out);
/* Restores a session after session_init, and after session_attach if it had a tenant. Returns 0, ATOMDB_E_FORMAT,
 * ATOMDB_E_VERSION, or ATOMDB_E_OOM if the tenant's quota has no room. After an error the session must end. */
int session_deserialize(struct session *s, struct slice record);
/* Links the session to the sessions that its record names, and continues its MONITOR. Call it when all sessions of its
 * tenant are restored. Returns true if it monitors all tenants: then call session_count_feed for every worker. */
bool session_link(struct session *s);
/* Makes the sessions of `env` send their commands to the MONITOR of the session. */
void session_count_feed(const struct session *s, struct environment *env);

/* Write and read the fields that identify a tenant to the next process. Reading returns 0, ATOMDB_E_FORMAT or
 * ATOMDB_E_VERSION. */
void tenant_serialize_identity(const struct tenant *t, struct serializer *out);
int tenant_deserialize_identity(struct slice record, struct tenant_identity *out);
/* Returns whether the tenant has settings to hand over: of CONFIG SET and CLIENT PAUSE. */
bool tenant_is_set(const struct tenant *t);
/* Write and read the fields of these settings, for a tenant of this worker. Reading returns 0, ATOMDB_E_FORMAT,
 * ATOMDB_E_VERSION or ATOMDB_E_OOM. */
void tenant_serialize(const struct tenant *t, struct serializer *out);
int tenant_deserialize(struct tenant *t, const struct environment *env, struct slice record);
