/* The load: every connection sends a batch of `pipeline` requests, waits for all replies, then sends the next one.
 *
 * Without a rate, each batch follows the previous one at once. With a rate, batches are due at regular times and wait
 * for a free connection. Their latency counts from the time when they are due, so that a pause of the server counts for
 * all requests that it delays. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "load.h"

#define INPUT_SIZE (256u << 10)

struct connection {
	int fd;
	bool waiting_out;
	uint64_t due_ns;
	unsigned unanswered;
	const char *unsent; /* unsent bytes of the batch */
	size_t unsent_size;
	char *own;     /* owned: the batch, if there is no stream */
	uint64_t next; /* next key of a fill with several tenants */
	struct replies replies;
};

struct load {
	const struct options *o;
	int epoll_fd;
	struct draw draw;
	struct stream stream;
	struct connection *connections; /* owned */
	unsigned *idle;                 /* owned: indexes of the connections without a batch, for a rate */
	unsigned idle_count;
	uint64_t stream_at;   /* next request of the stream */
	uint64_t next;        /* next key of a fill */
	uint64_t issued;      /* operations sent */
	uint64_t answered;    /* operations answered */
	uint64_t batches_due; /* with a rate: number of batches started */
	uint64_t start_ns, begin_ns, end_ns;
	uint64_t begin_answered, begin_cpu_ns;
	bool measuring;
	struct histogram latency;
	char input[INPUT_SIZE];
};

static int watch(struct load *l, struct connection *c, bool out, int op) {
	struct epoll_event e = {.events = out ? EPOLLIN | EPOLLOUT : EPOLLIN, .data.ptr = c};

	c->waiting_out = out;
	return epoll_ctl(l->epoll_fd, op, c->fd, &e) < 0 ? -errno : 0;
}

static int push(struct load *l, struct connection *c) {
	ssize_t n = send(c->fd, c->unsent, c->unsent_size, MSG_NOSIGNAL);

	if (n < 0 && errno != EAGAIN)
		return -errno;
	if (n > 0) {
		c->unsent += n;
		c->unsent_size -= (size_t)n;
	}
	if ((c->unsent_size > 0) != c->waiting_out)
		return watch(l, c, c->unsent_size > 0, EPOLL_CTL_MOD);
	return 0;
}

static enum verb first_verb(const struct options *o) {
	unsigned verb = 0;

	while (verb < VERB_COUNT - 1 && !o->weights[verb])
		verb++;
	return (enum verb)verb;
}

/* Takes the next keys of a fill. Returns the number of requests in the batch. */
static unsigned fill_batch(struct load *l, struct connection *c) {
	const struct options *o = l->o;
	uint64_t *next = o->tenants > 1 ? &c->next : &l->next;
	unsigned count = 0;

	c->unsent = c->own;
	c->unsent_size = 0;
	while (count < o->pipeline && *next < o->keys) {
		c->unsent_size += request_write(o, first_verb(o), *next, c->own + c->unsent_size);
		*next += o->key_step;
		count++;
	}
	return count;
}

static unsigned drawn_batch(struct load *l, struct connection *c) {
	const struct options *o = l->o;

	c->unsent = c->own;
	c->unsent_size = 0;
	for (unsigned i = 0; i < o->pipeline; i++)
		c->unsent_size += draw_request(&l->draw, o, c->own + c->unsent_size);
	return o->pipeline;
}

static unsigned stream_batch(struct load *l, struct connection *c) {
	const struct stream *s = &l->stream;
	uint64_t from = l->stream_at;

	c->unsent = s->bytes + s->offset[from];
	c->unsent_size = s->offset[from + l->o->pipeline] - s->offset[from];
	l->stream_at = from + 2 * l->o->pipeline <= s->count ? from + l->o->pipeline : 0;
	return l->o->pipeline;
}

static unsigned next_batch(struct load *l, struct connection *c) {
	if (l->o->sequential)
		return fill_batch(l, c);
	if (l->o->operations && l->issued >= l->o->operations)
		return 0;
	return l->stream.count ? stream_batch(l, c) : drawn_batch(l, c);
}

/* Returns 1 if a batch was sent, 0 if none is left, or an error. */
static int send_batch(struct load *l, struct connection *c, uint64_t due_ns) {
	unsigned count = next_batch(l, c);
	int r;

	if (count == 0)
		return 0;
	c->unanswered = count;
	c->due_ns = due_ns;
	l->issued += count;
	r = push(l, c);
	return r < 0 ? r : 1;
}

static void measure_begin(struct load *l, uint64_t now) {
	l->measuring = true;
	l->begin_ns = now;
	l->begin_answered = l->answered;
	l->begin_cpu_ns = process_cpu_ns(l->o->server);
	memset(&l->latency, 0, sizeof(l->latency));
	for (unsigned i = 0; i < l->o->clients; i++)
		l->connections[i].replies.misses = 0;
}

static int batch_done(struct load *l, struct connection *c) {
	uint64_t now = now_ns();

	histogram_add(&l->latency, now - c->due_ns);
	if (l->o->rate) {
		l->idle[l->idle_count++] = (unsigned)(c - l->connections);
		return 0;
	}
	return send_batch(l, c, now);
}

static int pull(struct load *l, struct connection *c) {
	ssize_t n = recv(c->fd, l->input, sizeof(l->input), MSG_DONTWAIT);
	int64_t count;

	if (n < 0)
		return errno == EAGAIN ? 0 : -errno;
	if (n == 0)
		return -ECONNRESET;
	count = replies_count(&c->replies, l->input, (size_t)n);
	if (count < 0)
		return (int)count;
	if (count > c->unanswered)
		return -EPROTO;
	l->answered += (uint64_t)count;
	c->unanswered -= (unsigned)count;
	return count > 0 && c->unanswered == 0 && c->unsent_size == 0 ? batch_done(l, c) : 0;
}

