/* Pub/sub: PUBLISH, SUBSCRIBE, PSUBSCRIBE, SSUBSCRIBE and their counterparts. */
#include "atomdb/events/publish.h"
#include "atomdb/store/tenant.h"
#include "atomdb/util/error.h"
#include "atomdb/util/glob.h"
#include "commands/handlers.h"

/* Bytes of patterns that are judged between two check points. */
#define GLOB_CHECK_BYTES 4096

/* The names of the three kinds of subscription. */
struct kind {
	enum channel_kind channel;
	const char *subscribe;
	const char *unsubscribe;
};
static const struct kind plain_channels = {CHANNEL_GLOBAL, "subscribe", "unsubscribe"};
static const struct kind patterns = {CHANNEL_PATTERN, "psubscribe", "punsubscribe"};
static const struct kind shard_channels = {CHANNEL_SHARD, "ssubscribe", "sunsubscribe"};

static void write_confirmation(struct writer *w, const char *what, const struct slice *name, uint64_t count) {
	writer_bulk(w, slice_of(what));
	if (name != NULL)
		writer_bulk(w, *name);
	else
		writer_null(w);
	writer_integer(w, (int64_t)count);
}

/* Confirms a change of the session's subscriptions; `count` is their present number. Ignores CLIENT REPLY. Inside EXEC
 * each command has one element of the array: its first confirmation. Further confirmations follow the array as pushes.
 */
static void confirm(struct session *s, const char *what, const struct slice *name, uint64_t count, bool first) {
	struct writer *w = s->reply;
	bool executing = (s->flags & SESSION_EXECUTING) != 0, muted = w->muted;
	if (executing && (!first || muted)) {
		struct push *p = &s->tenant->clients.subscriptions->push;
		push_end(p);
		struct writer push = push_head(p, 3);
		push.protocol = s->protocol;
		write_confirmation(&push, what, name, count);
		if (push.failed)
			w->failed = true;
		else
			push_send(p, s);
		return;
	}
	w->muted = false;
	if (executing)
		writer_array(w, 3);
	else
		writer_push(w, 3);
	write_confirmation(w, what, name, count);
	w->muted = muted;
}

/* Returns the number of subscriptions that confirmations of `kind` show. Shard channels are counted separately. */
static uint64_t count_of(const struct session *s, const struct kind *kind) {
	return kind->channel == CHANNEL_SHARD
		       ? subscription_count(s, CHANNEL_SHARD)
		       : subscription_count(s, CHANNEL_GLOBAL) + subscription_count(s, CHANNEL_PATTERN);
}

/* Subscribes to all arguments, or to none. Appends a byte for each to `is_new`: whether the subscription is new.
 * Returns 0, ATOMDB_E_OOM, or ATOMDB_E_RANGE if the tenant has too many patterns. */
static int join_all(struct session *s, const struct request *r, enum channel_kind kind, struct buffer *is_new) {
	const struct list *subscriptions = &s->subscriber->kinds[kind].subscriptions;
	uint64_t before = subscription_count(s, kind);
	size_t work = 0;
	for (uint32_t i = 1; i < r->argc; i++) {
		(void)fiber_check_every(&work, 1, CHECK_KEYS);
		int result = ATOMDB_E_RANGE;
		if (kind != CHANNEL_PATTERN || publish_pattern_fits(s->tenant->clients.subscriptions, r->argv[i]))
			result = subscription_add(s, kind, 0, r->argv[i]);
		char added = (char)(result > 0);
		if (result >= 0 && buffer_append(is_new, &added, 1, SIZE_MAX) == 0)
			continue;
		for (; subscription_count(s, kind) > before; (void)fiber_check_every(&work, 1, CHECK_KEYS))
			subscription_end(list_entry(subscriptions->prev, struct subscription, by_subscriber));
		return result == ATOMDB_E_RANGE ? result : ATOMDB_E_OOM;
	}
	return 0;
}

