/* Pub/sub: messages from one client of a tenant to others. */
#include "atomdb/events/publish.h"
#include "atomdb/store/tenant.h"
#include "atomdb/util/error.h"
#include "atomdb/util/glob.h"
#include "commands/handlers.h"

/* Most bytes of a tenant's patterns together, with PATTERN_PART for each. Matching a name against patterns without
 * stars costs fewer steps than that, so that any patterns match a usual name in time. */
#define PATTERNS_MAX ((uint64_t)1 << 20)
#define PATTERN_PART 64
/* Steps for the keyspace events of one command: about 60 ms. */
#define EVENT_WORK (16 * GLOB_WORK)

/* How the three kinds of subscription are called. */
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

/* Confirms a change of the session's subscriptions, of which it has `count` now; also to a client that wants no
 * replies. Within EXEC a command has one element of the array: that is its first confirmation. The others come behind
 * the array, as pushes. */
static void confirm(struct session *s, const char *what, const struct slice *name, uint64_t count, bool first) {
	struct writer *w = s->reply;
	bool executing = (s->flags & SESSION_EXECUTING) != 0, muted = w->muted;
	if (executing && (!first || muted)) {
		publish_end(s->tenant->subscriptions);
		struct writer push = publish_head(s->tenant->subscriptions, 3);
		push.protocol = s->protocol;
		write_confirmation(&push, what, name, count);
		if (push.failed)
			w->failed = true;
		else
			publish_send(s->tenant->subscriptions, s);
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

/* Subscriptions as they are counted for `kind`: those of shard channels apart. */
static uint64_t count_of(const struct session *s, const struct kind *kind) {
	return kind->channel == CHANNEL_SHARD
		       ? subscription_count(s, CHANNEL_SHARD)
		       : subscription_count(s, CHANNEL_GLOBAL) + subscription_count(s, CHANNEL_PATTERN);
}

/* Whether the tenant may have one more pattern, or has it already. */
static bool fits(const struct subscriptions *h, struct slice pattern) {
	uint64_t have = h->kinds[CHANNEL_PATTERN].length + h->kinds[CHANNEL_PATTERN].count * PATTERN_PART;
	return subscriptions_find(h, CHANNEL_PATTERN, 0, pattern) != NULL ||
	       have + pattern.len + PATTERN_PART <= PATTERNS_MAX;
}

/* Subscribes to all arguments, or to none. Appends a byte for each to `is_new`: whether the session had no such
 * subscription yet. 0, ATOMDB_E_OOM, or ATOMDB_E_RANGE: the tenant has too many patterns. */
static int join_all(struct session *s, const struct request *r, enum channel_kind kind, struct buffer *is_new) {
	const struct list *subscriptions = &s->subscriber->kinds[kind].subscriptions;
	uint64_t before = subscription_count(s, kind);
	for (uint32_t i = 1; i < r->argc; i++) {
		int result = ATOMDB_E_RANGE;
		if (kind != CHANNEL_PATTERN || fits(s->tenant->subscriptions, r->argv[i]))
			result = subscription_add(s, kind, 0, r->argv[i]);
		char added = (char)(result > 0);
		if (result >= 0 && buffer_append(is_new, &added, 1, SIZE_MAX) == 0)
			continue;
		while (subscription_count(s, kind) > before)
			subscription_end(list_entry(subscriptions->prev, struct subscription, by_subscriber));
		return result == ATOMDB_E_RANGE ? result : ATOMDB_E_OOM;
	}
	return 0;
}

static enum outcome subscribe(struct session *s, const struct request *r, const struct kind *kind) {
	if (subscriber_open(s) == NULL)
		return OUTCOME_DONE;
	uint64_t count = count_of(s, kind);
	int error = join_all(s, r, kind->channel, &s->env->scratch);
	if (error == ATOMDB_E_RANGE)
		return reply_error(s, "ERR the patterns of this tenant are too many or too long");
	if (error < 0)
		return reply_store_error(s, ATOMDB_E_OOM);
	s->flags |= SESSION_SUBSCRIBED;
	for (uint32_t i = 1; i < r->argc && !s->reply->failed; i++) {
		count += (uint64_t)s->env->scratch.data[i - 1];
		confirm(s, kind->subscribe, &r->argv[i], count, i == 1);
	}
	return OUTCOME_DONE;
}

static void unsubscribe_all(struct session *s, const struct kind *kind) {
	bool first = true;
	if (subscription_count(s, kind->channel) == 0) {
		confirm(s, kind->unsubscribe, NULL, count_of(s, kind), first);
		return;
	}
	list_for_each (node, &s->subscriber->kinds[kind->channel].subscriptions) {
		struct subscription *m = list_entry(node, struct subscription, by_subscriber);
		/* The name goes with the last member, the count is that without it. */
		size_t length = m->channel->length;
		(void)buffer_append(&s->env->scratch, m->channel->name, length, SIZE_MAX);
		struct slice name = {s->env->scratch.data, s->env->scratch.len};
		subscription_end(m);
		confirm(s, kind->unsubscribe, &name, count_of(s, kind), first);
		first = false;
		s->env->scratch.len = 0;
	}
}

static enum outcome unsubscribe(struct session *s, const struct request *r, const struct kind *kind) {
	if (r->argc == 1)
		unsubscribe_all(s, kind);
	for (uint32_t i = 1; i < r->argc; i++) {
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
	for (uint32_t i = 1; i < r->argc; i++) {
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

static void send_to_subscribers(struct subscriptions *h, const struct channel *channel) {
	list_for_each (node, &channel->subscriptions)
		publish_send(h, list_entry(node, struct subscription, by_channel)->session);
}

/* Marks the patterns that match the name; the steps come off `*left`. Each pattern may take as many as it is long, and
 * beyond that half of what is left for this name: a costly one leaves enough for others. False: one was given up, and
 * is not marked. */
static bool mark_matching(struct subscriptions *h, struct slice name, uint64_t *left) {
	uint64_t work = *left < GLOB_WORK ? *left : GLOB_WORK, total = 0;
	bool all = true;
	list_for_each (node, &h->kinds[CHANNEL_PATTERN].channels) {
		struct channel *channel = list_entry(node, struct channel, order);
		uint64_t own = channel->length + PATTERN_PART, share = own + work / 2, rest = share;
		channel->matches = glob_match(channel_name(channel), name, false, &rest);
		uint64_t spent = share - rest;
		work -= spent > own ? spent - own : 0;
		total += spent;
		all &= rest != 0;
	}
	*left -= total < *left ? total : *left;
	return all;
}

/* Bytes of a bulk string beside its own, at most. */
#define BULK_HEAD 32

/* Makes the body of a message, the same for subscribers of the channel and of patterns. False: there is no room. */
static bool write_message(struct subscriptions *h, struct slice destination, struct slice message) {
	struct writer w = publish_body(h, destination.len + message.len + (size_t)2 * BULK_HEAD);
	writer_bulk(&w, destination);
	writer_bulk(&w, message);
	return !w.failed;
}

static uint64_t send_to_matching(struct subscriptions *h) {
	uint64_t count = 0;
	list_for_each (node, &h->kinds[CHANNEL_PATTERN].channels) {
		const struct channel *channel = list_entry(node, struct channel, order);
		if (!channel->matches)
			continue;
		struct writer w = publish_head(h, 4);
		writer_bulk(&w, SLICE("pmessage"));
		writer_bulk(&w, channel_name(channel));
		if (w.failed)
			continue;
		send_to_subscribers(h, channel);
		count += channel->count;
	}
	return count;
}

static uint64_t send_to_channel(struct subscriptions *h, const struct channel *channel) {
	if (channel == NULL)
		return 0;
	struct writer w = publish_head(h, 3);
	writer_bulk(&w, channel->kind == CHANNEL_GLOBAL ? SLICE("message") : SLICE("smessage"));
	if (w.failed)
		return 0;
	send_to_subscribers(h, channel);
	return channel->count;
}

/* The steps that are left for the keyspace events of this command, of this transaction, or of keys that expire in this
 * turn of the worker. */
static uint64_t *event_work(struct subscriptions *h) {
	uint64_t commands = counter_get(&h->tenant->counters.commands) + 1;
	bool same = h->current != NULL && (h->current->flags & SESSION_EXECUTING) ? h->event_count != 0
										  : h->event_count == commands;
	if (!same || h->event_ns != h->env->now_ns) {
		h->event_count = commands;
		h->event_ns = h->env->now_ns;
		h->event_work = EVENT_WORK;
	}
	return &h->event_work;
}

void publish_event(struct subscriptions *h, struct slice destination, struct slice message) {
	const struct channel *channel = subscriptions_find(h, CHANNEL_GLOBAL, 0, destination);
	bool matching = h->kinds[CHANNEL_PATTERN].count != 0;
	if ((channel == NULL && !matching) || !write_message(h, destination, message))
		return;
	send_to_channel(h, channel);
	uint64_t *left = matching ? event_work(h) : NULL;
	bool all = left == NULL;
	if (left != NULL && *left != 0) {
		all = mark_matching(h, destination, left);
		send_to_matching(h);
	}
	counter_add(&h->tenant->counters.lost_events, !all);
	publish_end(h);
}

/* To the subscribers of a channel, and of the patterns that are marked. */
static enum outcome publish(struct session *s, const struct request *r, enum channel_kind kind) {
	struct subscriptions *h = s->tenant->subscriptions;
	const struct channel *channel = h == NULL ? NULL : subscriptions_find(h, kind, 0, r->argv[1]);
	bool matching = kind == CHANNEL_GLOBAL && h != NULL && h->kinds[CHANNEL_PATTERN].count != 0;
	uint64_t count = 0;
	if (channel != NULL || matching) {
		if (!write_message(h, r->argv[1], r->argv[2]))
			return reply_store_error(s, ATOMDB_E_OOM);
		count = send_to_channel(h, channel);
		if (matching)
			count += send_to_matching(h);
		publish_end(h);
	}
	writer_integer(s->reply, (int64_t)count);
	return OUTCOME_DONE;
}

enum outcome cmd_publish(struct session *s, const struct request *r) {
	struct subscriptions *h = s->tenant->subscriptions;
	uint64_t *work = pattern_work(s);
	if (h != NULL && h->kinds[CHANNEL_PATTERN].count != 0 && (*work == 0 || !mark_matching(h, r->argv[1], work)))
		return reply_error(s, "ERR the channel takes too long to match with the patterns of this tenant");
	return publish(s, r, CHANNEL_GLOBAL);
}

enum outcome cmd_spublish(struct session *s, const struct request *r) {
	return publish(s, r, CHANNEL_SHARD);
}

static enum outcome list_channels(struct session *s, const struct request *r, enum channel_kind kind) {
	const struct subscriptions *h = s->tenant->subscriptions;
	size_t mark = writer_mark(s->reply), count = 0;
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
	writer_array(s->reply, ((size_t)r->argc - 2) * 2);
	for (uint32_t i = 2; i < r->argc && !writer_drops(s->reply); i++) {
		const struct channel *channel = subscriptions_find(s->tenant->subscriptions, kind, 0, r->argv[i]);
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
	const struct subscriptions *h = s->tenant->subscriptions;
	writer_integer(s->reply, h == NULL ? 0 : (int64_t)h->kinds[CHANNEL_PATTERN].count);
	return OUTCOME_DONE;
}

enum outcome cmd_pubsub_help(struct session *s, const struct request *r) {
	(void)r;
	static const char *const lines[] = {
		"CHANNELS [<pattern>]",
		"    Lists the channels of this tenant that have subscribers and match the pattern.",
		"NUMPAT",
		"    Counts the patterns that have subscribers.",
		"NUMSUB [<channel> ...]",
		"    Counts the subscribers of the channels, without those of patterns.",
		"SHARDCHANNELS [<pattern>]",
		"    Lists the shard channels that have subscribers and match the pattern.",
		"SHARDNUMSUB [<shardchannel> ...]",
		"    Counts the subscribers of the shard channels.",
	};
	return reply_help_lines(s, "pubsub", lines);
}
