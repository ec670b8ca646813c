/* Types, ids and lines of clients, for the commands of CLIENT. */
#pragma once

#include "atomdb/session/session.h"

/* Redis's types of clients. AtomDB has no replicas and no masters. */
enum client_type { CLIENT_NORMAL, CLIENT_REPLICA, CLIENT_PUBSUB, CLIENT_MASTER };

/* Reads the name of a type. Returns false if an error was replied. */
bool client_parse_type(struct session *s, struct slice text, enum client_type *type);
enum client_type client_type_of(const struct session *s);

/* Returns the name of the tenant of a session, "" if it has none. */
const char *client_tenant(const struct session *s);
/* Returns the id of a client among the clients of its tenant, or, if `global`, among all clients. */
uint64_t client_number(const struct session *of, bool global);
