/* Modules: parts of the command floor that keep state of sessions, and their hooks.
 *
 * The constant array in src/dispatch/modules.c has them in the order of their calls. */
#pragma once

#include "atomdb/session/session.h"
#include "atomdb/util/serialize.h"

/* A hook may be NULL. */
struct session_module {
	/* The session is attached to a tenant. */
	void (*attach)(struct session *s);
	/* The session is about to leave its tenant. */
	void (*detach)(struct session *s);
	/* Frees up to `units` subscriptions, queued commands and the like of a session that is about to leave its
	 * tenant. Returns whether it has more. */
	bool (*shed)(struct session *s, unsigned units);
	/* A command of a session with a flag of SESSION_ATTENTION has ended. */
	void (*after_command)(struct session *s, const struct request *r, enum outcome outcome);
	/* Writes the state for the next process, in the field of this name of the session's record. */
	const char *record;
	void (*serialize)(const struct session *s, struct serializer *out, const char *name);
	/* Reads that field. Returns 0, ATOMDB_E_FORMAT or ATOMDB_E_OOM. */
	int (*deserialize)(struct session *s, struct slice record);
	/* All sessions of the tenant are restored. Returns as session_link. */
	bool (*link)(struct session *s);
};

struct session_modules {
	const struct session_module *all;
	unsigned count;
	change_watcher key_changed; /* called if a tenant has subscriptions */
	/* Sends the messages about the changes that key_changed() has queued. */
	void (*send_changes)(struct subscriptions *h);
};
