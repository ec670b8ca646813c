/* What is noted of a tenant's commands: its slow log, its latency events and histograms, and from where on INFO counts.
 *
 * A command that takes fewer ticks than the tenant's slow_ticks costs no more than that comparison; all of this comes
 * behind it. The statistics are on the heap, made when there is first something to note, charged to the tenant, and end
 * with it. */
#pragma once

#include "atomdb/session/session.h"

#define LATENCY_SAMPLES 160
#define LATENCY_EVENTS  2
#define LATENCY_BUCKETS 21
#define ERROR_CODES     128 /* that are counted, each by itself */

/* Settings of CONFIG SET. */
struct tenant_stats_settings {
	int64_t slow_us;    /* commands that take so long go to the slow log; negative: none */
	int64_t slow_max;   /* entries that the slow log keeps */
	int64_t latency_ms; /* commands that take so long are latency events; 0: none */
	bool tracking;      /* histograms of every command are kept */
};

/* An entry of the slow log. `text` has the arguments, each with its length in front, then the address and the name of
 * the client, each with a NUL behind it. */
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
	int64_t latency; /* milliseconds: the worst of that second */
};

/* The latest seconds in which an event was seen, in a ring. */
struct latency_series {
	struct latency_sample samples[LATENCY_SAMPLES];
	unsigned next;
	int64_t worst; /* of all time */
};

/* Bucket k counts the durations up to 2^(10+k) nanoseconds and a little more, as Redis's do. */
struct histogram {
	uint64_t calls;
	uint64_t nanoseconds; /* of all calls together */
	uint64_t buckets[LATENCY_BUCKETS];
};

/* How often clients were answered an error with this code. */
struct error_count {
	char code[WRITER_CODE + 1];
	uint64_t count;
};

/* The counters that INFO makes rates of, and when that was. */
struct rate_mark {
	int64_t time_ms; /* by environment.steady_ms */
	uint64_t commands, input_bytes, output_bytes;
};

struct tenant_stats {
	struct tenant_stats_settings settings;
	struct list slow; /* struct slow_entry, oldest first */
	int64_t slow_count;
	int64_t slow_next;             /* id */
	struct latency_series *events; /* owned: LATENCY_EVENTS of them; NULL: none was seen */
	struct histogram *histograms;  /* owned: one for each command_number; NULL without tracking */
	struct tenant_counters start;  /* counters at the last CONFIG RESETSTAT */
	struct error_count *errors;    /* owned, in alphabetical order */
	unsigned error_count, error_room;
	struct rate_mark marks[2]; /* the older one first */
	uint64_t charged;          /* bytes */
};

/* The tenant's statistics, made where there are none yet; NULL without memory. `ask` as in stats_memory_alloc. */
struct tenant_stats *tenant_stats_open(struct tenant *t, bool ask);
/* struct tenant's forget. */
void tenant_stats_free(struct tenant *t);
/* Module hook: the statistics of the tenant end with it. */
void tenant_stats_attach(struct session *s);
/* The settings in force, those of a new tenant where nothing is noted yet. */
struct tenant_stats_settings tenant_stats_settings_of(const struct tenant *t);
/* Puts settings in force; 0 or ATOMDB_E_OOM. */
int tenant_stats_configure(struct tenant *t, const struct environment *env,
			   const struct tenant_stats_settings *settings);
/* Counts that a command took `ticks`, and sets the tenant's slow_ticks for the next. For commands that took at least
 * that. */
__attribute__((cold, noinline)) void tenant_stats_count_command(struct session *s, const struct request *r,
								uint64_t ticks);
/* Counts the error that was just answered; true. */
__attribute__((cold, noinline)) bool tenant_stats_count_error(struct session *s);
/* The same for a command that ran. */
__attribute__((cold, noinline)) bool tenant_stats_count_failed(struct session *s, const struct command *c);
/* Counts that a command, NULL for one that is unknown, was refused before it ran, with an error. */
void tenant_stats_count_rejected(struct session *s, const struct command *c);
/* The error replies since the last CONFIG RESETSTAT by their codes, in alphabetical order: `*count` of them. */
const struct error_count *tenant_stats_errors(const struct tenant *t, unsigned *count);
/* The histogram of a command, or NULL where there is none. */
const struct histogram *tenant_stats_histogram(const struct tenant *t, const struct command *c);
/* The longest duration, in nanoseconds, that bucket `k` counts. */
uint64_t tenant_stats_bucket_end(unsigned k);
/* INFO counts from here on; histograms begin anew. 0 or ATOMDB_E_OOM. */
int tenant_stats_reset(struct tenant *t);
/* A counter of the tenant's counters since tenant_stats_reset. */
uint64_t tenant_stats_counter(const struct tenant *t, const counter *number);

/* Commands, and bytes in and out, a second. */
struct rates {
	double commands, input_bytes, output_bytes;
};

/* The rates since they were asked for before, at least RATE_MS ago; since the start of the daemon where that was not.
 */
#define RATE_MS 100
struct rates tenant_stats_rates(struct tenant *t, const struct environment *env);

/* The name of a latency event; its series is t->clients.tenant_stats->events[i]. */
const char *latency_event_name(unsigned i);
/* Forgets what is in the slow log. */
void tenant_stats_reset_slowlog(struct tenant *t);
