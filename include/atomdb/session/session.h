/* A session: what a connection is to the commands. The hinge between net and store; it knows no fd.
 *
 * Belongs to one worker at a time: the one that accepted the connection, and from AUTH on the one that owns the tenant.
 */
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

/* Fields of INFO, CLIENT INFO and CLIENT LIST that only the connection knows. */
struct client_facts {
	char address[64]; /* "127.0.0.1:40000", "[::1]:40000", "/run/atomdb/atomdb.sock:0" */
	char local_address[64];
	int fd;                /* for the operator alone: its number counts others' connections */
	uint64_t query_bytes;  /* unparsed input held */
	uint64_t output_bytes; /* unsent replies held */
	uint64_t memory;       /* heap bytes of the connection, its buffers included */
};

/* The interface of the connection floor for commands. */
struct session_host {
	void (*describe)(struct session *s, struct client_facts *facts);
	/* Closes the session's connection: at once for another session, after the replies for the caller's own. */
	void (*close)(struct session *s);
	/* Sends bytes that are RESP already to any session of this worker: behind the replies so far for the caller's
	 * own, at the end of the turn for others. A client that does not read is closed as for its replies. */
	void (*push)(struct session *s, struct slice bytes);
	/* The same with bytes behind `head` that other sessions are sent too, and that are held once for all of them.
	 */
	void (*push_shared)(struct session *s, struct slice head, struct shared *shared);
	/* Sessions whose commands had OUTCOME_BLOCKED may be tried again. */
	void (*wake)(struct environment *env);
	/* Calls visit for every session of this worker. It may close that one. */
	void (*each)(struct environment *env, void (*visit)(void *context, struct session *s), void *context);
	/* What is needed to send a call: 0 or -ENOMEM. Then it goes to all other workers, or the control plane. */
	int (*prepare_fanout)(struct environment *env, struct fanout *c);
	void (*send_fanout)(struct environment *env, struct fanout *c);
	/* Whether the tenant may have one client more, beside those of all others; counts it if not. May be NULL. */
	bool (*has_place)(const struct session *s, const struct tenant *t);
	/* A number for where the client comes from: the address of another host, or the user at the other end of a Unix
	 * socket; 0: loopback, where all have one address. May be NULL. */
	uint64_t (*source)(const struct session *s);
	/* The session is about to leave its tenant: takes back what the connection charged it. May be NULL. */
	void (*leaving)(struct session *s);
	/* Sends the lines of environment.feed to the operator's worker before the turn ends. May be NULL. */
	void (*send_monitor_feed)(struct environment *env);
	/* Bytes of memory that the connection makes its tenant hold. May be NULL. */
	uint64_t (*held)(const struct session *s);
	/* Frees the buffers of another session's connection, of `held` bytes with what the session itself holds, and
	 * closes it at the end of the turn. NULL: it cannot. */
	void (*evict)(struct session *s, uint64_t held);
};

/* Lines for the operator's MONITOR: sent to its worker at the end of the turn. */
struct monitor_feed {
	unsigned watchers; /* 0: none, and nothing is written */
	unsigned worker;   /* the operator's */
	struct buffer lines;
	bool lost; /* there was no memory for a line */
};

/* Bytes of a value that a reply ends with, but for CRLF. */
struct pinned {
	struct pin *pin; /* NULL: none */
	struct slice bytes;
};

/* The sources of clients that tried wrong or new secrets lately: see src/commands/connection/auth_limit.h. */
#define AUTH_SOURCES 256
struct auth_source {
	uint64_t source;
	uint64_t due_ns; /* when all of them are paid for, by CLOCK_MONOTONIC */
};

