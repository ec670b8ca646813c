/* What is between the clients of one tenant: who listens to what.
 *
 *   tenant -> hub -> topics: channels, patterns, watched keys, tracked keys, prefixes
 *                      | members          ^
 *   session -> peer -> memberships -------'
 *
 * A hub is made when the first session of the tenant needs it and ends with the last peer; a peer is a session's part
 * in it and ends when the session leaves the tenant. All their memory is charged to the tenant. */
#pragma once

#include "atomdb/session/session.h"
#include "atomdb/session/shared_buffer.h"
#include "atomdb/util/hashtable.h"

struct transaction;
struct tracking;
struct changes;

/* What sessions can be members of. */
enum topic_kind { TOPIC_CHANNEL, TOPIC_SHARD_CHANNEL, TOPIC_PATTERN, TOPIC_WATCHED, TOPIC_TRACKED, TOPIC_PREFIX };
#define TOPIC_KINDS 6

/* Exists while it has members. */
struct topic {
	struct hash_link link;   /* in hub->topics */
	struct list order;       /* in hub->kinds[kind].topics, oldest first */
	struct list members;     /* membership.by_topic, oldest first */
	uint64_t count;          /* of them */
	struct changes *changes; /* owned: of a prefix, what is to be told at the end of the turn; NULL: nothing */
	enum topic_kind kind;
	uint16_t database; /* of a watched key; 0 for the others */
	bool matches;      /* of a pattern: the name at hand */
	size_t length;
	char name[];
};

struct membership {
	struct hash_link link; /* in hub->memberships */
	struct list by_topic;
	struct list by_peer;
	struct topic *topic;
	struct session *session;
};

/* A session's part. */
struct peer {
	struct topic_set {
		struct list memberships; /* membership.by_peer */
		uint64_t count;
	} kinds[TOPIC_KINDS];
	struct transaction *transaction; /* owned: MULTI; NULL: none */
	struct tracking *tracking;       /* owned: CLIENT TRACKING; NULL: off */
	struct list redirected;          /* tracking.redirect_link of those that send their invalidations here */
	struct list monitor;             /* in hub->monitors: MONITOR */
	struct session *session;
	uint64_t bytes;   /* that it would free alone: memberships with their topics, kept commands */
	uint64_t leaving; /* of tenant->leaving_bytes */
};

struct hub {
	struct environment *env;
	struct tenant *tenant;
	struct hashtable topics;
	struct hashtable memberships;
	struct {
		struct list topics;
		uint64_t count;
		uint64_t length; /* of all their names */
		uint64_t memberships;
	} kinds[TOPIC_KINDS];
	uint64_t peers;
	uint64_t tracked_bytes;  /* charged for TOPIC_TRACKED */
	uint64_t trackers;       /* sessions with CLIENT TRACKING */
	struct list tracking;    /* tracking.link */
	struct list monitors;    /* peer.monitor */
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
	struct hub *next;     /* in env->broadcasts */
	bool broadcasts;      /* is in there */
};

/* The session's peer, and with it the tenant's hub. NULL: the quota leaves no room, and that was answered. */
struct peer *hub_peer(struct session *s);
/* Ends the session's peer, and the hub with the last of them. The session still has its tenant. */
void hub_leave(struct session *s);

static inline uint64_t hub_joined(const struct session *s, enum topic_kind kind) {
	return s->peer == NULL ? 0 : s->peer->kinds[kind].count;
}

/* Makes the session, which has a peer, a member: 1; 0 where it is one already; ATOMDB_E_OOM, -ENOMEM. */
int hub_join(struct session *s, enum topic_kind kind, unsigned database, struct slice name);
/* Ends a membership; false where there is none. */
bool hub_part(struct session *s, enum topic_kind kind, unsigned database, struct slice name);
void hub_end_membership(struct membership *m);
/* Ends all of one kind. */
void hub_part_all(struct session *s, enum topic_kind kind);
/* NULL for none. */
struct topic *hub_find(const struct hub *h, enum topic_kind kind, unsigned database, struct slice name);

static inline struct slice topic_name(const struct topic *t) {
	return (struct slice){t->name, t->length};
}

/* Decides anew whether the store is to tell of changes, and whether sessions are to be looked at. */
void hub_refresh(struct tenant *t);

/* A session begins to run a command. */
void hub_begin_command(struct hub *h, struct session *s);
/* The command has replied. Sends its session the pushes that were kept for it. */
void hub_end_command(struct hub *h);
/* Appends bytes to `to`, which is h->deferred or h->own, and charges them until the command ends. If they are more than
 * the session's reply may take, its writer fails. */
void hub_hold(struct hub *h, struct buffer *to, const void *bytes, size_t len);
/* Sends bytes that are RESP to a session. A session that runs a command gets them behind its reply once that has begun.
 */
void hub_push(struct hub *h, struct session *to, struct slice bytes);
/* A message is a body, which all receivers are sent, behind a head. Begins a body of about `size` bytes, as RESP3. A
 * large one is shared by its receivers and charged here; the writer has failed where there is no room. */
struct writer hub_body(struct hub *h, size_t size);
/* The body so far. */
struct slice hub_body_bytes(const struct hub *h);
/* Begins a message of `elements`, for receivers that differ in this; what is not written here is the body. */
struct writer hub_head(struct hub *h, size_t elements);
/* Sends head and body to a session, in its protocol. */
void hub_send(struct hub *h, struct session *to);
/* Sends the body alone. */
void hub_send_body(struct hub *h, struct session *to);
/* The message has been sent to all. */
void hub_end_message(struct hub *h);
