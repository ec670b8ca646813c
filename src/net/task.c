#include "net/task.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "atomdb/dispatch/transaction.h"
#include "atomdb/store/shard.h"
#include "atomdb/store/tenant.h"
#include "atomdb/util/heap.h"
#include "net/connection.h"
#include "net/pending.h"
#include "net/worker.h"

/* Bytes of a header of RESP at most. */
#define HEADER 32

struct task *task_of(const struct connection *c) {
	struct task *k = c->session.tenant == NULL ? NULL : c->session.tenant->clients.task;
	return k != NULL && k->connection == c ? k : NULL;
}

/* --- the arguments ----------------------------------------------------------------------------------------------- */

/* Returns whether the arguments are in the connection's pending input. That does not move, while the worker's input is
 * overwritten. */
static bool are_pending(const struct connection *c, const struct request *r) {
	const struct buffer *b = c->pending == NULL ? NULL : &c->pending->bytes;
	return b != NULL && b->data != NULL && (uintptr_t)r->argv[0].data - (uintptr_t)b->data < b->len;
}

/* Returns whether the slices can be taken over from the worker's reader instead of being copied. */
static bool are_readers(const struct connection *c, const struct request *r) {
	return r->argc > WORKER_SLOTS && r->argv == c->worker->reader.argv;
}

/* Copies the slices, and their bytes if `with_bytes`. Returns 0 or -ENOMEM. */
static int copy_arguments(struct task *k, const struct request *r, bool with_bytes) {
	size_t bytes = r->argc * sizeof(*r->argv);
	for (uint32_t i = 0; i < r->argc && with_bytes; i++)
		bytes += r->argv[i].len;
	k->argv = heap_resize(NULL, 0, bytes);
	if (k->argv == NULL)
		return -ENOMEM;
	k->argv_bytes = bytes;
	char *text = (char *)&k->argv[r->argc];
	for (uint32_t i = 0; i < r->argc; i++) {
		k->argv[i] = r->argv[i];
		if (!with_bytes)
			continue;
		k->argv[i].data = text;
		if (r->argv[i].len > 0)
			memcpy(text, r->argv[i].data, r->argv[i].len);
		text += r->argv[i].len;
	}
	k->request.argv = k->argv;
	if (r->hashed != 0)
		k->request.key.name = k->argv[r->command->first_key];
	return 0;
}

static int take_request(struct task *k, const struct request *r) {
	k->request = *r;
	k->request.bucket = NULL;
	k->request.entry = NULL;
	bool pending = are_pending(k->connection, r);
	return pending && are_readers(k->connection, r) ? 0 : copy_arguments(k, r, !pending);
}

void task_own_arguments(struct task *k) {
	struct connection *c = k->connection;
	struct reader *reader = &k->worker->reader;
	if (are_pending(c, &k->request)) {
		k->input = c->pending->bytes;
		buffer_init(&c->pending->bytes);
	}
	if (k->argv != NULL)
		return;
	assert(k->request.argv == reader->argv);
	k->argv = reader->argv;
	k->argv_bytes = reader->cap * sizeof(*reader->argv);
	reader->argv = NULL;
	reader->argc = reader->cap = 0;
}

static int append_header(struct buffer *b, char kind, size_t n) {
	char header[HEADER];
	int length = snprintf(header, sizeof(header), "%c%zu\r\n", kind, n);
	return buffer_append(b, header, (size_t)length, SIZE_MAX);
}

static int append_argument(struct buffer *b, struct slice argument) {
	int error = append_header(b, '$', argument.len);
	if (error == 0)
		error = buffer_append(b, argument.data, argument.len, SIZE_MAX);
	return error != 0 ? error : buffer_append(b, "\r\n", 2, SIZE_MAX);
}

int task_put_back(struct task *k) {
	struct buffer *pending = &k->connection->pending->bytes;
	struct buffer all;
	buffer_init(&all);
	int error = append_header(&all, '*', k->request.argc);
	for (uint32_t i = 0; i < k->request.argc && error == 0; i++)
		error = append_argument(&all, k->request.argv[i]);
	if (error == 0 && pending->len > 0)
		error = buffer_append(&all, pending->data, pending->len, SIZE_MAX);
	if (error != 0) {
		buffer_deinit(&all);
		return -ENOMEM;
	}
	buffer_deinit(pending);
	*pending = all;
	return 0;
}

