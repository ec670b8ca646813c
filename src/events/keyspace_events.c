#include "atomdb/events/keyspace_events.h"

#include <stdio.h>

#include "atomdb/events/publish.h"
#include "atomdb/session/module.h"

/* In the order of formatting. A, which stands for NOTIFY_ALL, comes first. */
static const struct {
	char letter;
	uint32_t class;
} letters[] = {
	{'g', NOTIFY_GENERIC},  {'$', NOTIFY_STRING}, {'l', NOTIFY_LIST},    {'s', NOTIFY_SET},
	{'h', NOTIFY_HASH},     {'z', NOTIFY_ZSET},   {'x', NOTIFY_EXPIRED}, {'e', NOTIFY_EVICTED},
	{'t', NOTIFY_STREAM},   {'d', NOTIFY_MODULE}, {'n', NOTIFY_NEW},     {'K', NOTIFY_KEYSPACE},
	{'E', NOTIFY_KEYEVENT}, {'m', NOTIFY_MISS},
};
#define LETTERS (sizeof(letters) / sizeof(letters[0]))

bool keyspace_events_parse(struct slice text, uint32_t *classes) {
	uint32_t seen = 0;
	for (size_t i = 0; i < text.len; i++) {
		uint32_t class = text.data[i] == 'A' ? (uint32_t)NOTIFY_ALL : 0;
		for (size_t k = 0; k < LETTERS && class == 0; k++) {
			if (letters[k].letter == text.data[i])
				class = letters[k].class;
		}
		if (class == 0)
			return false;
		seen |= class;
	}
	*classes = seen;
	return true;
}

void keyspace_events_format(uint32_t classes, char text[NOTIFY_TEXT]) {
	size_t n = 0;
	bool all = (classes & NOTIFY_ALL) == NOTIFY_ALL;
	if (all)
		text[n++] = 'A';
	for (size_t i = 0; i < LETTERS; i++) {
		/* As in Redis, A hides n. */
		bool hidden = all && (letters[i].class & (NOTIFY_ALL | NOTIFY_NEW)) != 0;
		if ((classes & letters[i].class) && !hidden)
			text[n++] = letters[i].letter;
	}
	text[n] = '\0';
}

void keyspace_events_set(struct tenant *t, uint32_t classes) {
	int before = keyspace_events_wanted(t);
	t->clients.event_classes = (classes & NOTIFY_CLASSES) | (t->clients.event_classes & NOTIFY_QUEUED);
	if (t->clients.subscriptions == NULL)
		return;
	subscriptions_interest(t->clients.subscriptions, keyspace_events_wanted(t) - before);
	subscriptions_measure_audience(t->clients.subscriptions);
}

static void publish(struct tenant *t, const char *event, unsigned database, struct slice name) {
	struct subscriptions *h = t->clients.subscriptions;
	if (h == NULL || (h->kinds[CHANNEL_GLOBAL].count == 0 && h->kinds[CHANNEL_PATTERN].count == 0))
		return;
	char head[32];
	struct slice what = slice_of(event);
	struct buffer channel;
	buffer_init(&channel);
	if (t->clients.event_classes & NOTIFY_KEYSPACE) {
		int n = snprintf(head, sizeof(head), "__keyspace@%u__:", database);
		if (buffer_append(&channel, head, (size_t)n, SIZE_MAX) == 0 &&
		    buffer_append(&channel, name.data, name.len, SIZE_MAX) == 0)
			publish_event(h, buffer_slice(&channel), what);
	}
	channel.len = 0;
	if (t->clients.event_classes & NOTIFY_KEYEVENT) {
		int n = snprintf(head, sizeof(head), "__keyevent@%u__:", database);
		if (buffer_append(&channel, head, (size_t)n, SIZE_MAX) == 0 &&
		    buffer_append(&channel, what.data, what.len, SIZE_MAX) == 0)
			publish_event(h, buffer_slice(&channel), name);
	}
	buffer_deinit(&channel);
}

void keyspace_event_publish(struct tenant *t, enum keyspace_event_class class, const char *event, unsigned database,
			    struct slice name) {
	struct subscriptions *h = t->clients.subscriptions;
	if ((t->clients.event_classes & NOTIFY_QUEUED) && h != NULL)
		h->env->modules->send_changes(h);
	if (t->clients.event_classes & class)
		publish(t, event, database, name);
}

void keyspace_events_key_changed(struct subscriptions *h, enum change what, unsigned database, struct slice name) {
	static const struct {
		uint32_t class;
		const char *event;
	} events[] = {
		[CHANGE_NEW] = {NOTIFY_NEW, "new"},
		[CHANGE_EXPIRED] = {NOTIFY_EXPIRED, "expired"},
		[CHANGE_EVICTED] = {NOTIFY_EVICTED, "evicted"},
		[CHANGE_MISSED] = {NOTIFY_MISS, "keymiss"},
		[CHANGE_FLUSH] = {0, NULL}, /* command handlers publish all other events */
	};
	if (h->tenant->clients.event_classes & events[what].class)
		publish(h->tenant, events[what].event, database, name);
}
