/* A session: the state of a client that commands use. It connects net and store, and has no file descriptor.
 *
 * It belongs to one worker at a time: first to the worker that accepted the connection, and after AUTH to the worker
 * that owns the tenant. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "atomdb/resp/writer.h"
#include "atomdb/session/command.h"
#include "atomdb/session/counters.h"
#include "atomdb/session/settings.h"
#include "atomdb/store/keyspace.h"
#include "atomdb/store/pin.h"
#include "atomdb/store/registry.h"
#include "atomdb/util/clock.h"
#include "atomdb/util/list.h"
#include "atomdb/util/log.h"

struct session;
struct environment;
struct subscriber;
struct subscriptions;
struct fanout;
struct shared;
struct session_modules;

/* Fields of INFO, CLIENT INFO and CLIENT LIST that come from the connection. */
struct client_facts {
	char address[64]; /* "127.0.0.1:40000", "[::1]:40000", "/run/atomdb/atomdb.sock:0" */
	char local_address[64];
	int fd;                /* only the operator sees it: it reveals the number of connections */
	uint64_t query_bytes;  /* unparsed input in bytes */
	uint64_t output_bytes; /* unsent replies in bytes */
	uint64_t memory;       /* heap bytes of the connection, with its buffers */
};

/* The interface of the connection floor for commands. */
struct session_host {
	void (*describe)(struct session *s, struct client_facts *facts);
	/* Closes the session's connection: another session's at once, the caller's own after its replies. */
	void (*close)(struct session *s);
	/* Sends bytes that are already RESP to any session of this worker. The caller's own session gets them behind
	 * its replies so far, others at the end of the turn. A client that does not read is closed, as for its replies.
	 */
	void (*push)(struct session *s, struct slice bytes);
	/* The same with bytes behind `head` that several sessions share in memory. */
	void (*push_shared)(struct session *s, struct slice head, struct shared *shared);
	/* The commands of sessions with OUTCOME_BLOCKED may be tried again. */
	void (*wake)(struct environment *env);
	/* Calls on_session() of the fanout for every session of this worker, in slices, and then counts the answer. */
	void (*visit)(struct environment *env, struct fanout *c);
	/* Runs an admitted command that may take long on a fiber, by dispatch_run_admitted(). Returns
	 * OUTCOME_SUSPENDED if the command goes on later. NULL: commands run in one piece. */
	enum outcome (*run_long)(struct session *s, struct request *r, uint64_t *ticks);
	/* Allocates the messages of a fanout: 0 or -ENOMEM. The second sends it to all other workers, or to the control
	 * plane. */
	int (*prepare_fanout)(struct environment *env, struct fanout *c);
	void (*send_fanout)(struct environment *env, struct fanout *c);
	/* Returns whether the tenant may have one more client, and counts it as rejected if not. May be NULL. */
	bool (*has_place)(const struct session *s, const struct tenant *t);
	/* Returns a number for the source of the client: the address of another host, or the user at the other end of a
	 * Unix socket; 0 for all loopback addresses. May be NULL. */
	uint64_t (*source)(const struct session *s);
	/* The session is about to leave its tenant: discharges the connection's bytes. May be NULL. */
	void (*leaving)(struct session *s);
	/* Sends the lines of environment.feed to the operator's worker before the turn ends. May be NULL. */
	void (*send_monitor_feed)(struct environment *env);
	/* Returns the bytes of memory that the connection makes its tenant hold. May be NULL. */
	uint64_t (*held)(const struct session *s);
	/* Frees the buffers of another session's connection, and closes it at the end of the turn. `held` are the bytes
	 * that it and its session hold. NULL: not supported. */
	void (*evict)(struct session *s, uint64_t held);
};

/* Lines for the operator's MONITOR, sent to its worker at the end of the turn. */
struct monitor_feed {
	unsigned watchers; /* number of monitors; 0: nothing is written */
	unsigned worker;   /* the operator's worker */
	struct buffer lines;
	bool lost; /* a line was dropped for lack of memory */
};

/* A pinned value with which a reply ends, except for CRLF. */
struct pinned {
	struct pin *pin; /* NULL: none */
	struct slice bytes;
};

/* The sources of clients that recently tried wrong or new secrets: see src/commands/connection/auth_limit.h. */
#define AUTH_SOURCES 256
struct auth_source {
	uint64_t source;
	uint64_t due_ns; /* when all attempts are paid for, by CLOCK_MONOTONIC */
};

