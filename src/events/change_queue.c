#include "atomdb/events/change_queue.h"

#include <errno.h>

/* Most bytes of a queue. */
#define QUEUE_MAX ((size_t)4 << 20)

struct record {
	size_t length;
	uint16_t database;
	uint8_t what;
};

void change_queue_init(struct change_queue *q, struct tenant *t) {
	*q = (struct change_queue){.charge = {.tenant = t}};
	buffer_init(&q->records);
}

void change_queue_deinit(struct change_queue *q) {
	struct client_charge charge = q->charge;
	buffer_deinit(&q->records);
	change_queue_init(q, charge.tenant);
	client_charge_release(&charge);
}

int change_queue_add(struct change_queue *q, const struct queued_change *c) {
	const struct record r = {c->name.len, (uint16_t)c->database, (uint8_t)c->what};
	size_t bytes = sizeof(r) + c->name.len;
	if (bytes > QUEUE_MAX - q->records.len || client_charge_grow(&q->charge, NULL, bytes, CHARGE_LATER) < 0)
		return -ENOMEM;
	if (buffer_reserve(&q->records, bytes, SIZE_MAX) < 0) {
		client_charge_shrink(&q->charge, bytes);
		return -ENOMEM;
	}
	(void)buffer_append(&q->records, &r, sizeof(r), SIZE_MAX);
	(void)buffer_append(&q->records, c->name.data, c->name.len, SIZE_MAX);
	return 0;
}

void change_queue_take_all(struct change_queue *to, struct change_queue *from) {
	*to = *from;
	change_queue_init(from, to->charge.tenant);
}

bool change_queue_take(struct change_queue *q, struct queued_change *c) {
	struct record r;
	if (change_queue_empty(q))
		return false;
	memcpy(&r, q->records.data + q->done, sizeof(r));
	*c = (struct queued_change){(enum change)r.what, r.database, {q->records.data + q->done + sizeof(r), r.length}};
	q->done += sizeof(r) + r.length;
	return true;
}