/* --- the reply --------------------------------------------------------------------------------------------------- */

void task_take_reply(struct task *k) {
	struct worker *w = k->worker;
	struct writer *to = &w->writer;
	to->muted = k->writer.muted;
	to->protocol = k->writer.protocol;
	to->errors += k->writer.errors;
	memcpy(to->code, k->writer.code, sizeof(to->code));
	if (k->writer.failed) {
		to->failed = true;
		/* The limit tells whether the reply or the client's memory was too large. */
		size_t begin = w->output_begin;
		to->limit = k->writer.limit < SIZE_MAX - begin ? begin + k->writer.limit : SIZE_MAX;
	} else if (w->output.len == 0 && k->out.len > w->output.cap) {
		struct buffer output = w->output;
		w->output = k->out;
		k->out = output;
	} else if (k->out.len > 0 && buffer_append(&w->output, k->out.data, k->out.len, SIZE_MAX) < 0) {
		to->failed = true;
	}
	w->env.pinned = k->pinned;
	k->pinned = (struct pinned){0};
}

/* --- the whole --------------------------------------------------------------------------------------------------- */

struct task *task_new_sender(struct worker *w, struct tenant *t) {
	struct task *k = calloc(1, sizeof(*k));
	if (k == NULL)
		return NULL;
	list_init(&k->link);
	list_init(&k->waiting);
	list_init(&k->closing);
	list_init(&k->pushed);
	buffer_init(&k->input);
	buffer_init(&k->out);
	buffer_init(&k->scratch);
	k->last = &k->messages;
	k->worker = w;
	k->number = ++w->task_number;
	k->tenant = t;
	k->begin_ns = w->env.now_ns;
	k->fiber = fiber_take(&w->fibers);
	if (k->fiber == NULL) {
		task_free(k);
		return NULL;
	}
	k->now_ms = shard_now(t->shard);
	t->clients.task = k;
	return k;
}

struct task *task_new(struct connection *c, const struct request *r) {
	struct task *k = task_new_sender(c->worker, c->session.tenant);
	if (k == NULL)
		return NULL;
	k->connection = c;
	k->database = c->session.database;
	if (take_request(k, r) < 0) {
		k->tenant->clients.task = NULL;
		task_free(k);
		return NULL;
	}
	return k;
}

void task_free(struct task *k) {
	if (k->fiber != NULL)
		fiber_put(&k->worker->fibers, k->fiber);
	assert(list_empty(&k->waiting) && list_empty(&k->closing) && list_empty(&k->pushed) && k->messages == NULL);
	heap_free(k->argv, k->argv_bytes);
	buffer_deinit(&k->input);
	buffer_deinit(&k->out);
	buffer_deinit(&k->scratch);
	pin_release(k->pinned.pin);
	free(k);
}

uint64_t task_memory(const struct task *k) {
	return sizeof(*k) + k->argv_bytes + k->input.cap + k->charged;
}

bool task_only_reads(const struct task *k) {
	const struct command *c = k->request.command;
	if (c == NULL)
		return false;
	return (c->flags & CMD_READONLY) ||
	       ((c->flags & CMD_RUNS_QUEUE) && transaction_only_reads(&k->connection->session));
}

void task_cancel_reply(struct task *k) {
	k->writer.muted = true;
	if (task_only_reads(k))
		k->fiber->cancelled = k->writer.failed = true;
}

void task_end_reader(struct task *k) {
	assert(task_only_reads(k));
	k->ended = true;
	k->muted = k->writer.muted;
	k->fiber->cancelled = k->writer.failed = true;
}

void task_cancel(struct task *k) {
	task_cancel_reply(k);
	k->fiber->cancelled = true;
}

void task_hold_message(struct task *k, struct message *m) {
	m->next = NULL;
	*k->last = m;
	k->last = &m->next;
}
