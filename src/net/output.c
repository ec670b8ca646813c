/* Replies on their way to the socket.
 *
 * The replies of a batch are in the worker's output buffer. What the socket takes at once never leaves it; the rest is
 * copied to a buffer of the connection's own, or, when it is large, the two change buffers and nothing is copied. A
 * large value is in neither: it is pinned, and sent from the store piece by piece, one a turn. A large message
 * to several clients is in neither: they share it.
 *
 *   bytes:  | sent | ...$100000000\r\n | \r\n ... |
 *                                      ^ insert->at: here the value belongs
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
/* The least by which the limit of a reply grows. */
#define GROW_LEAST ((size_t)64 << 10)
/* What others push is sent before the turn ends when it is more than this. */
#define PUSH_EARLY ((size_t)256 << 10)
/* Of a value that is pinned, what is sent in one turn: a tenth of a millisecond or two of the kernel's. */
#define PIECE ((size_t)256 << 10)

static struct insert *first_insert(const struct output *o) {
	return list_empty(&o->inserts) ? NULL : list_entry(o->inserts.next, struct insert, link);
}

/* Unsent bytes of the connection's own. */
static size_t own_bytes(const struct connection *c) {
	return c->output == NULL ? 0 : c->output->bytes.len - c->output->sent;
}

/* With those that it shares: what the client does not read. A pinned value is the store's, and one at most. */
static size_t unread(const struct connection *c) {
	return c->output == NULL ? 0 : own_bytes(c) + c->output->shared_bytes;
}

size_t output_unsent(const struct connection *c) {
	const struct insert *pinned = c->output == NULL ? NULL : c->output->pinned;
	return unread(c) + (pinned != NULL ? pinned->rest.len : 0);
}

size_t output_limit(const struct connection *c) {
	uint64_t most = c->worker->env.settings.output_buffer;
	size_t unsent = unread(c);
	if (most == 0)
		return SIZE_MAX;
	return c->worker->output_begin + (most > unsent ? (size_t)most - unsent : 0);
}

size_t output_free_limit(const struct connection *c) {
	size_t most = output_limit(c), begin = c->worker->output_begin;
	return most - begin < OUTPUT_KEPT ? most : begin + OUTPUT_KEPT;
}

bool output_grow(struct writer *writer, size_t n) {
	struct worker *w = list_entry(writer, struct worker, writer);
	/* A refusal that no command wrote. */
	if (w->env.running == NULL)
		return false;
	struct connection *c = list_entry(w->env.running, struct connection, session);
	size_t most = output_limit(c), len = writer->out->len;
	if (len > most || n > most - len) {
		writer->limit = most;
		return false;
	}
	/* A half more than is needed, or some more, so that there are few charges. */
	size_t limit = len + n > most / 3 * 2 ? most : (len + n) / 2 * 3;
	if (connection_charge_reply(c, limit - writer->limit) < 0) {
		size_t step = n > GROW_LEAST ? n : GROW_LEAST;
		limit = step < most - len ? len + step : most;
		if (connection_charge_reply(c, limit - writer->limit) < 0)
			return false;
	}
	writer->limit = limit;
	return true;
}

static void end_insert(struct output *o, struct insert *in) {
	list_remove(&in->link);
	if (o->pinned == in)
		o->pinned = NULL;
	o->shared_bytes -= in->shared != NULL ? in->rest.len : 0;
	o->insert_count--;
	pin_release(in->pin);
	shared_buffer_release(in->shared);
	free(in);
}

void output_drop(struct connection *c) {
	struct output *o = c->output;
	if (o == NULL)
		return;
	list_remove(&o->push);
	while (!list_empty(&o->inserts))
		end_insert(o, first_insert(o));
	buffer_deinit(&o->bytes);
	free(o);
	c->output = NULL;
}

uint64_t output_memory(const struct output *o) {
	return sizeof(*o) + o->bytes.cap + o->insert_count * sizeof(struct insert);
}

/* Sends once: how many bytes the socket took (0 when it is full), or -errno. */
static ssize_t send_some(struct connection *c, const char *data, size_t len) {
	ssize_t n = socket_send(c->fd, data, len);
	if (__builtin_expect(n < 0, 0)) {
		if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)
			return 0;
		return -errno;
	}
	counter_add(&c->worker->counters.output_bytes, (uint64_t)n);
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
	list_init(&c->output->inserts);
	return 0;
}

