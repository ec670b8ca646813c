/* Replies on their way to the socket.
 *
 * The replies of a batch are in the worker's output buffer. What the socket takes at once never leaves it; the rest is
 * copied to a buffer of the connection's own, or, when it is large, the two change buffers and nothing is copied. A
 * large value is in neither: it is lent, and sent from the store piece by piece, one a turn.
 *
 *   bytes:  | sent | ...$100000000\r\n | \r\n ... |
 *                                      ^ lent_at: here the value belongs
 *
 *   output:  | replies of A | of B | of C, being served ...
 *                                  ^ output_begin
 *
 * Small replies to several clients are gathered there and sent one after another: most of what a reply costs is to wake
 * the process that waits for it, and that is awake for the second. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "atomdb/util/error.h"
#include "net/connection.h"
#include "net/worker.h"

/* What the worker's output buffer keeps allocated from batch to batch; more changes hands instead of being copied. */
#define OUTPUT_KEPT ((size_t)1 << 20)
/* Bytes of replies that are gathered at most, and for how long before the next client is served, in clock_ticks: some
 * tens of microseconds. */
#define GATHERED_MOST  ((size_t)64 << 10)
#define GATHERED_TICKS ((uint64_t)1 << 17)
/* What others push is sent before the turn ends when it is more than this. */
#define PUSH_EARLY ((size_t)256 << 10)
/* Of a value that is lent, what is sent in one turn: a tenth of a millisecond or two of the kernel's. */
#define PIECE ((size_t)256 << 10)

size_t output_unsent(const struct connection *c) {
	return c->output == NULL ? 0 : c->output->bytes.len - c->output->sent + c->output->lent.bytes.len;
}

/* Unsent bytes that the connection holds itself: a lent value is the store's. */
static size_t held(const struct connection *c) {
	return c->output == NULL ? 0 : c->output->bytes.len - c->output->sent;
}

size_t output_limit(const struct connection *c) {
	uint64_t most = c->worker->env.settings.output_buffer;
	size_t unsent = held(c);
	if (most == 0)
		return SIZE_MAX;
	return c->worker->output_begin + (most > unsent ? (size_t)most - unsent : 0);
}

void output_drop(struct connection *c) {
	if (c->output == NULL)
		return;
	list_remove(&c->output->push);
	loan_return(c->output->lent.loan);
	buffer_deinit(&c->output->bytes);
	free(c->output);
	c->output = NULL;
}

/* Sends once: how many bytes the socket took (0 when it is full), or -errno. */
static ssize_t send_some(struct connection *c, const char *data, size_t len) {
	ssize_t n = socket_send(c->fd, data, len);
	if (__builtin_expect(n < 0, 0)) {
		if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)
			return 0;
		return -errno;
	}
	connection_touch(c);
	counter_add(&c->worker->figures.output_bytes, (uint64_t)n);
	if (c->session.tenant != NULL)
		tenant_count_output(c->session.tenant, (uint64_t)n);
	return n;
}

static void empty(struct worker *w) {
	if (w->output.cap > OUTPUT_KEPT)
		buffer_deinit(&w->output);
	w->output.len = w->output_begin = 0;
}

static int make_output(struct connection *c) {
	c->output = calloc(1, sizeof(*c->output));
	if (c->output == NULL)
		return -ENOMEM;
	c->output->connection = c;
	list_init(&c->output->push);
	return 0;
}

/* Forgets the bytes that were sent, where that pays. */
static void compact(struct output *o) {
	if (o->sent <= o->bytes.len / 2)
		return;
	buffer_consume(&o->bytes, o->sent);
	o->lent_at -= o->lent.loan != NULL ? o->sent : 0;
	o->sent = 0;
}

/* Keeps the worker's output from byte `from` on for later. */
static int hold(struct connection *c, size_t from) {
	struct buffer *fresh = &c->worker->output;
	if (c->output == NULL) {
		int r = make_output(c);
		if (r < 0)
			return r;
		if (fresh->cap > OUTPUT_KEPT) {
			c->output->bytes = *fresh;
			c->output->sent = from;
			buffer_init(fresh);
			return 0;
		}
	}
	struct output *o = c->output;
	compact(o);
	return buffer_append(&o->bytes, fresh->data + from, fresh->len - from, SIZE_MAX);
}

