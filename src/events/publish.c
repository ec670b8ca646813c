#include "atomdb/events/publish.h"

#include "atomdb/store/tenant.h"
#include "atomdb/util/error.h"
#include "atomdb/util/fiber.h"
#include "atomdb/util/glob.h"

/* Most bytes of a tenant's patterns, with PATTERN_PART for each. Matching a name against that many patterns without
 * stars costs fewer steps than the limit. */
#define PATTERNS_MAX ((uint64_t)1 << 20)
#define PATTERN_PART 64
/* Steps for the keyspace events of one command: about 60 ms. */
#define EVENT_WORK (16 * GLOB_WORK)
/* Bytes of patterns that a message is matched with between two check points. */
#define CHECK_PATTERNS 1024
/* Most bytes of a bulk string besides its content. */
#define BULK_HEAD 32

bool publish_pattern_fits(const struct subscriptions *h, struct slice pattern) {
	uint64_t have = h->kinds[CHANNEL_PATTERN].length + h->kinds[CHANNEL_PATTERN].count * PATTERN_PART;
	return subscriptions_find(h, CHANNEL_PATTERN, 0, pattern) != NULL ||
	       have + pattern.len + PATTERN_PART <= PATTERNS_MAX;
}

/* A keyspace event may be sent in the middle of a change. */
static void check(const struct subscriptions *h, size_t *work, size_t units, size_t every) {
	if (!h->in_change)
		(void)fiber_check_every(work, units, every);
}

static void send_to_subscribers(struct subscriptions *h, const struct channel *channel) {
	list_for_each (node, &channel->subscriptions) {
		push_send(&h->push, list_entry(node, struct subscription, by_channel)->session);
		/* One check point for each client: the worker sends large output of a client at once. */
		if (!h->in_change)
			(void)fiber_check();
	}
}

/* Marks the patterns that match the name, and subtracts the steps from `*left`. A pattern may take as many steps as it
 * has bytes, and then half of the steps that are left: a costly pattern leaves enough for others. Returns false if it
 * gave up a pattern, which it does not mark. */
static bool mark_matching(struct subscriptions *h, struct slice name, uint64_t *left) {
	uint64_t work = *left < GLOB_WORK ? *left : GLOB_WORK, total = 0;
	bool all = true;
	size_t unchecked = 0;
	list_for_each (node, &h->kinds[CHANNEL_PATTERN].channels) {
		struct channel *channel = list_entry(node, struct channel, order);
		uint64_t own = channel->length + PATTERN_PART, share = own + work / 2, rest = share;
		channel->matches = h->in_change ? glob_match(channel_name(channel), name, false, &rest)
						: glob_match_sliced(channel_name(channel), name, false, &rest);
		check(h, &unchecked, own, CHECK_PATTERNS);
		uint64_t spent = share - rest;
		work -= spent > own ? spent - own : 0;
		total += spent;
		all &= rest != 0;
	}
	*left -= total < *left ? total : *left;
	return all;
}

/* Makes the body of a message, which subscribers of the channel and of patterns share. Returns false if there is no
 * room. */
static bool write_message(struct subscriptions *h, struct slice destination, struct slice message) {
	struct writer w = push_body(&h->push, destination.len + message.len + (size_t)2 * BULK_HEAD);
	writer_bulk(&w, destination);
	writer_bulk(&w, message);
	return !w.failed;
}

static uint64_t send_to_matching(struct subscriptions *h) {
	uint64_t count = 0;
	size_t work = 0;
	list_for_each (node, &h->kinds[CHANNEL_PATTERN].channels) {
		const struct channel *channel = list_entry(node, struct channel, order);
		check(h, &work, 1, CHECK_PATTERNS);
		if (!channel->matches)
			continue;
		struct writer w = push_head(&h->push, 4);
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
	struct writer w = push_head(&h->push, 3);
	writer_bulk(&w, channel->kind == CHANNEL_GLOBAL ? SLICE("message") : SLICE("smessage"));
	if (w.failed)
		return 0;
	send_to_subscribers(h, channel);
	return channel->count;
}

/* Returns the remaining steps for keyspace events: of this command, of this transaction, or of keys that expire in this
 * turn of the worker. */
static uint64_t *event_work(struct subscriptions *h) {
	uint64_t commands = counter_get(&h->tenant->counters.commands) + 1;
	bool same = h->push.current != NULL && (h->push.current->flags & SESSION_EXECUTING)
			    ? h->event_count != 0
			    : h->event_count == commands;
	if (!same || (h->event_ns != h->env->now_ns && fiber_current == NULL)) {
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
	push_end(&h->push);
}

int publish_message(struct subscriptions *h, enum channel_kind kind, struct slice destination, struct slice message,
		    uint64_t *work, uint64_t *receivers) {
	const struct channel *channel = h == NULL ? NULL : subscriptions_look_up(h, kind, 0, destination);
	bool matching = kind == CHANNEL_GLOBAL && h != NULL && h->kinds[CHANNEL_PATTERN].count != 0;
	*receivers = 0;
	if (matching && (*work == 0 || !mark_matching(h, destination, work)))
		return ATOMDB_E_RANGE;
	if (channel == NULL && !matching)
		return 0;
	if (!write_message(h, destination, message))
		return ATOMDB_E_OOM;
	*receivers = send_to_channel(h, channel);
	if (matching)
		*receivers += send_to_matching(h);
	push_end(&h->push);
	return 0;
}
