/* Changed keys, collected for one prefix of CLIENT TRACKING BCAST. */
#pragma once

#include "atomdb/session/client_memory.h"
#include "atomdb/session/session.h"
#include "atomdb/util/buffer.h"

/* A changed key; `name` is an offset in changes.names. */
struct changed_key {
	size_t name, length;
	const struct session *writer; /* the session that made the change; only compared, since it may have ended */
};

struct changes {
	struct client_charge charge;
	struct buffer names;
	struct changed_key *keys; /* owned */
	size_t count, cap;
};

/* Adds a key to `*changes`, which it makes if it is NULL. Returns 0 or -ENOMEM. */
int changes_add(struct changes **changes, struct tenant *t, struct slice name, const struct session *writer);
/* Frees and discharges. NULL is allowed. */
void changes_free(struct changes *c);
/* Sorts by name, and keeps the latest change of each key. */
void changes_sort(struct changes *c);
/* Returns whether `s` made one of the changes. */
bool changes_written_by(const struct changes *c, const struct session *s);

static inline struct slice changes_name(const struct changes *c, size_t i) {
	return (struct slice){c->names.data + c->keys[i].name, c->keys[i].length};
}