/* Sends the bytes up to `end` once. 0 or -errno. */
static int send_bytes(struct connection *c, size_t end) {
	struct output *o = c->output;
	if (o->sent == end)
		return 0;
	ssize_t n = send_some(c, o->bytes.data + o->sent, end - o->sent);
	if (n < 0)
		return (int)n;
	o->sent += (size_t)n;
	return 0;
}

/* Sends once of what is held, and of what is lent a piece: then the others come, and the client behind them, as the
 * greedy do. 0 or -errno. */
static int send_held(struct connection *c) {
	struct output *o = c->output;
	if (__builtin_expect(o->lent.loan == NULL, 1))
		return send_bytes(c, o->bytes.len);
	int r = send_bytes(c, o->lent_at);
	if (r < 0 || o->sent < o->lent_at)
		return r;
	struct slice *rest = &o->lent.bytes;
	ssize_t n = send_some(c, rest->data, rest->len < PIECE ? rest->len : PIECE);
	if (n < 0)
		return (int)n;
	rest->data += n;
	rest->len -= (size_t)n;
	c->greedy = c->greedy > 0 ? c->greedy : 1;
	if (rest->len > 0)
		return 0;
	loan_return(o->lent.loan);
	o->lent.loan = NULL;
	return send_bytes(c, o->bytes.len);
}

void output_pack(const struct connection *c, struct pack *p) {
	const struct output *o = c->output;
	size_t begin = pack_begin(p);
	if (o != NULL)
		pack_piece(p, (struct slice){o->bytes.data + o->sent, o->bytes.len - o->sent});
	pack_end(p, begin);
}

bool output_is_lent(const struct connection *c) {
	return c->output != NULL && c->output->lent.loan != NULL;
}

void output_pack_lent(const struct connection *c, struct pack *p) {
	const struct output *o = c->output;
	struct loan_place place = loan_place(o->lent.loan, o->lent.bytes);
	pack_number(p, o->lent_at - o->sent);
	pack_number(p, place.block);
	pack_number(p, place.offset);
	pack_number(p, place.length);
}

int output_unpack_lent(struct connection *c, struct unpack *u) {
	struct output *o = c->output;
	struct loan_place place;
	/* CRLF at least comes behind it. */
	uint64_t at = unpack_up_to(u, o != NULL && o->bytes.len > 0 ? o->bytes.len - 1 : 0);
	place.block = (uint32_t)unpack_up_to(u, UINT32_MAX);
	place.offset = unpack_number(u);
	place.length = unpack_number(u);
	if (u->failed || o == NULL || c->session.tenant == NULL)
		return ATOMDB_E_FORMAT;
	o->lent.loan = loan_claim(c->session.tenant, &place, &o->lent.bytes);
	o->lent_at = at;
	return o->lent.loan != NULL ? 0 : ATOMDB_E_FORMAT;
}

static bool is_over_limit(const struct connection *c) {
	uint64_t most = c->worker->env.settings.output_buffer;
	return most != 0 && held(c) > most;
}

static int check_limit(struct connection *c) {
	if (!is_over_limit(c))
		return 0;
	counter_add(&c->worker->figures.output_limit, 1);
	connection_report(c, EVENT_OUTPUT_LIMIT, (struct slice){0}, NULL);
	return ATOMDB_E_RANGE;
}

/* Something is held already: the new replies go behind it. */
static int flush_held(struct connection *c) {
	struct buffer *fresh = &c->worker->output;
	size_t begin = c->worker->output_begin;
	int r = fresh->len > begin ? hold(c, begin) : 0;
	empty(c->worker);
	if (r < 0)
		return r;
	struct output *o = c->output;
	r = send_held(c);
	if (r < 0)
		return r;
	if (o->sent == o->bytes.len && o->lent.loan == NULL) {
		output_drop(c);
		return 0;
	}
	return check_limit(c);
}

int output_flush(struct connection *c) {
	struct worker *w = c->worker;
	struct buffer *fresh = &w->output;
	output_send_replies(w);
	if (c->output != NULL)
		return flush_held(c);
	size_t begin = w->output_begin, len = fresh->len - begin;
	ssize_t n = len == 0 ? 0 : send_some(c, fresh->data + begin, len);
	int r = n < 0 ? (int)n : 0;
	if (__builtin_expect(n >= 0 && (size_t)n < len, 0)) {
		r = hold(c, begin + (size_t)n);
		if (r == 0)
			r = check_limit(c);
	}
	empty(w);
	return r;
}

