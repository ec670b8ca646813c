/* Replies on their way to the socket.
 *
 * The worker's output buffer holds the replies of a batch, and sends them from there. Replies that the socket does not
 * take are copied to a buffer of the connection; if they are large, the two exchange buffers instead. A large value is
 * in neither buffer: it is pinned, and each turn sends a piece of it from the store. A large message to several clients
 * is in neither buffer: the clients share it.
 *
 *   bytes:  | sent | ...$100000000\r\n | \r\n ... |
 *                                      ^ insert->at: here the value belongs
 *
 *   output:  | replies of A | of B | of C, being served ...
 *                                  ^ output_begin
 *
 * Small replies to several clients are collected there and sent together: most of the cost of a reply is the wakeup of
 * the receiving process, which is awake for the second one. */
#include "net/output.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "atomdb/store/tenant.h"
#include "atomdb/util/error.h"
#include "net/connection.h"
#include "net/report.h"
#include "net/task.h"
#include "net/worker.h"

/* A client with more unsent replies is not served. A client may write a long pipeline before it reads: this, with the
 * kernel's buffers, limits the length of its replies. */
#define BACKLOG_AUTHENTICATED ((size_t)1 << 20)
/* Most bytes of replies that are collected, and the time before the next client is served, in clock_ticks: some tens of
 * microseconds. */
#define GATHERED_MOST  ((size_t)64 << 10)
#define GATHERED_TICKS ((uint64_t)1 << 17)
/* Bytes that are sent at once: the kernel takes some tenths of a millisecond for them. */
#define SEND_MOST ((size_t)1 << 20)
/* Bytes of an insert that one turn sends: the kernel takes a tenth of a millisecond or two for them. */
#define PIECE ((size_t)256 << 10)

/* An output of so many bytes is freed as it is sent, in multiples of the page size of any machine. */
#define LARGE ((size_t)4 << 20)
#define PAGE  ((size_t)64 << 10)

static struct insert *first_insert(const struct output *o) {
	return list_empty(&o->inserts) ? NULL : list_entry(o->inserts.next, struct insert, link);
}

/* Returns the unsent bytes without inserts. */
static size_t own_bytes(const struct connection *c) {
	return c->output == NULL ? 0 : c->output->bytes.len - c->output->sent;
}

size_t output_unread(const struct connection *c) {
	return c->output == NULL ? 0 : own_bytes(c) + c->output->shared_bytes;
}

size_t output_unsent(const struct connection *c) {
	const struct insert *pinned = c->output == NULL ? NULL : c->output->pinned;
	return output_unread(c) + (pinned != NULL ? pinned->rest.len : 0);
}

static __attribute__((cold, noinline)) bool is_held(const struct connection *c) {
	const struct task *k = c->session.tenant == NULL ? NULL : c->session.tenant->clients.task;
	return k != NULL && k->number == c->output->held;
}

bool output_is_held(const struct connection *c) {
	return __builtin_expect(c->output != NULL, 0) && c->output->held != 0 && is_held(c);
}

bool output_is_behind(const struct connection *c) {
	if (__builtin_expect(c->output == NULL, 1))
		return false;
	return output_unsent(c) > (c->session.tenant != NULL ? BACKLOG_AUTHENTICATED : 0) || c->output->pinned != NULL;
}

size_t output_limit(const struct connection *c) {
	uint64_t most = c->worker->env.settings.output_buffer;
	size_t unsent = output_unread(c);
	if (most == 0)
		return SIZE_MAX;
	return c->worker->output_begin + (most > unsent ? (size_t)most - unsent : 0);
}

