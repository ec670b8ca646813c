/* The tenants on the metrics page: the largest have rows of their own, the others share one.
 *
 * The set of the largest tenants changes from page to page, but counters must never decrease. So the shared row counts
 * the events of a tenant only while the tenant has no row of its own:
 *
 *   other = total - counts of all tenants while they were shown, now and in the past
 *
 * `total` is the sum of the counters of all present and former tenants. The shared row also includes the counts of a
 * tenant before the page that first shows it: a scraper takes no increase from the first value of a new row, so that
 * the rates of all rows sum to the rate of the total. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "atomdb/store/shard.h"
#include "atomdb/store/tenant.h"
#include "observe/text.h"

/* Counters: they only increase during the life of a tenant. */
enum tenant_count {
	COUNT_COMMANDS,
	COUNT_HITS,
	COUNT_MISSES,
	COUNT_EVICTIONS,
	COUNT_EXPIRATIONS,
	COUNT_THROTTLED,
	COUNT_INPUT_BYTES,
	COUNT_OUTPUT_BYTES,
	COUNT_LOST_EVENTS,      /* starts at 0 in each process */
	COUNT_CPU_NS,           /* starts at 0 in each process */
	COUNT_CPU_THROTTLED_NS, /* starts at 0 in each process */
	TENANT_COUNTS
};

/* The value of a member that a row does not have. */
#define SAMPLE_ABSENT UINT64_MAX

/* A row of the page. */
struct tenant_sample {
	struct labels labels;
	char name[TENANT_NAME_MAX + 1];
	uint64_t keys;
	uint64_t keys_expiring;
	uint64_t bytes;
	uint64_t clients;
	uint64_t quota_entries;
	uint64_t quota_bytes;
	uint64_t keys_ratio, bytes_ratio; /* used part of the quotas, in millionths */
	uint64_t orphaned;                /* 1: true; else SAMPLE_ABSENT */
	uint64_t counts[TENANT_COUNTS];
};

struct tenant_shown;

struct tenant_set {
	unsigned limit;
	unsigned capacity;          /* largest limit so far: the size of the arrays */
	unsigned count;             /* number of rows of tenants; the shared row is rows[count], behind them */
	struct tenant_sample *rows; /* owned: capacity + 1 elements; sorted by name at the end */
	unsigned *heap;             /* owned: indexes of rows, the smallest tenant on top */
	uint64_t total[TENANT_COUNTS];
	uint64_t tenants;
	uint64_t orphans, orphaned_keys, orphaned_bytes;

	/* State that is kept between pages. */
	bool begun;                        /* there was a page before */
	struct tenant_shown *shown, *next; /* owned: sorted by name */
	unsigned shown_count;
	uint64_t past[TENANT_COUNTS];  /* sum that former rows counted while they were shown */
	uint64_t other[TENANT_COUNTS]; /* of the last page */
};

void tenant_set_init(struct tenant_set *s);
void tenant_set_deinit(struct tenant_set *s);

/* Starts a page with rows for at most `limit` tenants. Returns 0 or -ENOMEM. */
int tenant_set_begin(struct tenant_set *s, unsigned limit);
/* Adds a tenant: copies its counters, and allocates nothing. */
void tenant_set_add(struct tenant_set *s, const struct tenant *t);
/* Adds the counters of ended tenants. */
void tenant_set_add_retired(struct tenant_set *s, const struct retired_counters *r);
/* Completes the rows: count + 1 of them. */
void tenant_set_finish(struct tenant_set *s);
