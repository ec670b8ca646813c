/* What the commands about connections share. */
#pragma once

#include "atomdb/session/session.h"

/* Bytes of a name that a client gives itself. */
#define CLIENT_TEXT_MAX 128

/* Sets `*field`, an owned string, to a copy of `text`; to NULL if that is empty. 0 or -ENOMEM. */
int client_text_set(char **field, struct slice text);
/* Sets the session's name. False: the name is not allowed, and the error was replied. */
bool client_set_name(struct session *s, struct slice name);

/* As Redis sorts clients. There are neither replicas nor masters. */
enum client_type { CLIENT_NORMAL, CLIENT_REPLICA, CLIENT_PUBSUB, CLIENT_MASTER };

/* Reads the name of a type; answers Redis's error and returns false where it is none. */
bool client_parse_type(struct session *s, struct slice text, enum client_type *type);
enum client_type client_type_of(const struct session *s);

/* Which sessions CLIENT LIST shows: those of a type, or those of the ids from argument 3 on. */
enum client_list { CLIENT_LIST_ALL, CLIENT_LIST_TYPE, CLIENT_LIST_IDS, CLIENT_LIST_ERROR };

/* Reads the arguments of CLIENT LIST; CLIENT_LIST_ERROR: an error was answered. */
enum client_list client_parse_list(struct session *s, const struct request *r, enum client_type *type);

/* Which sessions CLIENT KILL closes. */
struct client_kill {
	struct slice address, local_address, user; /* no data: any */
	int64_t id;                                /* 0: any */
	bool global;                               /* the id is a global one */
	bool typed;
	enum client_type type;
	bool skip_caller;
};

/* Reads the arguments of CLIENT KILL. False: an error was answered. */
bool client_parse_kill(struct session *s, const struct request *r, struct client_kill *f);
/* Whether the filter's rest, beside the user and the caller, is met. */
bool client_matches(struct environment *env, struct session *of, const struct client_kill *f);

/* The number that a client is known by: to its tenant, or, with `global`, to the operator. */
uint64_t client_number(const struct session *of, bool global);
/* Appends a session's line of CLIENT LIST, with `global` as the operator sees it. 0, or as buffer_append. */
int client_append_line(struct environment *env, struct session *of, const char *user, bool global, struct buffer *out);

/* The tenant's session of that number, or NULL. */
struct session *client_by_id(const struct tenant *t, uint64_t id);