static enum outcome subscribe(struct session *s, const struct request *r, const struct kind *kind) {
	if (subscriber_open(s) < 0)
		return reply_store_error(s, ATOMDB_E_OOM);
	uint64_t count = count_of(s, kind);
	int error = join_all(s, r, kind->channel, &s->env->scratch);
	if (error == ATOMDB_E_RANGE)
		return reply_error(s, "ERR the patterns of this tenant are too many or too long");
	if (error < 0)
		return reply_store_error(s, ATOMDB_E_OOM);
	s->flags |= SESSION_SUBSCRIBED;
	size_t work = 0;
	for (uint32_t i = 1; i < r->argc && !s->reply->failed; i++) {
		(void)fiber_check_every(&work, 1, CHECK_KEYS);
		count += (uint64_t)s->env->scratch.data[i - 1];
		confirm(s, kind->subscribe, &r->argv[i], count, i == 1);
	}
	return OUTCOME_DONE;
}

static void unsubscribe_all(struct session *s, const struct kind *kind) {
	bool first = true;
	size_t work = 0;
	if (subscription_count(s, kind->channel) == 0) {
		confirm(s, kind->unsubscribe, NULL, count_of(s, kind), first);
		return;
	}
	list_for_each (node, &s->subscriber->kinds[kind->channel].subscriptions) {
		struct subscription *m = list_entry(node, struct subscription, by_subscriber);
		/* Removing the subscription may free the name, and the count excludes it: confirm first. */
		size_t length = m->channel->length;
		(void)buffer_append(&s->env->scratch, m->channel->name, length, SIZE_MAX);
		struct slice name = {s->env->scratch.data, s->env->scratch.len};
		subscription_end(m);
		confirm(s, kind->unsubscribe, &name, count_of(s, kind), first);
		first = false;
		s->env->scratch.len = 0;
		(void)fiber_check_every(&work, 1, CHECK_KEYS);
	}
}

static enum outcome unsubscribe(struct session *s, const struct request *r, const struct kind *kind) {
	size_t work = 0;
	if (r->argc == 1)
		unsubscribe_all(s, kind);
	for (uint32_t i = 1; i < r->argc; i++) {
		(void)fiber_check_every(&work, 1, CHECK_KEYS);
		(void)subscription_remove(s, kind->channel, 0, r->argv[i]);
		confirm(s, kind->unsubscribe, &r->argv[i], count_of(s, kind), i == 1);
	}
	if (subscription_count(s, CHANNEL_GLOBAL) + subscription_count(s, CHANNEL_PATTERN) +
		    subscription_count(s, CHANNEL_SHARD) ==
	    0)
		s->flags &= ~(uint32_t)SESSION_SUBSCRIBED;
	return OUTCOME_DONE;
}

enum outcome cmd_subscribe(struct session *s, const struct request *r) {
	return subscribe(s, r, &plain_channels);
}

enum outcome cmd_unsubscribe(struct session *s, const struct request *r) {
	return unsubscribe(s, r, &plain_channels);
}

enum outcome cmd_psubscribe(struct session *s, const struct request *r) {
	size_t work = 0;
	for (uint32_t i = 1; i < r->argc; i++) {
		(void)fiber_check_every(&work, r->argv[i].len, GLOB_CHECK_BYTES);
		if (glob_is_costly(r->argv[i]))
			return reply_costly_pattern(s, writer_mark(s->reply));
	}
	return subscribe(s, r, &patterns);
}

enum outcome cmd_punsubscribe(struct session *s, const struct request *r) {
	return unsubscribe(s, r, &patterns);
}

enum outcome cmd_ssubscribe(struct session *s, const struct request *r) {
	if (s->flags & SESSION_EXECUTING)
		return reply_error(s, "ERR SSUBSCRIBE isn't allowed for a DENY BLOCKING client");
	return subscribe(s, r, &shard_channels);
}

enum outcome cmd_sunsubscribe(struct session *s, const struct request *r) {
	return unsubscribe(s, r, &shard_channels);
}

static enum outcome publish(struct session *s, const struct request *r, enum channel_kind kind) {
	uint64_t receivers;
	int error = publish_message(s->tenant->clients.subscriptions, kind, r->argv[1], r->argv[2], pattern_work(s),
				    &receivers);
	if (error == ATOMDB_E_RANGE)
		return reply_error(s, "ERR the channel takes too long to match with the patterns of this tenant");
	if (error < 0)
		return reply_store_error(s, error);
	writer_integer(s->reply, (int64_t)receivers);
	return OUTCOME_DONE;
}

