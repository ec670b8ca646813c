/* The subscriptions of a tenant's clients: to channels, patterns, watched keys, tracked keys and prefixes of keys.
 *
 *   tenant  -> subscriptions -> channel
 *                                  |
 *                             subscription
 *                                  |
 *   session -> subscriber ---------'
 *
 * The tenant's struct subscriptions is made when the first of its sessions needs it, and ends with its last subscriber.
 * A subscriber is the part of one session. It ends when the session leaves the tenant. The tenant is charged for all of
 * it. */
#pragma once

#include "atomdb/events/change_queue.h"
#include "atomdb/events/push.h"
#include "atomdb/session/client_memory.h"
#include "atomdb/session/session.h"
#include "atomdb/util/hashtable.h"
#include "atomdb/util/serialize.h"

struct transaction;
struct tracking;
struct changes;

/* Kinds of subscriptions. */
enum channel_kind {
	CHANNEL_GLOBAL,
	CHANNEL_SHARD,
	CHANNEL_PATTERN,
	CHANNEL_WATCHED_KEY,
	CHANNEL_TRACKED_KEY,
	CHANNEL_TRACKED_PREFIX
};
#define CHANNEL_KINDS 6

/* The work that the messages about one command of a tenant may take. Each value other than AUDIENCE_SMALL is a reason
 * for attention (session_count_attention()). */
enum audience {
	AUDIENCE_SMALL,    /* some microseconds */
	AUDIENCE_PATTERNS, /* keyspace events are matched with patterns: this takes long for a long name */
	AUDIENCE_LARGE,    /* there are many receivers, or long patterns */
};

/* A channel exists while it has subscriptions. */
struct channel {
	struct hash_link link;     /* in subscriptions->channels */
	struct list order;         /* in subscriptions->kinds[kind].channels, oldest first */
	struct list subscriptions; /* subscription.by_channel, oldest first */
	uint64_t count;            /* number of subscriptions */
	struct changes *changes;   /* owned: changed keys of a prefix, sent at the end of the turn; NULL: none */
	enum channel_kind kind;
	uint16_t database; /* database of a watched key; 0 for other kinds */
	bool matches;      /* mark of a pattern that matches the current name */
	bool changes_lost; /* there was no room for the changed keys of the prefix */
	size_t length;
	char name[];
};

struct subscription {
	struct hash_link link; /* in subscriptions->subscriptions */
	struct list by_channel;
	struct list by_subscriber;
	struct channel *channel;
	struct session *session;
};

/* The subscriptions of one session. */
struct subscriber {
	struct subscription_set {
		struct list subscriptions; /* subscription.by_subscriber */
		uint64_t count;
	} kinds[CHANNEL_KINDS];
	struct transaction *transaction; /* owned: MULTI; NULL: none */
	struct tracking *tracking;       /* owned: CLIENT TRACKING; NULL: off */
	struct list redirected; /* tracking.redirect_link of sessions that redirect their invalidations to this one */
	struct list monitor;    /* in subscriptions->monitors, for MONITOR */
	struct session *session;
	bool by_prefix; /* CLIENT TRACKING is on with BCAST */
};

struct subscriptions {
	struct environment *env;
	struct tenant *tenant;
	struct hashtable channels;
	struct hashtable subscriptions;
	struct {
		struct list channels;
		uint64_t count;
		uint64_t length; /* total length of all names */
		uint64_t subscriptions;
	} kinds[CHANNEL_KINDS];
	uint64_t subscribers;
	/* For this struct, the channels and the subscriptions, except those of CHANNEL_TRACKED_KEY. */
	struct client_charge charge;
	uint64_t tracked_bytes; /* charged to the tenant for CHANNEL_TRACKED_KEY */
	uint64_t interest;      /* number of reasons to report changed keys: see subscriptions_interest() */
	uint64_t trackers;      /* sessions with CLIENT TRACKING */
	struct list tracking;   /* tracking.link */
	struct list monitors;   /* subscriber.monitor */
	uint64_t monitor_count;
	struct push push;
	int64_t own_redirect;        /* the running command ended its tracking: the id that its own invalidations go
					to; 0: to itself */
	uint64_t event_work;         /* steps left for matching the keyspace events of one command with the patterns */
	uint64_t event_count;        /* id of the current command: the number of the tenant's commands */
	uint64_t event_ns;           /* time when the current command began */
	struct change_queue changed; /* changes whose messages are not sent yet: see events.h */
	uint64_t collected;          /* changed keys collected for prefixes */
	bool collected_many;         /* they are too many to wait for the end of the turn */
	struct subscriptions *next;  /* in env->unsent */
	bool unsent;                 /* linked in env->unsent */
	bool in_change;              /* the store is in the middle of a change: there are no check points */
};

/* Creates the subscriber of the session, and the subscriptions of the tenant if there are none. Returns 0, or
 * ATOMDB_E_OOM if the quota has no room. */
int subscriber_open(struct session *s);
/* Module hook: frees the subscriber of the session, and the subscriptions with the last subscriber. The session is
 * still attached to its tenant. */
void subscriber_close(struct session *s);

/* Module hook: ends up to `units` subscriptions of each kind. Returns whether there are more. */
bool subscriptions_shed(struct session *s, unsigned units);

static inline uint64_t subscription_count(const struct session *s, enum channel_kind kind) {
	return s->subscriber == NULL ? 0 : s->subscriber->kinds[kind].count;
}

/* Subscribes a session that has a subscriber. Returns 1, 0 if it is already subscribed, or ATOMDB_E_OOM. */
int subscription_add(struct session *s, enum channel_kind kind, unsigned database, struct slice name);
/* Ends a subscription. Returns false if there is none. */
bool subscription_remove(struct session *s, enum channel_kind kind, unsigned database, struct slice name);
void subscription_end(struct subscription *m);
/* Ends all subscriptions of one kind. */
void subscription_remove_all(struct session *s, enum channel_kind kind);
/* Returns the channel, or NULL. */
struct channel *subscriptions_find(const struct subscriptions *h, enum channel_kind kind, unsigned database,
				   struct slice name);
/* Like subscriptions_find(), with check points if the name is long. */
struct channel *subscriptions_look_up(const struct subscriptions *h, enum channel_kind kind, unsigned database,
				      struct slice name);

static inline struct slice channel_name(const struct channel *t) {
	return (struct slice){t->name, t->length};
}

/* Sets tenant->clients.audience. Call it after a change of the subscriptions, trackers, monitors or event classes. */
void subscriptions_measure_audience(struct subscriptions *h);
/* Returns whether the command must run on a fiber because the messages about it may take long. */
bool subscriptions_make_long(const struct tenant *t, const struct request *r);
/* Schedules the tenant's messages for the end of the turn, behind those of earlier calls. */
void subscriptions_send_later(struct subscriptions *h);

/* Adds `change` to the number of reasons for which the store must report changed keys of the tenant. */
void subscriptions_interest(struct subscriptions *h, int change);

/* Module hooks: write the subscriptions of a session for the next process, and restore them. Return 0, ATOMDB_E_FORMAT
 * or ATOMDB_E_OOM. */
void subscriptions_serialize(const struct session *s, struct serializer *out, const char *name);
int subscriptions_deserialize(struct session *s, struct slice record);
