/* What the commands about connections share. */
#pragma once

#include "atomdb/command/session.h"

/* As Redis sorts clients. There are neither replicas nor masters. */
enum client_type { CLIENT_NORMAL, CLIENT_REPLICA, CLIENT_PUBSUB, CLIENT_MASTER };

/* Reads the name of a type; answers Redis's error and returns false where it is none. */
bool client_parse_type(struct session *s, struct slice text, enum client_type *type);
enum client_type client_type_of(const struct session *s);

/* The tenant's session of that number, or NULL. */
struct session *client_by_id(const struct tenant *t, uint64_t id);