/* With a rate: starts the batches that are due. */
static int send_due(struct load *l, uint64_t now) {
	double interval = 1e9 * l->o->pipeline / (double)l->o->rate;

	while (l->idle_count > 0) {
		uint64_t due = l->start_ns + (uint64_t)((double)l->batches_due * interval);
		int r;

		if (due > now)
			return 0;
		r = send_batch(l, &l->connections[l->idle[l->idle_count - 1]], due);
		if (r <= 0)
			return r;
		l->idle_count--;
		l->batches_due++;
	}
	return 0;
}

static int load_open(struct load *l) {
	const struct options *o = l->o;
	bool made = o->stream && !o->sequential;
	int r;

	draw_init(&l->draw, o);
	r = made ? stream_init(&l->stream, o, &l->draw) : 0;
	if (r < 0)
		return r;
	l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	l->connections = calloc(o->clients, sizeof(*l->connections));
	l->idle = calloc(o->clients, sizeof(*l->idle));
	if (l->epoll_fd < 0 || !l->connections || !l->idle)
		return -ENOMEM;
	for (unsigned i = 0; i < o->clients; i++)
		l->connections[i].fd = -1;
	for (unsigned i = 0; i < o->clients; i++) {
		struct connection *c = &l->connections[i];

		c->replies.memcached = o->memcached;
		if (!made && !(c->own = malloc(o->pipeline * request_size_max(o))))
			return -ENOMEM;
		c->fd = connection_open(o, i);
		if (c->fd < 0)
			return c->fd;
		if (fcntl(c->fd, F_SETFL, O_NONBLOCK) < 0)
			return -errno;
		r = watch(l, c, false, EPOLL_CTL_ADD);
		if (r < 0)
			return r;
		l->idle[l->idle_count++] = i;
	}
	return 0;
}

static void load_close(struct load *l) {
	for (unsigned i = 0; l->connections && i < l->o->clients; i++) {
		if (l->connections[i].fd >= 0)
			close(l->connections[i].fd);
		free(l->connections[i].own);
	}
	free(l->connections);
	free(l->idle);
	stream_deinit(&l->stream);
	if (l->epoll_fd >= 0)
		close(l->epoll_fd);
}

static bool finished(const struct load *l, uint64_t now) {
	bool counted = l->o->sequential || l->o->operations;

	if (counted)
		return l->issued == l->answered && (l->o->sequential || l->issued >= l->o->operations);
	return l->measuring && now - l->begin_ns >= l->o->duration_ms * 1000000;
}

static int turn(struct load *l) {
	struct epoll_event events[256];
	int n = epoll_wait(l->epoll_fd, events, 256, l->o->rate ? 0 : 1000);
	int r = 0;

	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	for (int i = 0; i < n && r >= 0; i++) {
		struct connection *c = events[i].data.ptr;

		if (c->waiting_out && (events[i].events & EPOLLOUT))
			r = push(l, c);
		if (r >= 0 && (events[i].events & ~(uint32_t)EPOLLOUT))
			r = pull(l, c);
	}
	return r;
}

static int loop(struct load *l) {
	const struct options *o = l->o;
	uint64_t now = now_ns();
	int r = 0;

	l->start_ns = now;
	if (o->sequential || o->operations || !o->warmup_ms)
		measure_begin(l, now);
	for (unsigned i = 0; i < o->clients && !o->rate; i++) {
		r = send_batch(l, &l->connections[i], now_ns());
		if (r < 0)
			return r;
	}
	while (!finished(l, now)) {
		if (o->rate && (r = send_due(l, now)) < 0)
			return r;
		r = turn(l);
		if (r < 0)
			return r;
		now = now_ns();
		if (!l->measuring && now - l->start_ns >= o->warmup_ms * 1000000)
			measure_begin(l, now);
	}
	l->end_ns = now;
	return 0;
}

static void load_print(const struct load *l, uint64_t cpu_ns) {
	uint64_t misses = 0, errors = 0;
	const char *error = "";

	for (unsigned i = 0; i < l->o->clients; i++) {
		const struct replies *r = &l->connections[i].replies;

		misses += r->misses;
		errors += r->errors;
		if (r->errors && !*error)
			error = r->error;
	}
	printf("{\"ops\":%" PRIu64 ",\"wall_ns\":%" PRIu64 ",\"server_cpu_ns\":%" PRIu64 ",\"misses\":%" PRIu64
	       ",\"errors\":%" PRIu64 ",\"error\":\"",
	       l->answered - l->begin_answered, l->end_ns - l->begin_ns, cpu_ns, misses, errors);
	for (; *error; error++)
		putchar(*error < ' ' || *error == '"' || *error == '\\' ? '?' : *error);
	putchar('"');
	histogram_print(&l->latency);
	printf("}\n");
}

int load_run(const struct options *o) {
	struct load *l = calloc(1, sizeof(*l));
	int r;

	if (!l)
		return -ENOMEM;
	l->o = o;
	l->epoll_fd = -1;
	r = load_open(l);
	if (r == 0)
		r = loop(l);
	if (r == 0)
		load_print(l, process_cpu_ns(o->server) - l->begin_cpu_ns);
	load_close(l);
	free(l);
	return r;
}