int output_lend(struct connection *c, struct lent lent) {
	struct worker *w = c->worker;
	output_send_replies(w);
	int r = hold(c, w->output_begin);
	empty(w);
	if (r == 0)
		r = buffer_reserve(&c->output->bytes, 2, SIZE_MAX);
	if (r < 0) {
		loan_return(lent.loan);
		return r;
	}
	struct output *o = c->output;
	assert(o->lent.loan == NULL);
	o->lent = lent;
	o->lent_at = o->bytes.len;
	return buffer_append(&o->bytes, "\r\n", 2, SIZE_MAX);
}

bool output_later(struct connection *c) {
	struct worker *w = c->worker;
	if (c->output != NULL || w->output.len > GATHERED_MOST)
		return false;
	if (w->output.len == w->output_begin)
		return true;
	if (w->reply_count == 0)
		w->reply_ticks = clock_ticks();
	w->replies[w->reply_count++] = (struct reply){c, w->output_begin, w->output.len - w->output_begin};
	w->output_begin = w->output.len;
	c->flags |= CONNECTION_REPLIED;
	return true;
}

bool output_is_due(const struct worker *w, uint64_t ticks) {
	return w->reply_count == WORKER_REPLIES || (w->reply_count > 0 && ticks - w->reply_ticks > GATHERED_TICKS);
}

/* What is left of a reply waits for the end of the turn. A socket that failed is closed when epoll tells of it. */
static void keep_reply(struct connection *c, struct slice rest, ssize_t sent) {
	if (sent < 0 || output_hold(c, rest) < 0)
		shutdown(c->fd, SHUT_RDWR);
	else
		list_push_back(&c->worker->pushed, &c->output->push);
}

void output_send_replies(struct worker *w) {
	for (struct reply *r = w->replies; r < w->replies + w->reply_count; r++) {
		const char *data = w->output.data + r->at;
		r->connection->flags &= (uint8_t)~CONNECTION_REPLIED;
		ssize_t n = send_some(r->connection, data, r->len);
		size_t sent = n > 0 ? (size_t)n : 0;
		if (__builtin_expect(sent != r->len, 0))
			keep_reply(r->connection, (struct slice){data + sent, r->len - sent}, n);
	}
	w->reply_count = 0;
}

void output_end_replies(struct worker *w) {
	if (w->reply_count == 0)
		return;
	output_send_replies(w);
	empty(w);
}

int output_hold(struct connection *c, struct slice bytes) {
	int r = make_output(c);
	return r < 0 ? r : buffer_append(&c->output->bytes, bytes.data, bytes.len, SIZE_MAX);
}

void output_push(struct connection *c, struct slice bytes) {
	struct worker *w = c->worker;
	if (c->flags & (CONNECTION_FINISHED | CONNECTION_OVERRUN))
		return;
	/* What it is told comes behind its replies. */
	if (c->flags & CONNECTION_REPLIED)
		output_send_replies(w);
	if (c->output == NULL && make_output(c) < 0)
		return;
	struct output *o = c->output;
	if (!list_linked(&o->push))
		list_push_back(&w->pushed, &o->push);
	compact(o);
	size_t cap = o->bytes.cap;
	/* A message that is lost must be known to the client, and this is how. */
	if (buffer_append(&o->bytes, bytes.data, bytes.len, SIZE_MAX) < 0) {
		connection_overrun(c);
		return;
	}
	if (held(c) > PUSH_EARLY)
		(void)send_held(c);
	if (check_limit(c) < 0)
		connection_overrun(c);
	else if (o->bytes.cap != cap && connection_charge_later(c) < 0)
		connection_evict(c);
}

void output_flush_pushed(struct worker *w) {
	while (!list_empty(&w->pushed)) {
		struct connection *c = list_entry(w->pushed.next, struct output, push)->connection;
		list_remove(&c->output->push);
		if (output_flush(c) < 0) {
			connection_close(c);
			continue;
		}
		if (c->flags & CONNECTION_FINISHED)
			continue;
		if (connection_charge(c) < 0) {
			connection_evict(c);
			continue;
		}
		/* Where the socket took all of it, it will not tell that it can take more. */
		input_wake(c);
		connection_settle(c);
	}
}
