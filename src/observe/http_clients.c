#include "observe/http_clients.h"

#include <sys/socket.h>

static void queue_init(struct http_queue *q) {
	*q = (struct http_queue){0};
	list_init(&q->clients);
}

static void leave_queue(struct http_client *c) {
	if (c->queue == NULL)
		return;
	list_remove(&c->link);
	c->queue->count--;
	c->queue->bytes -= c->bytes;
	c->queue = NULL;
	c->bytes = 0;
}

static void join_queue(struct http_client *c, struct http_queue *q, size_t bytes, uint64_t deadline_ns) {
	leave_queue(c);
	c->queue = q;
	c->bytes = bytes;
	c->deadline_ns = deadline_ns;
	q->count++;
	q->bytes += bytes;
	list_push_back(&q->clients, &c->link);
}

static struct http_client *first(const struct http_queue *q) {
	return list_entry(q->clients.next, struct http_client, link);
}

/* Ends the connection. The owner of the socket reads the end of the stream, and closes it. */
static void shut_down(struct http_client *c, bool reset) {
	/* Otherwise the kernel would keep the rest of the response for a reader that may never take it. */
	const struct linger now = {.l_onoff = 1, .l_linger = 0};
	if (reset)
		setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	shutdown(c->fd, SHUT_RDWR);
	leave_queue(c);
}

void http_clients_init(struct http_clients *l) {
	*l = (struct http_clients){0};
	queue_init(&l->idle);
	queue_init(&l->answered);
}

void http_clients_add(struct http_clients *l, struct http_client *c, int fd) {
	*c = (struct http_client){.fd = fd};
	list_init(&c->link);
	l->open++;
	join_queue(c, &l->idle, 0, l->now_ns + HTTP_IDLE_NS);
}

void http_clients_answer(struct http_clients *l, struct http_client *c, size_t bytes) {
	if (c->queue != NULL)
		join_queue(c, &l->answered, bytes, l->now_ns + HTTP_ANSWER_NS);
}

void http_clients_answered(struct http_clients *l, struct http_client *c) {
	if (c->queue != NULL)
		join_queue(c, &l->idle, 0, l->now_ns + HTTP_IDLE_NS);
}

void http_clients_end(struct http_client *c) {
	shut_down(c, false);
}

void http_clients_remove(struct http_clients *l, struct http_client *c) {
	leave_queue(c);
	l->open--;
}

static void expire_queue(struct http_queue *q, uint64_t now_ns, bool reset) {
	while (q->count > 0 && first(q)->deadline_ns <= now_ns)
		shut_down(first(q), reset);
}

void http_clients_expire(struct http_clients *l, uint64_t now_ns) {
	l->now_ns = now_ns;
	expire_queue(&l->idle, now_ns, false);
	expire_queue(&l->answered, now_ns, true);
}

void http_clients_trim(struct http_clients *l) {
	while (l->idle.count > HTTP_IDLE_MAX)
		shut_down(first(&l->idle), false);
	while (l->answered.count > HTTP_ANSWERED_MAX ||
	       (l->answered.count > 1 && l->answered.bytes > HTTP_ANSWERED_BYTES))
		shut_down(first(&l->answered), true);
}

int64_t http_clients_timeout(const struct http_clients *l, uint64_t now_ns) {
	uint64_t deadline_ns = UINT64_MAX;
	if (l->idle.count > 0)
		deadline_ns = first(&l->idle)->deadline_ns;
	if (l->answered.count > 0 && first(&l->answered)->deadline_ns < deadline_ns)
		deadline_ns = first(&l->answered)->deadline_ns;
	if (deadline_ns == UINT64_MAX)
		return -1;
	return deadline_ns > now_ns ? (int64_t)((deadline_ns - now_ns) / 1000000 + 1) : 0;
}