/* State that the sessions of one worker share. Only its thread uses it; any thread may read the counters. */
struct environment {
	struct registry *registry;
	unsigned worker; /* number of this worker */
	unsigned worker_count;
	struct settings settings;
	const struct session_host *host;
	const struct command_set *command_set;
	const struct session_modules *modules; /* NULL: none */
	const struct log_sink *events;
	struct clock_rate clock_start;
	int64_t start_ms;         /* CLOCK_REALTIME at the start of the daemon */
	const char *run_id;       /* 40 hexadecimal digits */
	const char *config_file;  /* "" if not given */
	int64_t now_ms;           /* this turn: CLOCK_REALTIME */
	int64_t steady_ms;        /* this turn: CLOCK_MONOTONIC, in milliseconds, for ages and timeouts */
	uint64_t now_ns;          /* this turn: CLOCK_MONOTONIC */
	struct fanout *fanouts;   /* fanouts of sessions here that wait: see fanout.h */
	struct monitor_feed feed; /* lines of commands here for the operator's MONITOR */
	struct subscriptions
		*monitors_of_all;     /* of the operator's tenant, if its clients MONITOR; NULL on other workers */
	struct subscriptions *unsent; /* subscriptions with messages to send at the end of the turn, the oldest
					 first */
	struct session *running;      /* the session whose command runs now, or NULL */
	uint64_t away_ticks;          /* clock_ticks() in which the running command was suspended */
	uint64_t pattern_work;        /* see pattern_work() in reply.h */
	struct tenant *awaited;       /* tenant that a command with OUTCOME_BUSY waits for */
	struct buffer scratch;        /* for handlers that build text; empty between commands */
	struct pinned pinned;         /* value of a command that returned OUTCOME_PINNED_TAIL */
	struct command_index index;   /* built at the first use */
	int sample_in;                /* commands until the next sample of HOTKEYS */
	uint64_t sample_random;       /* state of its random generator */
	uint64_t duration_scale;      /* units of a command's duration per tick: see counters.h */
	struct command_counters commands[COMMAND_COUNT];
	uint64_t new_tenants_due_ns; /* used by auth_limit.c, like the members below */
	struct auth_source auth_sources[AUTH_SOURCES];
	counter auth_failures;
	counter rejected_clients; /* clients refused for max_clients of their tenant */
	counter rejected_tenants; /* clients refused for max_tenants */
	counter unknown_commands;
};

enum session_flag {
	SESSION_NO_EVICT = 1 << 0,
	SESSION_NO_TOUCH = 1 << 1,
	SESSION_REPLY_OFF = 1 << 2,
	SESSION_CLOSING = 1 << 3,           /* close after the replies are sent */
	SESSION_REPLY_SKIP_NEXT = 1 << 4,   /* the next command is not answered: CLIENT REPLY SKIP */
	SESSION_REPLY_SKIP = 1 << 5,        /* the running command is not answered */
	SESSION_MULTI = 1 << 6,             /* commands are queued for EXEC, or EXEC runs them */
	SESSION_EXECUTING = 1 << 7,         /* EXEC runs them */
	SESSION_DIRTY_KEYS = 1 << 8,        /* a watched key has changed */
	SESSION_DIRTY_QUEUE = 1 << 9,       /* a command of the transaction was refused */
	SESSION_SUBSCRIBED = 1 << 10,       /* subscribed to a channel or a pattern */
	SESSION_TRACKING = 1 << 11,         /* CLIENT TRACKING */
	SESSION_TENANT_ATTENTION = 1 << 12, /* tenant->clients.attention is set */
	SESSION_MONITOR = 1 << 13,          /* receives every command */
	/* Flags that end when the session leaves its tenant. */
	SESSION_EVENT_FLAGS = SESSION_MULTI | SESSION_EXECUTING | SESSION_DIRTY_KEYS | SESSION_DIRTY_QUEUE |
			      SESSION_SUBSCRIBED | SESSION_TRACKING | SESSION_MONITOR,
	SESSION_SLEEPING = 1 << 14, /* its DEBUG SLEEP waits */
	/* It had MONITOR in the previous process: see session_link. */
	SESSION_MONITOR_KEPT = 1 << 15,
	SESSION_EVICTED = 1 << 16, /* leaves its tenant soon, at the end of the turn or in parts */
	SESSION_RESUMED = 1 << 17, /* restored after a restart: it has a client's place already */
	SESSION_NAMED = 1 << 20,   /* AUTH gave the name of the tenant: see session_user */
	SESSION_SECRET = 1 << 18, /* the arguments of the running command contain secrets, which are wiped afterwards */
	SESSION_AUTH_PASSED = 1 << 19, /* the AUTH that moves or waits is already counted: its secret opens a tenant */
	SESSION_PAUSED = 1 << 21,      /* its command waits for the end of CLIENT PAUSE */
	SESSION_SUSPENDED = 1 << 22,   /* its command is suspended */
	SESSION_LONG = 1 << 24,        /* the command has CMD_LONG */
	SESSION_LARGE = 1 << 23,       /* the command has so large arguments that it takes long */
	/* A command of a session with any of these flags takes the slow path. */
	SESSION_ATTENTION = SESSION_REPLY_SKIP_NEXT | SESSION_REPLY_SKIP | SESSION_MULTI | SESSION_SUBSCRIBED |
			    SESSION_TRACKING | SESSION_TENANT_ATTENTION | SESSION_MONITOR | SESSION_PAUSED |
			    SESSION_LARGE | SESSION_LONG,
};

