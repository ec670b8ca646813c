#include "atomdb/events/push.h"

/* Larger buffers are freed after the message. */
#define BUFFER_KEPT ((size_t)64 << 10)

static void empty(struct buffer *b) {
	b->len = 0;
	if (b->cap > BUFFER_KEPT)
		buffer_deinit(b);
}

void push_end(struct push *p) {
	shared_buffer_release(p->shared);
	p->shared = NULL;
	empty(&p->body);
	empty(&p->head);
}

void push_init(struct push *p, struct environment *env, struct tenant *t) {
	*p = (struct push){.env = env, .tenant = t, .deferred.charge.tenant = t, .own.charge.tenant = t};
}

void push_deinit(struct push *p) {
	push_end(p);
	push_release(&p->deferred);
	push_release(&p->own);
	buffer_deinit(&p->head);
	buffer_deinit(&p->body);
}

struct writer push_body(struct push *p, size_t size) {
	struct writer w;
	push_end(p);
	if (size >= SHARED_BUFFER_MIN)
		p->shared = shared_buffer_new(p->tenant, size);
	writer_init(&w, p->shared != NULL ? &p->shared->bytes : &p->body, SIZE_MAX);
	w.protocol = 3;
	w.failed = size >= SHARED_BUFFER_MIN && p->shared == NULL;
	return w;
}

struct slice push_body_bytes(const struct push *p) {
	return buffer_slice(p->shared != NULL ? &p->shared->bytes : &p->body);
}

struct writer push_head(struct push *p, size_t elements) {
	struct writer w;
	empty(&p->head);
	p->whole = false;
	writer_init(&w, &p->head, SIZE_MAX);
	w.protocol = 3;
	writer_push(&w, elements);
	return w;
}

void push_send_bytes(struct push *p, struct session *to, struct slice bytes) {
	if (p->env->host == NULL || p->env->host->push == NULL)
		return;
	if (to != p->current) {
		p->env->host->push(to, bytes);
	} else if (p->unplanned || to->reply->out->len > p->reply_begin) {
		push_hold(p, &p->deferred, bytes.data, bytes.len);
	} else {
		p->env->host->push(to, bytes);
		p->reply_begin = to->reply->out->len;
	}
}

static void send(struct push *p, struct session *to, struct slice head) {
	const struct session_host *host = p->env->host;
	if (p->shared != NULL && to != p->current && host != NULL && host->push_shared != NULL) {
		host->push_shared(to, head, p->shared);
		return;
	}
	if (head.len > 0)
		push_send_bytes(p, to, head);
	if (p->shared != NULL)
		push_send_bytes(p, to, buffer_slice(&p->shared->bytes));
}

void push_send(struct push *p, struct session *to) {
	if (p->shared == NULL && !p->whole)
		p->whole = buffer_append(&p->head, p->body.data, p->body.len, SIZE_MAX) == 0;
	if (p->head.len > 0)
		p->head.data[0] = to->protocol == 2 ? '*' : '>';
	send(p, to, buffer_slice(&p->head));
}

void push_send_body(struct push *p, struct session *to) {
	send(p, to, buffer_slice(&p->body));
}

/* --- sending to the session that runs a command ----------------------------------------------------------------- */

/* A push must not interrupt a reply. If the command makes it before it begins to reply, it precedes the reply, as in
 * Redis 7.0. A push from the store, for a key that expires or is evicted, follows the reply. */

void push_begin_command(struct push *p, struct session *s) {
	p->current = s;
	p->reply_begin = s->reply->out->len;
}

void push_end_command(struct push *p, struct session *s) {
	bool sent = p->current == s && !s->reply->failed;
	p->current = NULL;
	if (sent && p->deferred.bytes.len != 0)
		push_send_bytes(p, s, buffer_slice(&p->deferred.bytes));
	push_release(&p->deferred);
}

void push_forget(struct push *p, const struct session *s) {
	if (p->current != s)
		return;
	p->current = NULL;
	push_release(&p->deferred);
	push_release(&p->own);
}

void push_hold(struct push *p, struct held_push *to, const void *bytes, size_t len) {
	struct writer *w = p->current->reply;
	if (!writer_fits(w, p->deferred.bytes.len + p->own.bytes.len + len) ||
	    client_charge_grow(&to->charge, p->current, len, CHARGE_LATER) < 0) {
		w->failed = true;
		return;
	}
	if (buffer_append(&to->bytes, bytes, len, SIZE_MAX) < 0) {
		client_charge_shrink(&to->charge, len);
		w->failed = true;
	}
}

void push_release(struct held_push *held) {
	buffer_deinit(&held->bytes);
	client_charge_release(&held->charge);
}
