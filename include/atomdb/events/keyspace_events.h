/* Keyspace notifications: messages about changes of keys, on a channel for the key and a channel for the event.
 *
 * tenant->clients.event_classes has the classes of events that a tenant publishes, and NOTIFY_QUEUED. */
#pragma once

#include "atomdb/session/session.h"

enum keyspace_event_class {
	NOTIFY_KEYSPACE = 1 << 0, /* K: on __keyspace@<db>__:<key> */
	NOTIFY_KEYEVENT = 1 << 1, /* E: on __keyevent@<db>__:<event> */
	NOTIFY_GENERIC = 1 << 2,  /* g: commands on keys of any type */
	NOTIFY_STRING = 1 << 3,   /* $ */
	NOTIFY_LIST = 1 << 4,     /* l */
	NOTIFY_SET = 1 << 5,      /* s */
	NOTIFY_HASH = 1 << 6,     /* h */
	NOTIFY_ZSET = 1 << 7,     /* z */
	NOTIFY_EXPIRED = 1 << 8,  /* x */
	NOTIFY_EVICTED = 1 << 9,  /* e */
	NOTIFY_STREAM = 1 << 10,  /* t */
	NOTIFY_MODULE = 1 << 11,  /* d */
	NOTIFY_MISS = 1 << 12,    /* m: a read did not find the key */
	NOTIFY_NEW = 1 << 13,     /* n: a new key */
	NOTIFY_ALL = NOTIFY_GENERIC | NOTIFY_STRING | NOTIFY_LIST | NOTIFY_SET | NOTIFY_HASH | NOTIFY_ZSET |
		     NOTIFY_EXPIRED | NOTIFY_EVICTED | NOTIFY_STREAM | NOTIFY_MODULE, /* A */
	NOTIFY_CLASSES = (1 << 14) - 1,
	NOTIFY_QUEUED = 1 << 14, /* not a class: events_send_changes() has messages to send */
};

/* Maximum length of the letters of all classes, with a NUL. */
#define NOTIFY_TEXT 16

/* Parse and format classes in the syntax of CONFIG SET notify-keyspace-events. Parsing returns false if a letter is
 * unknown. */
bool keyspace_events_parse(struct slice text, uint32_t *classes);
void keyspace_events_format(uint32_t classes, char text[NOTIFY_TEXT]);
/* Sets the classes of a tenant. */
void keyspace_events_set(struct tenant *t, uint32_t classes);

/* Returns true if the store must report changes, because keyspace events of the tenant may have subscribers. */
static inline bool keyspace_events_wanted(const struct tenant *t) {
	return (t->clients.event_classes & (NOTIFY_KEYSPACE | NOTIFY_KEYEVENT)) &&
	       (t->clients.event_classes & (NOTIFY_EXPIRED | NOTIFY_EVICTED | NOTIFY_MISS | NOTIFY_NEW));
}
/* Publishes the event of a change that the store has reported. */
void keyspace_events_key_changed(struct subscriptions *h, enum change what, unsigned database, struct slice name);

/* The slow path of keyspace_event(). Sends the messages about queued changes, which are older, and then publishes the
 * event if the tenant publishes its class. */
void keyspace_event_publish(struct tenant *t, enum keyspace_event_class class, const char *event, unsigned database,
			    struct slice name);

/* Publishes a second event of the same change. */
static inline void keyspace_event_also(struct session *s, enum keyspace_event_class class, const char *event,
				       const struct key *key) {
	if (__builtin_expect((s->tenant->clients.event_classes & (class | NOTIFY_QUEUED)) != 0, 0))
		keyspace_event_publish(s->tenant, class, event, keyspace_database(s->tenant, key->db_slot), key->name);
}

/* Publishes `event` of a key and counts a change. The handler calls it after the change. */
static inline void keyspace_event(struct session *s, enum keyspace_event_class class, const char *event,
				  const struct key *key) {
	s->tenant->clients.changes++;
	keyspace_event_also(s, class, event, key);
}
