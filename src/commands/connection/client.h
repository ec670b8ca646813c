/* Types, numbers and lines of clients, for the commands of CLIENT. */
#pragma once

#include "atomdb/session/session.h"

/* The types of clients of Redis. There are neither replicas nor masters. */
enum client_type { CLIENT_NORMAL, CLIENT_REPLICA, CLIENT_PUBSUB, CLIENT_MASTER };

/* Reads the name of a type. False: an error was replied. */
bool client_parse_type(struct session *s, struct slice text, enum client_type *type);
enum client_type client_type_of(const struct session *s);

/* The name of the tenant of a session, "" if it has none. */
const char *client_tenant(const struct session *s);
/* The number of a client for its tenant, or, with `global`, for the operator. */
uint64_t client_number(const struct session *of, bool global);