/* State shared by the sessions of one worker. Only its thread uses it; the counters may be read by all threads. */
struct environment {
	struct registry *registry;
	unsigned worker; /* this worker's number */
	unsigned worker_count;
	struct settings settings;
	const struct session_host *host;
	const struct command_set *command_set;
	const struct session_modules *modules; /* NULL: none */
	const struct log_sink *events;
	struct clock_rate clock_start;
	int64_t start_ms;                      /* CLOCK_REALTIME at the start of the daemon */
	const char *run_id;                    /* 40 hex digits */
	const char *config_file;               /* "" when none was given */
	int64_t now_ms;                        /* this turn: CLOCK_REALTIME */
	int64_t steady_ms;                     /* this turn: CLOCK_MONOTONIC, which nobody sets: ages, timeouts */
	uint64_t now_ns;                       /* this turn: CLOCK_MONOTONIC */
	struct fanout *fanouts;                /* of sessions here that wait: see fanout.h */
	struct monitor_feed feed;              /* what the operator's MONITOR is told of commands here */
	struct subscriptions *monitors_of_all; /* of the operator's tenant, where its clients MONITOR; NULL elsewhere */
	struct subscriptions *broadcasts;      /* tenants whose clients are to be told at the end of the turn */
	struct session *running;               /* whose commands run now, or NULL */
	uint64_t pattern_work;                 /* see pattern_work() in reply.h */
	struct buffer scratch;                 /* for handlers that build text; empty between commands */
	struct pinned pinned;                  /* of the command that had OUTCOME_PINNED_TAIL */
	struct command_index index;            /* built at the first use */
	int sample_in;                         /* commands up to the next that HOTKEYS looks at */
	uint64_t sample_random;                /* state of the generator behind that */
	uint64_t duration_scale;               /* units of a command's duration in a tick: see counters.h */
	struct command_counters commands[COMMAND_COUNT];
	uint64_t new_tenants_due_ns; /* auth_limit.c's, as what follows */
	struct auth_source auth_sources[AUTH_SOURCES];
	counter auth_failures;
	counter rejected_clients; /* for max_clients of their tenant */
	counter rejected_tenants; /* for max_tenants */
	counter unknown_commands;
};

enum session_flag {
	SESSION_NO_EVICT = 1 << 0,
	SESSION_NO_TOUCH = 1 << 1,
	SESSION_REPLY_OFF = 1 << 2,
	SESSION_CLOSING = 1 << 3,           /* close after the replies are sent */
	SESSION_REPLY_SKIP_NEXT = 1 << 4,   /* the next command is not answered: CLIENT REPLY SKIP */
	SESSION_REPLY_SKIP = 1 << 5,        /* the running command is not */
	SESSION_MULTI = 1 << 6,             /* commands are kept for EXEC, or EXEC runs them */
	SESSION_EXECUTING = 1 << 7,         /* EXEC runs them */
	SESSION_DIRTY_KEYS = 1 << 8,        /* a watched key has changed */
	SESSION_DIRTY_QUEUE = 1 << 9,       /* a command of the transaction was refused */
	SESSION_SUBSCRIBED = 1 << 10,       /* to a channel or a pattern */
	SESSION_TRACKING = 1 << 11,         /* CLIENT TRACKING */
	SESSION_TENANT_ATTENTION = 1 << 12, /* tenant->clients.attention */
	SESSION_MONITOR = 1 << 13,          /* is told of every command */
	/* They end when the session leaves its tenant. */
	SESSION_EVENT_FLAGS = SESSION_MULTI | SESSION_EXECUTING | SESSION_DIRTY_KEYS | SESSION_DIRTY_QUEUE |
			      SESSION_SUBSCRIBED | SESSION_TRACKING | SESSION_MONITOR,
	SESSION_SLEEPING = 1 << 14, /* its DEBUG SLEEP waits */
	/* It had MONITOR in the process before: see session_link. */
	SESSION_MONITOR_KEPT = 1 << 15,
	SESSION_EVICTED = 1 << 16, /* closed at the end of the turn */
	SESSION_RESUMED = 1 << 17, /* it was there before the restart: it has its place */
	SESSION_NAMED = 1 << 20,   /* AUTH gave the tenant's name: see session_user */
	SESSION_SECRET = 1 << 18,  /* the running command has secrets among its arguments: they are wiped behind it */
	SESSION_AUTH_PASSED = 1 << 19, /* the AUTH that goes to another worker was counted */
	SESSION_PAUSED = 1 << 21,      /* its command waits for the end of CLIENT PAUSE */
	/* With any of these a command is not simply run. */
	SESSION_ATTENTION = SESSION_REPLY_SKIP_NEXT | SESSION_REPLY_SKIP | SESSION_MULTI | SESSION_SUBSCRIBED |
			    SESSION_TRACKING | SESSION_TENANT_ATTENTION | SESSION_MONITOR | SESSION_PAUSED,
};