size_t output_free_limit(const struct connection *c) {
	size_t most = output_limit(c), begin = c->worker->output_begin;
	return most - begin < OUTPUT_KEPT ? most : begin + OUTPUT_KEPT;
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

/* Sends once. Returns the number of bytes that the socket took, 0 if it is full, or -errno. */
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

static size_t at_most(size_t len) {
	return len < SEND_MOST ? len : SEND_MOST;
}

static void empty(struct worker *w) {
	if (w->output.cap > OUTPUT_KEPT)
		buffer_deinit(&w->output);
	w->output.len = w->output_begin = 0;
}

int output_make(struct connection *c) {
	c->output = calloc(1, sizeof(*c->output));
	if (c->output == NULL)
		return -ENOMEM;
	c->output->connection = c;
	list_init(&c->output->push);
	list_init(&c->output->inserts);
	return 0;
}

void output_compact(struct output *o, size_t more) {
	/* The sent bytes of a large buffer take no memory: see give_back(). */
	bool in_place = o->bytes.cap > LARGE && more <= o->bytes.cap - o->bytes.len;
	if (o->sent <= o->bytes.len / 2 || in_place)
		return;
	size_t removed = buffer_drop_front(&o->bytes, o->sent);
	if (removed == 0)
		buffer_consume(&o->bytes, removed = o->sent);
	o->held_at -= o->held != 0 ? removed : 0;
	list_for_each (node, &o->inserts)
		list_entry(node, struct insert, link)->at -= removed;
	o->sent -= removed;
}

/* Holds the worker's output from byte `from` on. Returns 0 or -ENOMEM. */
static int hold(struct connection *c, size_t from) {
	struct buffer *fresh = &c->worker->output;
	if (c->output == NULL) {
		int r = output_make(c);
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
	output_compact(o, fresh->len - from);
	return buffer_append(&o->bytes, fresh->data + from, fresh->len - from, SIZE_MAX);
}

/* Gives the pages of bytes that were sent back to the kernel, so that freeing a large output takes no time. */
static void give_back(const struct buffer *b, size_t from, size_t to) {
	const uintptr_t first = ((uintptr_t)b->data + PAGE - 1) & ~(PAGE - 1);
	uintptr_t begin = ((uintptr_t)b->data + from) & ~(PAGE - 1), end = ((uintptr_t)b->data + to) & ~(PAGE - 1);
	begin = begin < first ? first : begin;
	if (b->cap > LARGE && begin < end)
		(void)madvise((void *)begin, end - begin, MADV_DONTNEED);
}

/* Sends the held bytes up to `end` once. Returns 0 or -errno. */
static int send_bytes(struct connection *c, size_t end) {
	struct output *o = c->output;
	if (o->sent == end)
		return 0;
	ssize_t n = send_some(c, o->bytes.data + o->sent, at_most(end - o->sent));
	if (n < 0)
		return (int)n;
	give_back(&o->bytes, o->sent, o->sent + (size_t)n);
	o->sent += (size_t)n;
	if (n > 0)
		connection_touch(c);
	return 0;
}

/* Sends a piece of an insert. Returns 1 if it is complete, 0 if bytes are left, or -errno. */
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

void output_hold_back(struct output *o, uint64_t task) {
	o->held = task;
	o->held_at = o->bytes.len;
	o->held_inserts = o->insert_count;
}

void output_take_back(struct output *o) {
	while (o->insert_count > o->held_inserts)
		end_insert(o, list_entry(o->inserts.prev, struct insert, link));
	o->bytes.len = o->held_at;
	o->held = 0;
}

/* In the next turn a client with an insert is served behind the others, like a greedy one. */
int output_send_held(struct connection *c) {
	struct output *o = c->output;
	struct insert *in = first_insert(o);
	if (__builtin_expect(output_is_held(c), 0))
		return 0;
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
	uint64_t at, block, offset, length; /* at: offset in the unsent bytes; the other fields: struct pin_place */
};

#define NUMBER(name, most) \
	{ #name, FIELD_NUMBER, offsetof(struct pinned_record, name), most, 0 }

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
	return most != 0 && output_unread(c) > most;
}

int output_check_limit(struct connection *c) {
	if (!is_over_limit(c))
		return 0;
	counter_add(&c->worker->counters.output_limit, 1);
	report_event(c, LOG_EVENT_OUTPUT_LIMIT, (struct slice){0}, NULL);
	return ATOMDB_E_RANGE;
}

/* Flushes a client that has an output: the new replies follow the held bytes. */
static int flush_held(struct connection *c) {
	struct buffer *fresh = &c->worker->output;
	size_t begin = c->worker->output_begin;
	int r = fresh->len > begin ? hold(c, begin) : 0;
	empty(c->worker);
	if (r < 0)
		return r;
	struct output *o = c->output;
	r = output_send_held(c);
	if (r < 0)
		return r;
	if (is_sent(o)) {
		output_drop(c);
		return 0;
	}
	return output_check_limit(c);
}

int output_flush(struct connection *c) {
	struct worker *w = c->worker;
	struct buffer *fresh = &w->output;
	output_send_replies(w);
	if (c->output != NULL)
		return flush_held(c);
	size_t begin = w->output_begin, len = fresh->len - begin;
	ssize_t n = len == 0 ? 0 : send_some(c, fresh->data + begin, at_most(len));
	int r = n < 0 ? (int)n : 0;
	if (__builtin_expect(n >= 0 && (size_t)n < len, 0)) {
		r = hold(c, begin + (size_t)n);
		if (r == 0)
			r = output_check_limit(c);
	}
	empty(w);
	return r;
}

struct insert *output_insert(struct connection *c, struct slice bytes, struct pin *pin, struct shared *shared) {
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
	o->pinned = output_insert(c, pinned.bytes, pinned.pin, NULL);
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
	/* At least CRLF follows the value. */
	if (o == NULL || r.at >= o->bytes.len || c->session.tenant == NULL)
		return ATOMDB_E_FORMAT;
	const struct pin_place place = {.block = (uint32_t)r.block, .offset = r.offset, .length = r.length};
	struct pin *pin = pin_claim(c->session.tenant, &place, &bytes);
	if (pin == NULL)
		return ATOMDB_E_FORMAT;
	o->pinned = output_insert(c, bytes, pin, NULL);
	if (o->pinned == NULL)
		return -ENOMEM;
	o->pinned->at = (size_t)r.at;
	return 0;
}

static void queue_tenant(struct worker *w, struct tenant *t) {
	if (!list_linked(&t->clients.pushing))
		list_push_back(&w->pushing, &t->clients.pushing);
}

void output_queue(struct connection *c) {
	struct tenant *t = c->session.tenant;
	list_push_back(t != NULL ? &t->clients.pushed : &c->worker->pushed, &c->output->push);
	c->worker->end_work = true;
	if (t != NULL)
		queue_tenant(c->worker, t);
}

void output_queue_all(struct worker *w, struct tenant *t, struct list *outputs) {
	if (list_empty(outputs))
		return;
	list_move_all(&t->clients.pushed, outputs);
	w->end_work = true;
	queue_tenant(w, t);
}

void output_leave(struct connection *c) {
	struct tenant *t = c->session.tenant;
	if (c->output != NULL && list_linked(&c->output->push)) {
		list_remove(&c->output->push);
		list_push_back(&c->worker->pushed, &c->output->push);
		c->worker->end_work = true;
	}
	if (list_empty(&t->clients.pushed))
		list_remove(&t->clients.pushing);
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

/* Holds the rest of a reply until the end of the turn. If the socket failed, epoll reports it, and the worker closes
 * the connection then. */
static void keep_reply(struct connection *c, struct slice rest, ssize_t sent) {
	if (sent < 0 || output_hold(c, rest) < 0)
		shutdown(c->fd, SHUT_RDWR);
	else
		output_queue(c);
}

void output_send_replies(struct worker *w) {
	struct tenant *served = w->cpu.tenant;
	if (w->reply_count == 0)
		return;
	cpu_time_leave(&w->cpu);
	for (struct reply *r = w->replies; r < w->replies + w->reply_count; r++) {
		const char *data = w->output.data + r->at;
		r->connection->flags &= (uint16_t)~CONNECTION_REPLIED;
		cpu_time_enter(&w->cpu, r->connection->session.tenant);
		ssize_t n = send_some(r->connection, data, r->len);
		size_t sent = n > 0 ? (size_t)n : 0;
		if (__builtin_expect(sent != r->len, 0))
			keep_reply(r->connection, (struct slice){data + sent, r->len - sent}, n);
		cpu_time_leave(&w->cpu);
	}
	w->reply_count = 0;
	cpu_time_enter(&w->cpu, served);
}

void output_end_replies(struct worker *w) {
	if (w->reply_count == 0)
		return;
	output_send_replies(w);
	empty(w);
}

int output_hold(struct connection *c, struct slice bytes) {
	int r = output_make(c);
	return r < 0 ? r : buffer_append(&c->output->bytes, bytes.data, bytes.len, SIZE_MAX);
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
