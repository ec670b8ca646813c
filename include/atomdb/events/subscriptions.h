/* What is between the clients of one tenant: who listens to what.
 *
 *   tenant -> subscriptions -> channels: channels, patterns, watched keys, tracked keys, prefixes
 *                      | members          ^
 *   session -> subscriber -> subscriptions -------'
 *
 * A subscriptions object is made when the first session of the tenant needs it and ends with the last subscriber; a
 * subscriber is a session's part in it and ends when the session leaves the tenant. All their memory is charged to the
 * tenant. */
#pragma once

#include "atomdb/session/session.h"
#include "atomdb/session/shared_buffer.h"
#include "atomdb/util/hashtable.h"

struct transaction;
struct tracking;
struct changes;

/* What sessions can be members of. */
enum channel_kind {
	CHANNEL_GLOBAL,
	CHANNEL_SHARD,
	CHANNEL_PATTERN,
	CHANNEL_WATCHED_KEY,
	CHANNEL_TRACKED_KEY,
	CHANNEL_TRACKED_PREFIX
};
#define CHANNEL_KINDS 6

/* Exists while it has members. */
struct channel {
	struct hash_link link;     /* in subscriptions->channels */
	struct list order;         /* in subscriptions->kinds[kind].channels, oldest first */
	struct list subscriptions; /* subscription.by_channel, oldest first */
	uint64_t count;            /* of them */
	struct changes *changes;   /* owned: of a prefix, what is to be told at the end of the turn; NULL: nothing */
	enum channel_kind kind;
	uint16_t database; /* of a watched key; 0 for the others */
	bool matches;      /* of a pattern: the name at hand */
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

/* A session's part. */
struct subscriber {
	struct subscription_set {
		struct list subscriptions; /* subscription.by_subscriber */
		uint64_t count;
	} kinds[CHANNEL_KINDS];
	struct transaction *transaction; /* owned: MULTI; NULL: none */
	struct tracking *tracking;       /* owned: CLIENT TRACKING; NULL: off */
	struct list redirected;          /* tracking.redirect_link of those that send their invalidations here */
	struct list monitor;             /* in subscriptions->monitors: MONITOR */
	struct session *session;
	uint64_t bytes;   /* that it would free alone: subscriptions with their channels, kept commands */
	uint64_t leaving; /* of tenant->leaving_bytes */
};

struct subscriptions {
	struct environment *env;
	struct tenant *tenant;
	struct hashtable channels;
	struct hashtable subscriptions;
	struct {
		struct list channels;
		uint64_t count;
		uint64_t length; /* of all their names */
		uint64_t subscriptions;
	} kinds[CHANNEL_KINDS];
	uint64_t subscribers;
	uint64_t tracked_bytes;  /* charged for CHANNEL_TRACKED_KEY */
	uint64_t trackers;       /* sessions with CLIENT TRACKING */
	struct list tracking;    /* tracking.link */
	struct list monitors;    /* subscriber.monitor */
	struct session *current; /* runs a command; known only where somebody must know */
	size_t reply_begin;      /* where its reply begins in its writer's buffer */
	struct buffer head;      /* of the message at hand, for one kind of receiver; begins with '*' or '>' */
	struct buffer body;      /* what comes behind it, for all; empty where it is shared */
	struct shared *shared;   /* a large body; or NULL */
	bool whole;              /* the head has the body behind it */
	struct buffer deferred;  /* pushes to `current` that must not come into the middle of its reply */
	struct buffer own;       /* its invalidations: it is told as the command ends, each with its size_t in front */
	uint64_t held;           /* bytes charged for these two */
	int64_t own_redirect; /* where they go if the command turned tracking off: the id that it had; 0: to itself */
	bool unplanned;       /* the change at hand is not of the running command's making: expired, evicted */
	uint64_t event_work;  /* left for matching the keyspace events of one command with the patterns */
	uint64_t event_count; /* commands that the tenant had run, and */
	uint64_t event_ns;    /* the time, when that began */
	struct subscriptions *next; /* in env->broadcasts */
	bool broadcasts;            /* is in there */
};

/* The session's subscriber, and with it the tenant's subscriptions. NULL: the quota leaves no room, and that was
 * answered. */
struct subscriber *subscriber_open(struct session *s);
/* Ends the session's subscriber, and the subscriptions with the last of them. The session still has its tenant. */
void subscriber_close(struct session *s);

static inline uint64_t subscription_count(const struct session *s, enum channel_kind kind) {
	return s->subscriber == NULL ? 0 : s->subscriber->kinds[kind].count;
}

/* Makes the session, which has a subscriber, a member: 1; 0 where it is one already; ATOMDB_E_OOM, -ENOMEM. */
int subscription_add(struct session *s, enum channel_kind kind, unsigned database, struct slice name);
/* Ends a subscription; false where there is none. */
bool subscription_remove(struct session *s, enum channel_kind kind, unsigned database, struct slice name);
void subscription_end(struct subscription *m);
/* Ends all of one kind. */
void subscription_remove_all(struct session *s, enum channel_kind kind);
/* NULL for none. */
struct channel *subscriptions_find(const struct subscriptions *h, enum channel_kind kind, unsigned database,
				   struct slice name);

static inline struct slice channel_name(const struct channel *t) {
	return (struct slice){t->name, t->length};
}

/* Decides anew whether the store is to tell of changes, and whether sessions are to be looked at. */
void subscriptions_refresh(struct tenant *t);

/* A session begins to run a command. */
void publish_begin_command(struct subscriptions *h, struct session *s);
/* The command has replied. Sends its session the pushes that were kept for it. */
void publish_end_command(struct subscriptions *h);
/* Appends bytes to `to`, which is h->deferred or h->own, and charges them until the command ends. If they are more than
 * the session's reply may take, its writer fails. */
void publish_hold(struct subscriptions *h, struct buffer *to, const void *bytes, size_t len);
/* Sends bytes that are RESP to a session. A session that runs a command gets them behind its reply once that has begun.
 */
void publish_push(struct subscriptions *h, struct session *to, struct slice bytes);
/* A message is a body, which all receivers are sent, behind a head. Begins a body of about `size` bytes, as RESP3. A
 * large one is shared by its receivers and charged here; the writer has failed where there is no room. */
struct writer publish_body(struct subscriptions *h, size_t size);
/* The body so far. */
struct slice publish_body_bytes(const struct subscriptions *h);
/* Begins a message of `elements`, for receivers that differ in this; what is not written here is the body. */
struct writer publish_head(struct subscriptions *h, size_t elements);
/* Sends head and body to a session, in its protocol. */
void publish_send(struct subscriptions *h, struct session *to);
/* Sends the body alone. */
void publish_send_body(struct subscriptions *h, struct session *to);
/* The message has been sent to all. */
void publish_end(struct subscriptions *h);
