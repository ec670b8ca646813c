/* MULTI and EXEC: commands that are kept and run in one go, and WATCH, which makes them depend on keys. */
#include "atomdb/dispatch/transaction.h"

#include <errno.h>
#include <stdlib.h>

#include "atomdb/dispatch/dispatch.h"
#include "atomdb/events/monitor.h"
#include "atomdb/events/tracking.h"
#include "atomdb/events/watched.h"
#include "atomdb/session/client_memory.h"
#include "atomdb/session/reply.h"
#include "atomdb/session/tenant_stats.h"
#include "atomdb/store/shard.h"
#include "atomdb/store/tenant.h"
#include "atomdb/store/undo.h"
#include "atomdb/store/walk.h"
#include "atomdb/util/error.h"
#include "atomdb/util/glob.h"
#include "commands/handlers.h"

/* Entries' worth of work in one go, where a kept command has to wait for the shard. */
#define CATCH_UP 4096
/* Steps that the patterns of all commands of a transaction may take. */
#define PATTERN_WORK (16 * GLOB_WORK)

/* A command with its arguments, in one block. */
struct kept {
	struct kept *next;
	const struct command *command;
	size_t bytes; /* of the block */
	uint32_t argc;
	struct slice argv[];
};

struct transaction {
	struct kept *first; /* owned */
	struct kept **last; /* the end of the list */
	uint64_t count;
	uint64_t bytes; /* charged for it all */
	uint32_t flags; /* enum command_flag: of all commands together */
	bool keyless;   /* one of them has no keys: it may be about the whole database */
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

/* Forgets the commands; the watched keys stay. */
static void drop(struct session *s) {
	struct transaction *x = transaction_of(s);
	s->flags &= ~(uint32_t)(SESSION_MULTI | SESSION_EXECUTING | SESSION_DIRTY_QUEUE | SESSION_DIRTY_KEYS);
	if (x == NULL)
		return;
	while (x->first != NULL) {
		struct kept *k = x->first;
		x->first = k->next;
		if (request_has_secrets(&(struct request){.command = k->command}))
			explicit_bzero(k, k->bytes);
		free(k);
	}
	s->subscriber->transaction = NULL;
	s->subscriber->bytes -= x->bytes;
	client_memory_discharge(s->tenant, x->bytes);
	free(x);
}

void transaction_end(struct session *s) {
	drop(s);
	subscription_remove_all(s, CHANNEL_WATCHED_KEY);
}

/* The client gives up what it watches, here and in tenants that it left. */
static void stop_feed(struct session *s) {
	subscription_remove_all(s, CHANNEL_WATCHED_KEY);
	s->flags &= ~(uint32_t)SESSION_DIRTY_KEYS;
	s->lost_watch = 0;
}

static int begin(struct session *s) {
	struct transaction *x = NULL;
	if (client_memory_charge(s->tenant, s, sizeof(*x), CHARGE_NOW) < 0)
		return ATOMDB_E_OOM;
	x = calloc(1, sizeof(*x));
	if (x == NULL) {
		client_memory_discharge(s->tenant, sizeof(*x));
		return ATOMDB_E_OOM;
	}
	x->last = &x->first;
	x->bytes = sizeof(*x);
	s->subscriber->bytes += x->bytes;
	s->subscriber->transaction = x;
	s->flags |= SESSION_MULTI;
	return 0;
}

enum outcome cmd_multi(struct session *s, const struct request *r) {
	(void)r;
	if (s->flags & SESSION_MULTI)
		return reply_error(s, "ERR MULTI calls can not be nested");
	if (subscriber_open(s) == NULL)
		return OUTCOME_DONE;
	if (begin(s) < 0)
		return reply_store_error(s, ATOMDB_E_OOM);
	writer_ok(s->reply);
	return OUTCOME_DONE;
}

/* Puts a command behind those that are kept; 0 or ATOMDB_E_OOM. */
static int keep(struct session *s, const struct request *r) {
	struct transaction *x = transaction_of(s);
	size_t bytes = sizeof(struct kept) + r->argc * sizeof(struct slice);
	for (uint32_t i = 0; i < r->argc; i++)
		bytes += r->argv[i].len;
	if (client_memory_charge(s->tenant, s, bytes, CHARGE_NOW) < 0)
		return ATOMDB_E_OOM;
	struct kept *k = malloc(bytes);
	if (k == NULL) {
		client_memory_discharge(s->tenant, bytes);
		return ATOMDB_E_OOM;
	}
	*k = (struct kept){.command = r->command, .bytes = bytes, .argc = r->argc};
	char *text = (char *)&k->argv[r->argc];
	for (uint32_t i = 0; i < r->argc; i++) {
		k->argv[i] = (struct slice){text, r->argv[i].len};
		if (r->argv[i].len != 0)
			memcpy(text, r->argv[i].data, r->argv[i].len);
		text += r->argv[i].len;
	}
	*x->last = k;
	x->last = &k->next;
	x->count++;
	x->bytes += k->bytes;
	s->subscriber->bytes += k->bytes;
	x->flags |= k->command->flags;
	x->keyless |= k->command->first_key == 0;
	return 0;
}

void transaction_queue(struct session *s, const struct request *r) {
	if (request_has_secrets(r))
		s->flags |= SESSION_SECRET;
	/* A transaction that cannot run any more takes no memory. */
	if (s->flags & (SESSION_DIRTY_QUEUE | SESSION_DIRTY_KEYS)) {
		writer_constant(s->reply, "+QUEUED\r\n");
		return;
	}
	if (keep(s, r) < 0) {
		s->flags |= SESSION_DIRTY_QUEUE;
		reply_store_error(s, ATOMDB_E_OOM);
		return;
	}
	writer_constant(s->reply, "+QUEUED\r\n");
}

enum outcome cmd_discard(struct session *s, const struct request *r) {
	(void)r;
	if (!(s->flags & SESSION_MULTI))
		return reply_error(s, "ERR DISCARD without MULTI");
	drop(s);
	stop_feed(s);
	writer_ok(s->reply);
	return OUTCOME_DONE;
}

/* Looks at the watched keys, so that those which are due are found to be gone. */
static void look_at_watched(struct session *s) {
	list_for_each (node, &s->subscriber->kinds[CHANNEL_WATCHED_KEY].subscriptions) {
		const struct channel *channel = list_entry(node, struct subscription, by_subscriber)->channel;
		struct key key =
			keyspace_key(s->tenant, keyspace_db_slot(s->tenant, channel->database), channel_name(channel));
		(void)keyspace_find(s->tenant, &key, LOOKUP_PEEK);
	}
}

/* Whether a command about a whole database would have to wait until what is due there has been swept. */
static bool must_wait(const struct session *s) {
	uint64_t keys;
	for (unsigned i = 0; i < TENANT_DATABASES; i++) {
		if (keyspace_size(s->tenant, i, &keys, NULL) == ATOMDB_E_AGAIN)
			return true;
	}
	return false;
}

static void run_all(struct session *s, struct transaction *x) {
	uint64_t ticks = clock_ticks();
	writer_array(s->reply, x->count);
	for (const struct kept *k = x->first; k != NULL; k = k->next) {
		/* The rest of the transaction holds, although nobody will read what it answers. */
		if (s->reply->failed && (k->command->flags & CMD_READONLY))
			continue;
		struct request r = {.argv = k->argv, .argc = k->argc, .command = k->command};
		while (monitor_run(s, &r, &ticks) == OUTCOME_RETRY)
			(void)shard_work(s->tenant->shard, CATCH_UP);
		if (s->flags & SESSION_TRACKING)
			tracking_remember(s, &r);
	}
}

enum outcome cmd_exec(struct session *s, const struct request *r) {
	(void)r;
	if (!(s->flags & SESSION_MULTI))
		return reply_error(s, "ERR EXEC without MULTI");
	struct transaction *x = transaction_of(s);
	look_at_watched(s);
	if (s->flags & SESSION_DIRTY_QUEUE) {
		drop(s);
		stop_feed(s);
		return reply_error(s, "EXECABORT Transaction discarded because of previous errors.");
	}
	if (s->flags & SESSION_DIRTY_KEYS) {
		drop(s);
		stop_feed(s);
		writer_null_array(s->reply);
		return OUTCOME_DONE;
	}
	if (x->keyless && must_wait(s))
		return OUTCOME_RETRY;
	stop_feed(s);
	s->flags |= SESSION_EXECUTING;
	s->env->pattern_work = PATTERN_WORK;
	struct shard *shard = s->tenant->shard;
	keyspace_begin_transaction(shard, x->bytes);
	run_all(s, x);
	keyspace_commit(shard);
	/* A CLIENT PAUSE that was among them. */
	shard_hold_expired(s->tenant, s->tenant->pause_end_ms);
	drop(s);
	/* A CLIENT REPLY OFF that was among them. */
	s->reply->muted |= (s->flags & SESSION_REPLY_OFF) != 0;
	return OUTCOME_DONE;
}

enum outcome cmd_watch(struct session *s, const struct request *r) {
	if (s->flags & SESSION_MULTI)
		return reply_error(s, "ERR WATCH inside MULTI is not allowed");
	if (s->flags & SESSION_DIRTY_KEYS) {
		/* The next EXEC will not run anyway. */
		writer_ok(s->reply);
		return OUTCOME_DONE;
	}
	if (subscriber_open(s) == NULL)
		return OUTCOME_DONE;
	const struct list *monitored = &s->subscriber->kinds[CHANNEL_WATCHED_KEY].subscriptions;
	uint64_t before = subscription_count(s, CHANNEL_WATCHED_KEY);
	for (uint32_t i = 1; i < r->argc; i++) {
		/* What is due is gone now, rather than later and as a change. */
		struct key key = request_key(s, r, i);
		(void)keyspace_find(s->tenant, &key, LOOKUP_PEEK);
		if (subscription_add(s, CHANNEL_WATCHED_KEY, s->database, r->argv[i]) >= 0)
			continue;
		while (subscription_count(s, CHANNEL_WATCHED_KEY) > before)
			subscription_end(list_entry(monitored->prev, struct subscription, by_subscriber));
		return reply_store_error(s, ATOMDB_E_OOM);
	}
	writer_ok(s->reply);
	return OUTCOME_DONE;
}

enum outcome cmd_unwatch(struct session *s, const struct request *r) {
	(void)r;
	stop_feed(s);
	writer_ok(s->reply);
	return OUTCOME_DONE;
}

/* --- from one process to the next ------------------------------------------------------------------------------- */

void transaction_serialize(const struct session *s, struct serializer *out, const char *name) {
	size_t begin = serialize_begin(out, name);
	for (const struct kept *k = transaction_of(s)->first; k != NULL; k = k->next) {
		size_t command = serialize_begin(out, SERIALIZE_ELEMENT);
		for (uint32_t i = 0; i < k->argc; i++)
			serialize_bytes(out, SERIALIZE_ELEMENT, k->argv[i]);
		serialize_end(out, command);
	}
	serialize_end(out, begin);
}

/* The number of arguments of a command, at least 1, or ATOMDB_E_FORMAT. */
static int64_t count_arguments(struct slice command) {
	struct slice argument;
	int64_t count = 0;
	int found;
	while ((found = deserialize_element(&command, &argument)) > 0)
		count++;
	return found < 0 || count == 0 || count > UINT32_MAX ? ATOMDB_E_FORMAT : count;
}

/* Keeps one command. If this release does not know it, or takes other arguments, EXEC fails. */
static int deserialize_kept(struct session *s, struct slice command) {
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
	dispatch_prepare(s, &r, 1);
	if (r.command == NULL || !command_arity_ok(r.command, r.argc))
		s->flags |= SESSION_DIRTY_QUEUE;
	else
		error = keep(s, &r);
	free(argv);
	return error;
}

int transaction_deserialize(struct session *s, struct slice list) {
	struct slice command;
	int error = begin(s), found = 0;
	while (error == 0 && (found = deserialize_element(&list, &command)) > 0)
		error = deserialize_kept(s, command);
	return error != 0 ? error : found;
}

/* --- watched keys ----------------------------------------------------------------------------------------------- */

static void mark_dirty(const struct channel *channel) {
	list_for_each (node, &channel->subscriptions)
		list_entry(node, struct subscription, by_channel)->session->flags |= SESSION_DIRTY_KEYS;
}

void watched_touch(struct subscriptions *h, unsigned database, struct slice name) {
	const struct channel *channel = subscriptions_find(h, CHANNEL_WATCHED_KEY, database, name);
	if (channel != NULL)
		mark_dirty(channel);
}

void watched_flush(struct subscriptions *h, unsigned database) {
	list_for_each (node, &h->kinds[CHANNEL_WATCHED_KEY].channels) {
		const struct channel *channel = list_entry(node, struct channel, order);
		if (database != channel->database && database != TENANT_DATABASES)
			continue;
		struct key key =
			keyspace_key(h->tenant, keyspace_db_slot(h->tenant, channel->database), channel_name(channel));
		if (keyspace_find(h->tenant, &key, LOOKUP_PEEK) != NULL)
			mark_dirty(channel);
	}
}

void watched_swap(struct tenant *t, unsigned a, unsigned b) {
	if (t->subscriptions == NULL)
		return;
	list_for_each (node, &t->subscriptions->kinds[CHANNEL_WATCHED_KEY].channels) {
		const struct channel *channel = list_entry(node, struct channel, order);
		if (channel->database != a && channel->database != b)
			continue;
		struct key here = keyspace_key(t, keyspace_db_slot(t, a), channel_name(channel));
		struct key there = keyspace_key(t, keyspace_db_slot(t, b), channel_name(channel));
		if (keyspace_find(t, &here, LOOKUP_PEEK) != NULL || keyspace_find(t, &there, LOOKUP_PEEK) != NULL)
			mark_dirty(channel);
	}
}
