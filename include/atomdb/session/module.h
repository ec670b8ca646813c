/* The parts of the command floor that keep state of sessions, and what the session calls in them.
 *
 * One constant array, of src/dispatch/modules.c, has them in the order in which they are called. */
#pragma once

#include "atomdb/session/session.h"
#include "atomdb/util/serialize.h"

/* Each hook may be NULL. */
struct session_module {
	/* The session has got a tenant. */
	void (*attach)(struct session *s);
	/* The session is about to leave its tenant. */
	void (*detach)(struct session *s);
	/* A command has ended of a session that has a flag of SESSION_ATTENTION. */
	void (*after_command)(struct session *s, const struct request *r, enum outcome outcome);
	/* State for the next process: the name of its field in the session's record. */
	const char *record;
	void (*serialize)(const struct session *s, struct serializer *out, const char *name);
	/* Reads that field. 0, ATOMDB_E_FORMAT or ATOMDB_E_OOM. */
	int (*deserialize)(struct session *s, struct slice record);
	/* All sessions of the tenant are there. True: see session_link. */
	bool (*link)(struct session *s);
};

struct session_modules {
	const struct session_module *all;
	unsigned count;
	change_watcher key_changed; /* for a tenant that has subscriptions */
};
