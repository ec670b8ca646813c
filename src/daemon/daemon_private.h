/* The daemon's parts, for its own files. All of it is used by the main thread alone. */
#pragma once

#include <pthread.h>
#include <systemd/sd-event.h>

#include "atomdb/daemon/config.h"
#include "atomdb/daemon/config_document.h"
#include "atomdb/daemon/daemon.h"
#include "atomdb/daemon/daemon_options.h"
#include "atomdb/daemon/journal.h"
#include "atomdb/net/accept.h"
#include "atomdb/net/fanout.h"
#include "atomdb/net/messages.h"
#include "atomdb/net/worker.h"
#include "atomdb/observe/http.h"
#include "atomdb/store/memory_budget.h"
#include "daemon/config_live.h"
#include "daemon/config_rules.h"
#include "daemon/unit_job.h"
#include "daemon/watchdog.h"

#define RUN_ID_DIGITS 40

/* The names of the files that systemd keeps for the next process. */
#define STORED_NAME             32
#define STORED_SHARD            "atomdb-shard-" /* and the number */
#define STORED_STATE            "atomdb-state"
#define STORED_CLIENTS          "atomdb-clients"
#define STORED_RESTART_COUNTERS "atomdb-ledger"

/* The files that it handed to this process: descriptors, owned, or -1. */
struct stored {
	int shards[CONFIG_WORKERS];
	unsigned shard_count; /* the highest number and one */
	int state, clients, restart_counters;
};

/* One HTTP address in the loop. */
struct http_source {
	struct http *http;      /* owned */
	sd_event_source *input; /* owned */
	sd_event_source *timer; /* owned */
};

/* Recent refusals, from a counter of them. */
struct refusals {
	uint64_t seen;
	unsigned hold; /* ticks for which they still count as recent */
};

/* A live change of the operator, which the file does not have. */
struct live_change {
	struct list link;
	char tenant[TENANT_NAME_MAX + 1]; /* "": of the server */
	char what[CONFIG_KEY_MAX];        /* a key, LIVE_CREATED or LIVE_DROPPED */
};
#define LIVE_CREATED "created"
#define LIVE_DROPPED "dropped"

struct daemon {
	const struct daemon_options *options;
	struct journal *journal;
	const struct log_sink *events;
	struct config *config; /* owned; in force, except for keys that need a restart */

	struct listener *resp[CONFIG_ADDRESSES]; /* owned */
	unsigned resp_count;
	bool resp_passed;                                  /* systemd opened them */
	struct listener *http_listeners[CONFIG_ADDRESSES]; /* owned */
	unsigned http_count;
	bool http_passed;
	struct http_source http[CONFIG_ADDRESSES];

	struct worker *workers[CONFIG_WORKERS]; /* owned */
	struct shard *shards[CONFIG_WORKERS];   /* the workers' */
	int shard_errors[CONFIG_WORKERS];       /* of those that could not be made */
	const struct shard_counters *shard_counters[CONFIG_WORKERS];
	unsigned shard_count; /* at least as many as workers */
	bool has_store;       /* systemd keeps the shards */
	struct stored stored;
	struct recovery_counters recovery;
	unsigned worker_count;
	unsigned started; /* workers whose thread runs or ran */
	struct worker_shared shared;
	struct memory_budget budget;
	uint64_t memory_allowed;   /* its limit without memory pressure */
	struct registry *registry; /* owned */
	struct metrics_worker counters[CONFIG_WORKERS];
	struct metrics_sources sources;
	struct metrics *metrics; /* owned */
	struct health health;
	struct refusals refused_memory, refused_tenants;
	struct http_auth http_auth;    /* of HTTP */
	struct hosts hosts;            /* likewise */
	struct status_api *status_api; /* owned */
	struct page *page;             /* owned */
	struct http_content content;
	struct watchdog watchdog[CONFIG_WORKERS];
	struct watchdog_stop watchdog_stop;
	uint64_t step_ns;           /* when systemd was last asked for more time */
	uint64_t watchdog_limit_ns; /* a worker that owes an answer for longer is stuck */
	uint64_t watchdog_usec;     /* of systemd; 0: none */
	uint32_t client_room;       /* clients that the limit on open files allows */
	uint64_t memory_room;       /* bytes that the control group allows; UINT64_MAX: no limit */

	/* Calls of workers; the mutex guards these two. */
	pthread_mutex_t fanouts_mutex;
	struct fanout *fanouts; /* the latest first */
	int fanouts_fd;         /* eventfd: there are some */

	struct list live_changes; /* struct live_change, owned */
	uint64_t live_count;

	sd_event *loop;        /* owned */
	sd_event_source *tick; /* owned */
	unsigned ticks;
	char status[256]; /* the line that systemctl shows */
	char run_id[RUN_ID_DIGITS + 1];