struct session {
	struct environment *env; /* of the worker that has it now */
	struct tenant *tenant;   /* NULL until a secret (or the anonymous tenant) opened one */
	struct writer *reply;    /* set by the worker for the batch being run */
	struct list tenant_link; /* in tenant->clients.sessions */
	uint64_t id;             /* among its tenant's clients; the operator's own have the global one */
	uint64_t global_id;      /* among all clients: for the operator alone, since it counts others' connections */
	int64_t created_ms;      /* by environment.steady_ms, as last_ms */
	int64_t populated;       /* keys that the running DEBUG POPULATE has made */
	int64_t last_ms;         /* of the last byte that moved, or command that ran: idle time */
	char *name;              /* owned, or NULL: CLIENT SETNAME */
	char *lib_name, *lib_version;  /* owned, or NULL: CLIENT SETINFO */
	const struct command *last;    /* the last command, for CLIENT LIST */
	struct subscriber *subscriber; /* owned, or NULL: see events/subscriptions.h */
	uint64_t event_bytes;          /* charged for it by modules, and freed when it leaves its tenant */
	uint64_t leaving_bytes;        /* of tenant->clients.leaving_bytes */
	uint64_t auth_due_ns;          /* auth_limit.c's: when its wrong or new secrets are paid for */
	int64_t wait_ms;               /* with OUTCOME_BLOCKED: until when, by environment.steady_ms; 0: not by time */
	uint64_t lost_watch;           /* tenant that it left with watched keys: see watched.c; 0: none */
	uint32_t attachments;          /* how often it was given a tenant: hashes of keys are the tenant's own */
	uint32_t flags;                /* enum session_flag */
	uint16_t home;                 /* with OUTCOME_MIGRATE: the worker to go to */
	uint8_t database;              /* set by session_select */
	uint8_t db_slot;               /* where that is: keyspace_db_slot */
	uint8_t protocol;              /* 2 or 3 */
};

/* A command, parsed. argv points into the connection's input and is valid while it runs. */
struct request {
	const struct slice *argv;
	uint32_t argc;
	const struct command *command; /* NULL: unknown; set by dispatch_prepare */
	struct key key;                /* its first key with the hash, when `hashed` */
	uint32_t hashed;               /* session->attachments when the key was hashed; 0: it was not */
	uint64_t prepared;             /* dispatch's own, as what follows: when it was prepared */
	const void *bucket;            /* what to fetch next; NULL: nothing */
	const struct entry *entry;     /* likewise */
};

/* Returns whether argument `i` is a secret, which no log shows. The command is known. */
static inline bool request_is_secret(const struct request *r, uint32_t i) {
	return r->command->is_secret != NULL && r->command->is_secret(r->argv, i);
}

/* `global_id` is unique over all workers and the daemon's life. */
void session_init(struct session *s, struct environment *env, uint64_t global_id);
/* Leaves the tenant (which may end it: registry_release) and frees what the session owns. */
void session_deinit(struct session *s);

/* Makes `t`, a tenant of this worker, the session's; leaves the present one first. 0; ATOMDB_E_FULL when max_clients
 * of the tenant is reached, or ATOMDB_E_OOM: the session has no tenant then. */
int session_attach(struct session *s, struct tenant *t);
/* Leaves the tenant, as before AUTH: database 0, no name. The session may then go to another worker. */
void session_detach(struct session *s);
/* The tenant's session of that id, or NULL. */
struct session *session_by_id(const struct tenant *t, uint64_t id);
/* Counts reasons for which the commands of the tenant's sessions are not simply run: `change` more of them. */
void session_count_attention(struct tenant *t, int change);
/* CLIENT PAUSE: the tenant's clients wait until `end_ms`, by environment.steady_ms; 0: they do not. `all`: not only to
 * write. */
void session_pause(struct tenant *t, int64_t end_ms, bool all);
/* Chooses a database (0 to 15) of the session's tenant. */
void session_select(struct session *s, unsigned database);
/* The user that the client is: the tenant's name if AUTH gave it, also when the tenant was renamed since, or "default".
 */
const char *session_user(const struct session *s);
/* Whether the client may run commands: it has a tenant, or the anonymous one waits for it. */
bool session_authenticated(const struct session *s);
