#include "atomdb/dispatch/transaction.h"

#include <stdlib.h>

#include "atomdb/events/monitor.h"
#include "atomdb/events/tracking.h"
#include "atomdb/session/client_memory.h"
#include "atomdb/session/reply.h"
#include "atomdb/session/tenant_stats.h"
#include "atomdb/store/shard.h"
#include "atomdb/store/tenant.h"
#include "atomdb/store/undo.h"
#include "atomdb/store/walk.h"
#include "atomdb/util/error.h"
#include "atomdb/util/fiber.h"
#include "atomdb/util/glob.h"

/* Entries that the shard processes at once, if a queued command must wait for it. */
#define CATCH_UP 4096
/* Queued commands that are freed between two check points. */
#define CHECK_FREED 64
/* Steps of pattern matching for all commands of a transaction together. */
#define PATTERN_WORK (16 * GLOB_WORK)

/* Copied arguments between two check points. */
#define CHECK_ARGUMENTS 256
/* A transaction with more bytes of queued commands is long, whatever these are. */
#define LONG_BYTES ((uint64_t)64 << 10)

/* A command with its arguments, in one block. */
struct queued {
	struct queued *next;
	const struct command *command;
	size_t bytes; /* bytes of the block */
	uint32_t argc;
	struct slice argv[];
};

struct transaction {
	struct queued *first; /* owned */
	struct queued **last; /* end of the list */
	uint64_t count;
	uint64_t bytes; /* bytes charged */
	uint32_t flags; /* enum command_flag: of all commands together */
	bool keyless;   /* a command has no keys: it may read a whole database */
	bool changes;   /* a command does more than reading keys */
	bool lasts;     /* a command that has run may have changed a session or the server */
};

static struct transaction *transaction_of(const struct session *s) {
	return s->subscriber == NULL ? NULL : s->subscriber->transaction;
}

int64_t transaction_length(const struct session *s) {
	const struct transaction *x = transaction_of(s);
	return x == NULL ? -1 : (int64_t)x->count;
}

uint64_t transaction_memory(const struct session *s) {
	const struct transaction *x = transaction_of(s);
	return x == NULL ? 0 : x->bytes;
}

bool transaction_writes(const struct session *s) {
	const struct transaction *x = transaction_of(s);
	return x != NULL && (x->flags & (CMD_WRITE | CMD_PUBSUB)) != 0;
}

bool transaction_only_reads(const struct session *s) {
	const struct transaction *x = transaction_of(s);
	return x != NULL && !x->changes;
}

bool transaction_is_repeatable(const struct session *s) {
	const struct transaction *x = transaction_of(s);
	return x != NULL && !x->lasts;
}

/* Returns whether the command may change a session or the server. Scripts may call none of these commands. */
static bool may_change_sessions(const struct command *c) {
	return (c->flags & CMD_NOSCRIPT) && !(c->flags & (CMD_READONLY | CMD_WRITE | CMD_MAY_WRITE));
}

static size_t queued_size(const struct request *r) {
	size_t bytes = sizeof(struct queued) + r->argc * sizeof(struct slice);
	for (uint32_t i = 0; i < r->argc; i++)
		bytes += r->argv[i].len;
	return bytes;
}

/* Copies a command. Returns NULL if there is no room. */
static struct queued *queued_new(struct session *s, const struct request *r) {
	size_t bytes = queued_size(r), work = 0;
	struct queued *k = client_memory_alloc(s, bytes);
	if (k == NULL)
		return NULL;
	*k = (struct queued){.command = r->command, .bytes = bytes, .argc = r->argc};
	char *text = (char *)&k->argv[r->argc];
	for (uint32_t i = 0; i < r->argc; i++) {
		k->argv[i] = (struct slice){text, r->argv[i].len};
		if (r->argv[i].len != 0)
			fiber_copy(text, r->argv[i].data, r->argv[i].len);
		(void)fiber_check_every(&work, 1, CHECK_ARGUMENTS);
		text += r->argv[i].len;
	}
	return k;
}

static void queued_free(struct session *s, struct queued *k) {
	size_t bytes = k->bytes;
	if (k->command->is_secret != NULL)
		explicit_bzero(k, bytes);
	client_memory_free(s, k, bytes);
}

bool transaction_is_long(const struct session *s) {
	const struct transaction *x = transaction_of(s);
	if (x != NULL && x->bytes > LONG_BYTES)
		return true;
	for (const struct queued *k = x == NULL ? NULL : x->first; k != NULL; k = k->next) {
		struct request r = {.argv = k->argv, .argc = k->argc, .command = k->command};
		if (command_is_long(s, &r))
			return true;
	}
	return false;
}

/* Frees the first command. */
static void free_first(struct session *s, struct transaction *x) {
	struct queued *k = x->first;
	x->first = k->next;
	if (x->first == NULL)
		x->last = &x->first;
	x->count--;
	x->bytes -= k->bytes;
	queued_free(s, k);
}

bool transaction_shed(struct session *s, unsigned units) {
	struct transaction *x = transaction_of(s);
	if (x == NULL)
		return false;
	for (; units > 0 && x->first != NULL; units--)
		free_first(s, x);
	return x->first != NULL;
}

void transaction_end(struct session *s) {
	struct transaction *x = transaction_of(s);
	size_t work = 0;
	s->flags &= ~(uint32_t)(SESSION_MULTI | SESSION_EXECUTING | SESSION_DIRTY_QUEUE | SESSION_DIRTY_KEYS);
	if (x == NULL)
		return;
	for (; x->first != NULL; (void)fiber_check_every(&work, 1, CHECK_FREED))
		free_first(s, x);
	s->subscriber->transaction = NULL;
	client_memory_free(s, x, sizeof(*x));
}

