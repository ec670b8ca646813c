/* Changes of keys of which clients are told later, oldest first. */
#pragma once

#include "atomdb/session/client_memory.h"
#include "atomdb/util/buffer.h"

struct change_queue {
	struct buffer records;
	size_t done; /* bytes of the records that are taken */
	struct client_charge charge;
};

struct queued_change {
	enum change what;
	unsigned database;
	struct slice name; /* in the queue */
};

void change_queue_init(struct change_queue *q, struct tenant *t);
/* Frees and discharges. */
void change_queue_deinit(struct change_queue *q);
static inline bool change_queue_empty(const struct change_queue *q) {
	return q->done == q->records.len;
}
/* Appends a change. Returns 0, or -ENOMEM if the queue is full or the tenant has no room. */
int change_queue_add(struct change_queue *q, const struct queued_change *c);
/* Moves all changes of `from`, which is empty then, to the uninitialized `to`. */
void change_queue_take_all(struct change_queue *to, struct change_queue *from);
/* Takes the oldest change. Returns false if there is none. */
bool change_queue_take(struct change_queue *q, struct queued_change *c);
