#include "net/pending.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "net/connection.h"
#include "net/output.h"
#include "net/worker.h"

/* Overwrites pending input that is copied elsewhere or dropped, because it may begin with a secret. A secret in a
 * larger input has run in place, and is overwritten already. */
static void wipe(struct buffer *b) {
	if (b->len > 0 && b->len <= WORKER_HEAD)
		explicit_bzero(b->data, b->len);
}

void pending_drop(struct connection *c) {
	struct pending *p = c->pending;
	if (p == NULL)
		return;
	list_remove(&p->wait);
	wipe(&p->bytes);
	reader_deinit(&p->reader);
	buffer_deinit(&p->bytes);
	free(p);
	c->pending = NULL;
	c->flags &= (uint16_t) ~(CONNECTION_RUNNABLE | CONNECTION_WAITING);
}

static struct pending *make(struct connection *c) {
	if (c->pending == NULL) {
		struct pending *p = calloc(1, sizeof(*p));
		if (p == NULL)
			return NULL;
		p->connection = c;
		list_init(&p->wait);
		reader_init(&p->reader);
		c->pending = p;
	}
	return c->pending;
}

/* Moves bytes to the front of the buffer, or to a new one if the buffer is much larger than they are. Returns 0 or
 * -ENOMEM. */
static int keep_bytes(struct buffer *b, char *rest, size_t len) {
	bool inside = b->data != NULL && (uintptr_t)rest - (uintptr_t)b->data <= b->cap;
	if (len == 0) {
		buffer_deinit(b);
		return 0;
	}
	if (inside && (b->cap <= GRACE_BYTES || len >= b->cap / 4)) {
		if (rest != b->data)
			memmove(b->data, rest, len);
		b->len = len;
		return 0;
	}
	struct buffer fresh;
	buffer_init(&fresh);
	if (!inside) {
		wipe(b);
		b->len = 0;
		int r = buffer_append(b, rest, len, SIZE_MAX);
		explicit_bzero(rest, len);
		return r;
	}
	int r = buffer_append(&fresh, rest, len, SIZE_MAX);
	if (r == 0) {
		buffer_deinit(b);
		*b = fresh;
	}
	return r;
}

int pending_skip(struct pending *p, size_t n) {
	return keep_bytes(&p->bytes, p->bytes.data + n, p->bytes.len - n);
}

int pending_keep(struct connection *c, char *rest, size_t len, bool unfinished) {
	struct pending *p = make(c);
	if (p == NULL)
		return -ENOMEM;
	/* From here on `rest` is only a number: its buffer may be freed. */
	int r = keep_bytes(&p->bytes, rest, len);
	if (r < 0)
		return r;
	if (unfinished) {
		struct reader *from = &c->worker->reader;
		struct reader state = *from;
		*from = p->reader;
		p->reader = state;
		reader_rebase(&p->reader, rest, p->bytes.data);
		reader_reset(from);
	} else {
		reader_reset(&p->reader);
		reader_wipe(&c->worker->reader);
	}
	return 0;
}

void pending_resume(struct connection *c, const char *to) {
	struct pending *p = c->pending;
	struct reader *r = &c->worker->reader;
	struct reader state = *r;
	*r = p->reader;
	p->reader = state;
	reader_rebase(r, p->bytes.data, to);
}

int pending_hold(struct connection *c, struct slice bytes) {
	struct worker *w = c->worker;
	struct pending *p = make(c);
	if (p == NULL || buffer_append(&p->bytes, bytes.data, bytes.len, SIZE_MAX) < 0)
		return -ENOMEM;
	c->flags |= CONNECTION_WAITING | CONNECTION_RUNNABLE;
	list_push_back(&w->waiting, &p->wait);
	w->busy = true;
	return 0;
}

void pending_wake(struct connection *c) {
	struct worker *w = c->worker;
	if ((c->flags & (CONNECTION_RUNNABLE | CONNECTION_WAITING)) != CONNECTION_RUNNABLE || output_is_behind(c))
		return;
	c->flags |= CONNECTION_WAITING;
	list_push_back(&w->waiting, &c->pending->wait);
	w->busy = true;
}