int transaction_begin(struct session *s) {
	struct transaction *x = NULL;
	if (subscriber_open(s) < 0 || (x = client_memory_alloc(s, sizeof(*x))) == NULL)
		return ATOMDB_E_OOM;
	x->last = &x->first;
	x->bytes = sizeof(*x);
	s->subscriber->transaction = x;
	s->flags |= SESSION_MULTI;
	return 0;
}

/* Returns 0 or ATOMDB_E_OOM. */
static int append(struct session *s, const struct request *r) {
	struct transaction *x = transaction_of(s);
	struct queued *k = queued_new(s, r);
	if (k == NULL)
		return ATOMDB_E_OOM;
	*x->last = k;
	x->last = &k->next;
	x->count++;
	x->bytes += k->bytes;
	x->flags |= k->command->flags;
	x->keyless |= k->command->first_key == 0;
	x->changes |= !(k->command->flags & CMD_READONLY);
	return 0;
}

int transaction_queue(struct session *s, const struct request *r) {
	if (r->command->is_secret != NULL)
		s->flags |= SESSION_SECRET;
	/* A transaction that will fail holds no memory. */
	if (s->flags & (SESSION_DIRTY_QUEUE | SESSION_DIRTY_KEYS))
		return 0;
	int error = append(s, r);
	if (error < 0)
		s->flags |= SESSION_DIRTY_QUEUE;
	return error;
}

bool transaction_must_wait(const struct session *s) {
	uint64_t keys;
	if (!transaction_of(s)->keyless)
		return false;
	for (unsigned i = 0; i < TENANT_DATABASES; i++) {
		if (keyspace_size(s->tenant, i, &keys, NULL) == ATOMDB_E_AGAIN)
			return true;
	}
	return false;
}

static void run_all(struct session *s, struct transaction *x) {
	uint64_t ticks = environment_ticks(s->env);
	for (const struct queued *k = x->first; k != NULL; k = k->next) {
		/* The other commands still run, although their replies are not sent. */
		if (s->reply->failed && (k->command->flags & CMD_READONLY))
			continue;
		struct request r = {.argv = k->argv, .argc = k->argc, .command = k->command};
		x->lasts |= may_change_sessions(k->command);
		while (monitor_run(s, &r, &ticks) == OUTCOME_RETRY)
			shard_expire(s->tenant->shard, CATCH_UP);
		if (s->flags & SESSION_TRACKING)
			tracking_remember(s, &r);
		(void)fiber_check();
	}
}

void transaction_run(struct session *s) {
	struct transaction *x = transaction_of(s);
	struct shard *shard = s->tenant->shard;
	s->flags |= SESSION_EXECUTING;
	s->env->pattern_work = PATTERN_WORK;
	keyspace_begin_transaction(shard, x->bytes);
	run_all(s, x);
	keyspace_commit(shard);
	/* One of the commands may have been CLIENT PAUSE. */
	shard_hold_expired(s->tenant, s->tenant->clients.pause_end_ms);
	transaction_end(s);
	/* One of the commands may have been CLIENT REPLY OFF. */
	s->reply->muted |= (s->flags & SESSION_REPLY_OFF) != 0;
}

/* --- hand-over to the next process ------------------------------------------------------------------------------ */

void transaction_serialize(const struct session *s, struct serializer *out, const char *name) {
	if (!(s->flags & SESSION_MULTI))
		return;
	size_t begin = serialize_begin(out, name);
	for (const struct queued *k = transaction_of(s)->first; k != NULL; k = k->next) {
		size_t command = serialize_begin(out, SERIALIZE_ELEMENT);
		for (uint32_t i = 0; i < k->argc; i++)
			serialize_bytes(out, SERIALIZE_ELEMENT, k->argv[i]);
		serialize_end(out, command);
	}
	serialize_end(out, begin);
}

/* Returns the number of arguments of a command, at least 1, or ATOMDB_E_FORMAT. */
static int64_t count_arguments(struct slice command) {
	struct slice argument;
	int64_t count = 0;
	int found;
	while ((found = deserialize_element(&command, &argument)) > 0)
		count++;
	return found < 0 || count == 0 || count > UINT32_MAX ? ATOMDB_E_FORMAT : count;
}

/* Queues one command. If this release does not know it, or has another arity for it, EXEC fails. */
static int deserialize_queued(struct session *s, struct slice command) {
	int64_t argc = count_arguments(command);
	if (argc < 0)
		return ATOMDB_E_FORMAT;
	struct slice *argv = calloc((size_t)argc, sizeof(*argv));
	if (argv == NULL)
		return ATOMDB_E_OOM;
	for (int64_t i = 0; i < argc; i++)
		(void)deserialize_element(&command, &argv[i]);
	struct request r = {.argv = argv, .argc = (uint32_t)argc};
	int error = 0;
	r.command = command_find_arguments(s->env->command_set, r.argv, r.argc);
	if (r.command == NULL || !command_arity_ok(r.command, r.argc))
		s->flags |= SESSION_DIRTY_QUEUE;
	else
		error = append(s, &r);
	free(argv);
	return error;
}

int transaction_deserialize(struct session *s, struct slice list) {
	struct slice command;
	int error = s->tenant == NULL ? ATOMDB_E_FORMAT : transaction_begin(s), found = 0;
	while (error == 0 && (found = deserialize_element(&list, &command)) > 0)
		error = deserialize_queued(s, command);
	return error != 0 ? error : found;
}
