/* The state of the daemon. Only the main thread uses it. */
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

/* Names of the files that systemd stores for the next process. */
#define STORED_NAME             32
#define STORED_SHARD            "atomdb-shard-" /* and the number */
#define STORED_STATE            "atomdb-state"
#define STORED_CLIENTS          "atomdb-clients"
#define STORED_RESTART_COUNTERS "atomdb-ledger"

/* The files that systemd passed to this process: descriptors, owned, or -1. */
struct stored {
	int shards[CONFIG_WORKERS];
	unsigned shard_count; /* the highest number plus one */
	int state, clients, restart_counters;
};

/* An HTTP address in the loop. */
struct http_source {
	struct http *http;      /* owned */
	sd_event_source *input; /* owned */
	sd_event_source *timer; /* owned */
};

/* Whether a counter of refusals grew recently. */
struct refusals {
	uint64_t seen;
	unsigned hold; /* ticks left for which they count as recent */
};

/* A live change of the operator, which the configuration file does not have. */
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
	struct shard *shards[CONFIG_WORKERS];   /* read from the workers */
	int shard_errors[CONFIG_WORKERS];       /* errors of shards that could not be made */
	const struct shard_counters *shard_counters[CONFIG_WORKERS];
	unsigned shard_count; /* at least as many as workers */
	bool has_store;       /* systemd keeps the shards */
	struct stored stored;
	struct recovery_counters recovery;
	unsigned worker_count;
	unsigned started; /* workers whose thread was started */
	struct worker_shared shared;
	struct memory_budget budget;
	uint64_t memory_allowed;   /* its limit without memory pressure */
	struct registry *registry; /* owned */
	struct metrics_worker counters[CONFIG_WORKERS];
	struct metrics_sources sources;
	struct metrics *metrics; /* owned */
	struct health health;
	struct refusals refused_memory, refused_tenants;
	struct http_auth http_auth;    /* secret of HTTP */
	struct hosts hosts;            /* host names that HTTP accepts */
	struct status_api *status_api; /* owned */
	struct page *page;             /* owned */
	struct http_content content;
	struct watchdog watchdog[CONFIG_WORKERS];
	struct watchdog_stop watchdog_stop;
	uint64_t step_ns;           /* time of the last request to systemd for more time */
	uint64_t watchdog_limit_ns; /* a worker is stuck if its answer is due for longer */
	uint64_t watchdog_usec;     /* watchdog interval of systemd; 0: none */
	uint32_t client_room;       /* clients that the limit on open files allows */
	uint64_t memory_room;       /* bytes that the control group allows; UINT64_MAX: no limit */

	/* Fanouts from the workers. The mutex guards `fanouts`. */
	pthread_mutex_t fanouts_mutex;
	struct fanout *fanouts; /* the latest first */
	int fanouts_fd;         /* eventfd: readable if there are fanouts */

	struct list live_changes; /* struct live_change, owned */
	uint64_t live_count;

	sd_event *loop;        /* owned */
	sd_event_source *tick; /* owned */
	unsigned ticks;
	char status[256]; /* the line that systemctl shows */
	char run_id[RUN_ID_DIGITS + 1];

	bool reload_failed; /* the last reload failed */
	bool stopping;
	struct unit_job unit_job; /* the reason for the stop, if systemd stores files */
	bool reaper_started;
	_Atomic unsigned joined; /* workers, from the first, whose thread the reaper has joined */
	pthread_t reaper;        /* joins the workers while the loop runs on */
	int stopped_fd;          /* eventfd: the reaper is done */
};
