/* Statistics of a tenant's commands: slow log, latency events and histograms, error codes, and the start values of
 * INFO's counters.
 *
 * A command that takes fewer ticks than the tenant's slow_ticks costs only that comparison. The statistics are on the
 * heap, allocated when first needed, charged to the tenant, and freed with it. */
#pragma once

#include "atomdb/session/session.h"

#define LATENCY_SAMPLES 160
#define LATENCY_EVENTS  2
#define LATENCY_BUCKETS 21
#define ERROR_CODES     128 /* most codes that are counted separately */

/* Settings of CONFIG SET. */
struct tenant_stats_settings {
	int64_t slow_us;    /* threshold of the slow log; negative: none */
	int64_t slow_max;   /* maximum number of entries of the slow log */
	int64_t latency_ms; /* threshold of latency events; 0: none */
	bool tracking;      /* keep histograms of every command */
};

/* An entry of the slow log. `text` has the arguments, each with its length in front, followed by the address and the
 * name of the client, each with a NUL behind it. */
struct slow_entry {
	struct list link;
	int64_t id;
	int64_t time_s; /* since 1970 */
	int64_t micros;
	size_t size;
	uint32_t argc;
	char text[];
};

struct latency_sample {
	int64_t time_s;  /* 0: none */
	int64_t latency; /* milliseconds: the maximum of that second */
};

/* The latest seconds in which an event occurred, in a ring. */
struct latency_series {
	struct latency_sample samples[LATENCY_SAMPLES];
	unsigned next;
	int64_t worst; /* maximum of all time */
};

/* Bucket k counts durations up to about 2^(10+k) nanoseconds, as in Redis. */
struct histogram {
	uint64_t calls;
	uint64_t nanoseconds; /* nanoseconds of all calls */
	uint64_t buckets[LATENCY_BUCKETS];
};

/* Number of error replies with this code. */
struct error_count {
	char code[WRITER_CODE + 1];
	uint64_t count;
};

/* The counters that INFO derives rates from, and their time. */
struct rate_mark {
	int64_t time_ms; /* by environment.steady_ms */
	uint64_t commands, input_bytes, output_bytes;
};

struct tenant_stats {
	struct tenant_stats_settings settings;
	struct list slow; /* struct slow_entry, oldest first */
	int64_t slow_count;
	int64_t slow_next;             /* id of the next entry */
	struct latency_series *events; /* owned: LATENCY_EVENTS of them; NULL: none occurred */
	struct histogram *histograms;  /* owned: one for each command_number; NULL without tracking */
	struct tenant_counters start;  /* counters at the last CONFIG RESETSTAT */
	struct error_count *errors;    /* owned, in alphabetical order */
	unsigned error_count, error_room;
	struct rate_mark marks[2]; /* the older one first */
};

/* Returns the tenant's statistics, which it makes if there are none. NULL if there is no memory. `ask` as in
 * stats_memory_alloc. */
struct tenant_stats *tenant_stats_open(struct tenant *t, bool ask);
/* Frees and discharges all statistics of a tenant: tenant_clients.free_stats. */
void tenant_stats_free(struct tenant *t);
/* Module hook: frees the statistics with the tenant. */
void tenant_stats_attach(struct session *s);
/* Returns the settings in force, or those of a new tenant if it has no statistics. */
struct tenant_stats_settings tenant_stats_settings_of(const struct tenant *t);
/* Sets the settings. Returns 0 or ATOMDB_E_OOM. */
int tenant_stats_configure(struct tenant *t, const struct environment *env,
			   const struct tenant_stats_settings *settings);
/* Records a command that took `ticks`, at least the tenant's slow_ticks, and updates that threshold. */
__attribute__((cold, noinline)) void tenant_stats_count_command(struct session *s, const struct request *r,
								uint64_t ticks);
/* Counts the error that was just replied. Returns true. */
__attribute__((cold, noinline)) bool tenant_stats_count_error(struct session *s);
/* The same for a command that ran. */
__attribute__((cold, noinline)) bool tenant_stats_count_failed(struct session *s, const struct command *c);
/* Counts a command that was refused with an error before it ran. NULL: an unknown command. */
void tenant_stats_count_rejected(struct session *s, const struct command *c);
/* Returns the error replies since the last CONFIG RESETSTAT by code, in alphabetical order, `*count` of them. */
const struct error_count *tenant_stats_errors(const struct tenant *t, unsigned *count);
/* Returns the histogram of a command, or NULL if there is none. */
const struct histogram *tenant_stats_histogram(const struct tenant *t, const struct command *c);
/* Returns the longest duration, in nanoseconds, that bucket `k` counts. */
uint64_t tenant_stats_bucket_end(unsigned k);
/* CONFIG RESETSTAT: INFO's counters and the histograms restart at 0. Returns 0 or ATOMDB_E_OOM. */
int tenant_stats_reset(struct tenant *t);
/* Returns a counter of the tenant's counters since tenant_stats_reset. */
uint64_t tenant_stats_counter(const struct tenant *t, const counter *number);

/* Commands, and bytes in and out, per second. */
struct rates {
	double commands, input_bytes, output_bytes;
};

/* Returns the rates since an earlier call that is at least RATE_MS ago, or else since the start of the daemon. */
#define RATE_MS 100
struct rates tenant_stats_rates(struct tenant *t, const struct environment *env);

/* Returns the name of a latency event; its series is t->clients.tenant_stats->events[i]. */
const char *latency_event_name(unsigned i);
/* Removes all entries of the slow log. */
void tenant_stats_reset_slowlog(struct tenant *t);
