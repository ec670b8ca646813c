/* A queue of changed keys, the oldest first. Their messages are sent later: see events.h. */
#pragma once

#include "atomdb/session/client_memory.h"
#include "atomdb/util/buffer.h"

struct change_queue {
	struct buffer records;
	size_t done; /* bytes of the records that change_queue_take() has taken */
	struct client_charge charge;
};

struct queued_change {
	enum change what;
	unsigned database;
	struct slice name; /* owned by the queue */
};

void change_queue_init(struct change_queue *q, struct tenant *t);
/* Frees the records and releases their charge. */
void change_queue_deinit(struct change_queue *q);
static inline bool change_queue_empty(const struct change_queue *q) {
	return q->done == q->records.len;
}
/* Appends a change. Returns 0, or -ENOMEM if the queue is full or the tenant has no room. */
int change_queue_add(struct change_queue *q, const struct queued_change *c);
/* Moves all changes from `from` to the uninitialized `to`. Leaves `from` empty. */
void change_queue_take_all(struct change_queue *to, struct change_queue *from);
/* Takes the oldest change. Its name is valid until change_queue_deinit(). Returns false if there is none. */
bool change_queue_take(struct change_queue *q, struct queued_change *c);