/* Forgets the bytes that were sent, where that pays. */
static void compact(struct output *o) {
	if (o->sent <= o->bytes.len / 2)
		return;
	buffer_consume(&o->bytes, o->sent);
	list_for_each (node, &o->inserts)
		list_entry(node, struct insert, link)->at -= o->sent;
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
	if (n > 0)
		connection_touch(c);
	return 0;
}

/* Sends a piece of what is to be sent before byte insert->at. 0, also where the socket took less; 1: it took it all;
 * -errno. */
static int send_insert(struct connection *c, struct insert *in) {
	struct output *o = c->output;
	size_t most = in->rest.len < PIECE ? in->rest.len : PIECE;
	ssize_t n = send_some(c, in->rest.data, most);
	if (n < 0)
		return (int)n;
	if (n > 0)
		connection_touch(c);
	in->rest.data += n;
	in->rest.len -= (size_t)n;
	o->shared_bytes -= in->shared != NULL ? (size_t)n : 0;
	if (in->rest.len > 0)
		return 0;
	end_insert(o, in);
	return 1;
}

/* Sends once of what is held, and of what is pinned or shared a piece: then the others come, and the client behind
 * them, as the greedy do. 0 or -errno. */
static int send_held(struct connection *c) {
	struct output *o = c->output;
	struct insert *in = first_insert(o);
	if (__builtin_expect(in == NULL, 1))
		return send_bytes(c, o->bytes.len);
	int r = send_bytes(c, in->at);
	if (r < 0 || o->sent < in->at)
		return r;
	c->greedy = c->greedy > 0 ? c->greedy : 1;
	r = send_insert(c, in);
	if (r <= 0)
		return r;
	in = first_insert(o);
	return send_bytes(c, in == NULL ? o->bytes.len : in->at);
}

static bool is_sent(const struct output *o) {
	return o->sent == o->bytes.len && list_empty(&o->inserts);
}

void output_serialize(const struct connection *c, struct serializer *out, const char *name) {
	const struct output *o = c->output;
	if (o == NULL)
		return;
	size_t begin = serialize_begin(out, name), at = o->sent;
	for (const struct list *node = o->inserts.next; node != &o->inserts; node = node->next) {
		const struct insert *in = list_entry(node, struct insert, link);
		serialize_piece(out, (struct slice){o->bytes.data + at, in->at - at});
		if (in->shared != NULL)
			serialize_piece(out, in->rest);
		at = in->at;
	}
	serialize_piece(out, (struct slice){o->bytes.data + at, o->bytes.len - at});
	serialize_end(out, begin);
}

struct pinned_record {
	uint64_t at, block, offset, length; /* at: in the unsent bytes; the rest: struct pin_place */
};