struct session {
	struct environment *env; /* of the worker that has the session now */
	struct tenant *tenant;   /* NULL until a secret (or the anonymous tenant) has opened one */
	struct writer *reply;    /* set by the worker for the batch being run */
	struct list tenant_link; /* linked in tenant->clients.sessions */
	uint64_t id;             /* id among the clients of its tenant; for the operator's own clients the global id */
	uint64_t global_id;      /* id among all clients; only the operator sees it, since it reveals the number of
				    connections */
	int64_t created_ms;      /* by environment.steady_ms, like last_ms */
	int64_t populated;       /* keys that the running DEBUG POPULATE has made */
	int64_t last_ms;         /* time of the last byte or command, for the idle time */
	char *name;              /* owned, or NULL: CLIENT SETNAME */
	char *lib_name, *lib_version;  /* owned, or NULL: CLIENT SETINFO */
	const struct command *last;    /* the last command, for CLIENT LIST */
	struct subscriber *subscriber; /* owned, or NULL: see events/subscriptions.h */
	uint64_t event_bytes;          /* bytes that modules have charged for it, freed when it leaves its tenant */
	uint64_t leaving_bytes;        /* part of tenant->clients.leaving_bytes */
	uint64_t auth_due_ns;          /* used by auth_limit.c: when its wrong or new secrets are paid for */
	int64_t wait_ms;      /* with OUTCOME_BLOCKED: end of the wait, by environment.steady_ms; 0: no time limit */
	uint64_t lost_watch;  /* a tenant that it left with watched keys: see watched.c; 0: none */
	uint32_t attachments; /* number of attachments to tenants: hashes of keys are specific to the tenant */
	uint32_t flags;       /* enum session_flag */
	uint16_t home;        /* with OUTCOME_MIGRATE: number of the target worker */
	uint8_t database;     /* set by session_select */
	uint8_t db_slot;      /* its slot: keyspace_db_slot */
	uint8_t protocol;     /* 2 or 3 */
};

/* The time of the running command for durations, in clock_ticks(): it stands still while the command is suspended. */
static inline uint64_t environment_ticks(const struct environment *env) {
	return clock_ticks() - env->away_ticks;
}

/* A parsed command. argv points into the connection's input and is valid while the command runs. */
struct request {
	const struct slice *argv;
	uint32_t argc;
	const struct command *command; /* NULL: unknown; set by dispatch_prepare */
	struct key key;                /* the first key with its hash, if `hashed` */
	uint32_t hashed;               /* session->attachments when the key was hashed; 0: not hashed */
	uint64_t prepared;             /* for dispatch, like the members below: generation when it was prepared */
	const void *bucket;            /* next memory to prefetch; NULL: none */
	const struct entry *entry;     /* next memory to prefetch; NULL: none */
};

/* Returns whether argument `i` is a secret, which no log shows. The command must be known. */
static inline bool request_is_secret(const struct request *r, uint32_t i) {
	return r->command->is_secret != NULL && r->command->is_secret(r->argv, i);
}

/* `global_id` is unique over all workers and the life of the daemon. */
void session_init(struct session *s, struct environment *env, uint64_t global_id);
/* Leaves the tenant (which may end it: registry_release) and frees the members of the session. */
void session_deinit(struct session *s);

/* Attaches the session to `t`, a tenant of this worker; leaves the present tenant first. Returns 0, ATOMDB_E_AGAIN
 * without a change if a command of the tenant is suspended, ATOMDB_E_FULL if max_clients of the tenant is reached, or
 * ATOMDB_E_OOM. After the last two the session has no tenant. */
int session_attach(struct session *s, struct tenant *t);
/* Frees up to `units` subscriptions, queued commands and the like of a session that is about to leave its tenant.
 * Returns whether it has more: session_detach() would take long. */
bool session_shed(struct session *s, unsigned units);
/* Leaves the tenant and resets the session to its state before AUTH: database 0, no name. The session may then move to
 * another worker. */
void session_detach(struct session *s);
/* Returns the tenant's session with that id, or NULL. */
struct session *session_by_id(const struct tenant *t, uint64_t id);
/* Adds `change` to the number of reasons for which commands of the tenant's sessions take the slow path. */
void session_count_attention(struct tenant *t, int change);
/* Call it after the limits of the tenant have changed. */
void session_follow_limits(struct tenant *t);
/* CLIENT PAUSE: pauses the tenant's clients until `end_ms`, by environment.steady_ms; 0 ends the pause. `all`: reads
 * wait too. */
void session_pause(struct tenant *t, int64_t end_ms, bool all);
/* Selects a database (0 to 15) of the session's tenant. */
void session_select(struct session *s, unsigned database);
/* Returns the user of the client: the name that AUTH gave, even if the tenant was renamed since, or "default". */
const char *session_user(const struct session *s);
/* Returns whether the client may run commands: it has a tenant, or may use the anonymous one. */
bool session_authenticated(const struct session *s);