	bool reload_failed; /* the last one */
	bool stopping;
	struct unit_job unit_job; /* the reason of the stop, if there is a store */
	bool reaper_started;
	_Atomic unsigned joined; /* workers whose thread the reaper has seen the end of, in order */
	pthread_t reaper;        /* waits for the workers, so that the loop can go on meanwhile */
	int stopped_fd;          /* eventfd: the reaper is done */
};

/* sockets.c: opens the addresses of the configuration, or takes the sockets of systemd. Errors are logged. */
int daemon_open_sockets(struct daemon *d);
/* Refuses further clients, and accepts those that wait: systemd's sockets stay open, and clients wait there for the
 * next process. Before the workers are asked to end. */
void daemon_stop_listening(struct daemon *d);
void daemon_close_sockets(struct daemon *d);
/* Warns of each address that the operator's configuration names and systemd's sockets, which are used, are not at. */
void daemon_compare_sockets(struct daemon *d, const struct config *config);

/* shards.c */

/* Takes over a file that systemd kept under that name. Returns false if the name is unknown, or is taken already. */
bool daemon_keep_stored(struct daemon *d, int fd, const char *name);
/* Makes the shards of the workers, from the kept files if there are any. Errors of the data are logged. */
int daemon_make_shards(struct daemon *d);
/* Gives the shards to systemd to keep, and logs what was recovered. */
int daemon_store_shards(struct daemon *d);
/* Warns if tenants together have more than the memory limit. */
void daemon_report_memory(struct daemon *d);
/* Leaves the shards to the next process, when nothing uses them any more. */
void daemon_save_shards(struct daemon *d);

/* handover.c */

/* Leaves the clients of the workers, which are frozen and joined, to the next process. Returns how many. */
size_t daemon_leave_clients(struct daemon *d);
/* Restores the clients that were left to this process, before the workers start. */
void daemon_resume_clients(struct daemon *d);

/* limits.c */
unsigned daemon_count_workers(const struct config *config);
/* Raises the limit on open files. Returns how many clients it allows. */
uint32_t daemon_client_room(unsigned workers);
/* Returns the settings of `config`, with max_clients lowered to the limit on open files, which is logged. */
struct settings daemon_settings(struct daemon *d, const struct config *config);

/* Returns the bytes that all tenants together may have, 0: no limit. The control group may allow less than the
 * configuration says, which is logged. */
uint64_t daemon_memory_budget(struct daemon *d, const struct config *config);

/* Lowers the memory limit of tenants while the control group is short of memory, and raises it again. Call it each
 * second. */
void daemon_watch_memory(struct daemon *d);

/* loop.c: the loop and its sources. */
int daemon_open_loop(struct daemon *d);
int daemon_run_loop(struct daemon *d);
void daemon_close_loop(struct daemon *d);

/* stop.c: asks the workers to finish. The loop, and with it /health, goes on until they have. */
void daemon_stop(struct daemon *d);

/* reload.c */
void daemon_reload(struct daemon *d);
/* Replaces the configuration by `wanted`, which the registry has already, and passes it to the workers and HTTP. */
void daemon_put_in_force(struct daemon *d, struct config *wanted);
/* Puts the tenancy of `wanted` in force. ATOMDB_E_LOSS: a tenant would lose its keys, and nothing changed; otherwise as
 * registry_reload. On failure `error` says why. */
int daemon_change_tenants(struct daemon *d, const struct config *wanted, struct config_error *error);
/* Sets the secret and the hosts of HTTP from a configuration. */
void daemon_set_http_auth(struct daemon *d, const struct config *config);
/* Checks the open sockets against `wanted`. Returns 0 or ATOMDB_E_SYNTAX. */
int daemon_check_sockets(struct daemon *d, const struct config *wanted, struct config_error *error);

/* control_plane.c: the control plane's part in the operator's commands. */
void daemon_ask(void *context, struct fanout *c); /* struct control_plane's */
void daemon_answer_fanouts(struct daemon *d);
/* Ends the calls that were not answered; the workers have stopped. */
void daemon_discard_fanouts(struct daemon *d);

/* live_changes.c: changes that the file does not have. `tenant` may be empty. */
void live_changes_note(struct daemon *d, const char *tenant, const char *what);
/* Forgets the changes of a tenant. Returns whether it was created live. */
bool live_changes_forget_tenant(struct daemon *d, const char *tenant);
/* Logs the fate of each change and forgets it, before `file` replaces d->config. */
void live_changes_end(struct daemon *d, const struct config *file);
void live_changes_free(struct daemon *d);
extern const struct registry_hooks daemon_hooks; /* context to be set */

/* notify.c */
void daemon_notify_ready(struct daemon *d);
void daemon_notify_status(struct daemon *d);
/* A step was made in leaving clients to the next process, and in taking over those of the one before. */
void daemon_notify_leaving(struct daemon *d);
void daemon_notify_resuming(struct daemon *d);
/* Checks and pings the workers, pings systemd, and updates the health. */
void daemon_watchdog(struct daemon *d);