#define NUMBER(authenticated, most) \
	{ #authenticated, FIELD_NUMBER, offsetof(struct pinned_record, authenticated), most, 0 }

static const struct field pinned_fields[] = {
	NUMBER(at, SIZE_MAX),
	NUMBER(block, UINT32_MAX),
	NUMBER(offset, UINT64_MAX),
	NUMBER(length, UINT64_MAX),
};
#define PINNED_FIELDS (sizeof(pinned_fields) / sizeof(pinned_fields[0]))

#undef NUMBER

void output_serialize_pinned(const struct connection *c, struct serializer *out, const char *name) {
	const struct output *o = c->output;
	if (o == NULL || o->pinned == NULL)
		return;
	struct pin_place place = pin_place(o->pinned->pin, o->pinned->rest);
	struct pinned_record r = {o->pinned->at - o->sent, place.block, place.offset, place.length};
	for (const struct list *node = o->inserts.next; node != &o->pinned->link; node = node->next)
		r.at += list_entry(node, struct insert, link)->rest.len;
	size_t begin = serialize_begin(out, name);
	serialize_record(out, pinned_fields, PINNED_FIELDS, &r);
	serialize_end(out, begin);
}

static bool is_over_limit(const struct connection *c) {
	uint64_t most = c->worker->env.settings.output_buffer;
	return most != 0 && unread(c) > most;
}

static int check_limit(struct connection *c) {
	if (!is_over_limit(c))
		return 0;
	counter_add(&c->worker->counters.output_limit, 1);
	connection_report(c, LOG_EVENT_OUTPUT_LIMIT, (struct slice){0}, NULL);
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
	if (is_sent(o)) {
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

/* Puts bytes from elsewhere behind those that are held. Pin and holding are taken over, also on failure. */
static struct insert *insert(struct connection *c, struct slice bytes, struct pin *pin, struct shared *shared) {
	struct output *o = c->output;
	struct insert *in = malloc(sizeof(*in));
	if (in == NULL) {
		pin_release(pin);
		shared_buffer_release(shared);
		return NULL;
	}
	*in = (struct insert){.at = o->bytes.len, .rest = bytes, .pin = pin, .shared = shared};
	list_push_back(&o->inserts, &in->link);
	o->insert_count++;
	o->shared_bytes += shared != NULL ? bytes.len : 0;
	return in;
}

int output_pin(struct connection *c, struct pinned pinned) {
	struct worker *w = c->worker;
	output_send_replies(w);
	int r = hold(c, w->output_begin);
	empty(w);
	if (r < 0) {
		pin_release(pinned.pin);
		return r;
	}
	struct output *o = c->output;
	assert(o->pinned == NULL);
	o->pinned = insert(c, pinned.bytes, pinned.pin, NULL);
	if (o->pinned == NULL)
		return -ENOMEM;
	return buffer_append(&o->bytes, "\r\n", 2, SIZE_MAX);
}

int output_deserialize_pinned(struct connection *c, struct slice record) {
	struct output *o = c->output;
	struct pinned_record r;
	struct slice bytes;
	int error = deserialize_record(record, pinned_fields, PINNED_FIELDS, &r);
	if (error < 0)
		return error;
	/* CRLF at least comes behind it. */
	if (o == NULL || r.at >= o->bytes.len || c->session.tenant == NULL)
		return ATOMDB_E_FORMAT;
	const struct pin_place place = {.block = (uint32_t)r.block, .offset = r.offset, .length = r.length};
	struct pin *pin = pin_claim(c->session.tenant, &place, &bytes);
	if (pin == NULL)
		return ATOMDB_E_FORMAT;
	o->pinned = insert(c, bytes, pin, NULL);
	if (o->pinned == NULL)
		return -ENOMEM;
	o->pinned->at = (size_t)r.at;
	return 0;
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

/* Makes the connection ready for bytes that are not a reply to a command; NULL: it gets no more. */
static struct output *begin_push(struct connection *c) {
	struct worker *w = c->worker;
	if (c->flags & (CONNECTION_FINISHED | CONNECTION_OVERRUN))
		return NULL;
	/* What it is told comes behind its replies. */
	if (c->flags & CONNECTION_REPLIED)
		output_send_replies(w);
	/* A message that is lost must be known to the client, and this is how. */
	if (c->output == NULL && make_output(c) < 0) {
		connection_overrun(c);
		return NULL;
	}
	if (!list_linked(&c->output->push))
		list_push_back(&w->pushed, &c->output->push);
	compact(c->output);
	return c->output;
}

/* Sends large output early, and closes a client that does not take it. */
static void end_push(struct connection *c, uint64_t before) {
	if (unread(c) > PUSH_EARLY)
		(void)send_held(c);
	if (check_limit(c) < 0)
		connection_overrun(c);
	else if (output_memory(c->output) > before && connection_charge_later(c) < 0)
		connection_evict(c);
}

void output_push(struct connection *c, struct slice bytes) {
	struct output *o = begin_push(c);
	if (o == NULL)
		return;
	uint64_t before = output_memory(o);
	if (buffer_append(&o->bytes, bytes.data, bytes.len, SIZE_MAX) < 0)
		connection_overrun(c);
	else
		end_push(c, before);
}

void output_push_shared(struct connection *c, struct slice head, struct shared *shared) {
	struct output *o = begin_push(c);
	if (o == NULL)
		return;
	uint64_t before = output_memory(o);
	if (buffer_append(&o->bytes, head.data, head.len, SIZE_MAX) < 0 ||
	    insert(c, buffer_slice(&shared->bytes), NULL, shared_buffer_hold(shared)) == NULL)
		connection_overrun(c);
	else
		end_push(c, before);
}

int output_unshare(struct connection *c) {
	struct output *o = c->output;
	struct buffer all;
	if (o == NULL || o->shared_bytes == 0)
		return 0;
	assert(o->pinned == NULL);
	buffer_init(&all);
	size_t at = o->sent;
	int error = 0;
	for (struct insert *in = first_insert(o); in != NULL && error == 0; in = first_insert(o)) {
		error = buffer_append(&all, o->bytes.data + at, in->at - at, SIZE_MAX);
		if (error == 0)
			error = buffer_append(&all, in->rest.data, in->rest.len, SIZE_MAX);
		at = in->at;
		end_insert(o, in);
	}
	if (error == 0)
		error = buffer_append(&all, o->bytes.data + at, o->bytes.len - at, SIZE_MAX);
	buffer_deinit(&o->bytes);
	o->bytes = all;
	o->sent = 0;
	return error;
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