enum outcome cmd_publish(struct session *s, const struct request *r) {
	return publish(s, r, CHANNEL_GLOBAL);
}

enum outcome cmd_spublish(struct session *s, const struct request *r) {
	return publish(s, r, CHANNEL_SHARD);
}

static enum outcome list_channels(struct session *s, const struct request *r, enum channel_kind kind) {
	const struct subscriptions *h = s->tenant->clients.subscriptions;
	size_t mark = writer_mark(s->reply), count = 0, listed = 0;
	uint64_t *work = r->argc == 3 ? pattern_work(s) : NULL;
	if (r->argc > 3) {
		writer_errorf(s->reply,
			      "ERR unknown subcommand or wrong number of arguments for '%.*s'. Try PUBSUB HELP.",
			      ECHO_TEXT(r->argv[1], ECHO_MAX));
		return OUTCOME_DONE;
	}
	if (h != NULL) {
		list_for_each (node, &h->kinds[kind].channels) {
			struct slice name = channel_name(list_entry(node, struct channel, order));
			if (writer_drops(s->reply) || (work != NULL && *work == 0))
				break;
			if (fiber_check_every(&listed, 1 + (work != NULL ? r->argv[2].len : 0), CHECK_KEYS))
				break;
			if (work != NULL && !glob_match_usual(r->argv[2], name, false, work))
				continue;
			writer_bulk(s->reply, name);
			count++;
		}
	}
	if (work != NULL && *work == 0)
		return reply_costly_pattern(s, mark);
	writer_array_at(s->reply, mark, count);
	return OUTCOME_DONE;
}

static enum outcome count_subscriptions(struct session *s, const struct request *r, enum channel_kind kind) {
	size_t work = 0;
	writer_array(s->reply, ((size_t)r->argc - 2) * 2);
	for (uint32_t i = 2; i < r->argc && !writer_drops(s->reply); i++) {
		(void)fiber_check_every(&work, 1, CHECK_KEYS);
		const struct channel *channel =
			subscriptions_look_up(s->tenant->clients.subscriptions, kind, 0, r->argv[i]);
		writer_bulk(s->reply, r->argv[i]);
		writer_integer(s->reply, channel == NULL ? 0 : (int64_t)channel->count);
	}
	return OUTCOME_DONE;
}

enum outcome cmd_pubsub_channels(struct session *s, const struct request *r) {
	return list_channels(s, r, CHANNEL_GLOBAL);
}

enum outcome cmd_pubsub_shardchannels(struct session *s, const struct request *r) {
	return list_channels(s, r, CHANNEL_SHARD);
}

enum outcome cmd_pubsub_numsub(struct session *s, const struct request *r) {
	return count_subscriptions(s, r, CHANNEL_GLOBAL);
}

enum outcome cmd_pubsub_shardnumsub(struct session *s, const struct request *r) {
	return count_subscriptions(s, r, CHANNEL_SHARD);
}

enum outcome cmd_pubsub_numpat(struct session *s, const struct request *r) {
	(void)r;
	const struct subscriptions *h = s->tenant->clients.subscriptions;
	writer_integer(s->reply, h == NULL ? 0 : (int64_t)h->kinds[CHANNEL_PATTERN].count);
	return OUTCOME_DONE;
}

enum outcome cmd_pubsub_help(struct session *s, const struct request *r) {
	(void)r;
	static const char *const lines[] = {
		"CHANNELS [<pattern>]",
		"    Returns the channels of this tenant that have subscribers and match the pattern.",
		"NUMPAT",
		"    Returns the number of patterns that have subscribers.",
		"NUMSUB [<channel> ...]",
		"    Returns the number of subscribers of each channel, without those of patterns.",
		"SHARDCHANNELS [<pattern>]",
		"    Returns the shard channels that have subscribers and match the pattern.",
		"SHARDNUMSUB [<shardchannel> ...]",
		"    Returns the number of subscribers of each shard channel.",
	};
	return reply_help_lines(s, "pubsub", lines);
}
