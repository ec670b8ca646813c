/* The tenants on the metrics page: the largest have rows of their own, the others share one.
 *
 * Which tenants are the largest changes from page to page, yet each row's counters must never run backwards. So the
 * shared row counts what happens to a tenant only while it has no row of its own:
 *
 *   other = total - what tenants counted while they were shown, now and in the past
 *
 * where `total` sums the counters of all tenants that ever were. What a tenant counted before the page that first shows
 * it is thus in the shared row too: a scraper, which cannot know since when a new row counts, takes no increase from
 * the row's first value, and the rates of all rows together are the whole. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "atomdb/store/shard.h"
#include "atomdb/store/tenant.h"
#include "observe/text.h"

/* Counters: they only rise in a tenant's life. */
enum tenant_count {
	COUNT_COMMANDS,
	COUNT_HITS,
	COUNT_MISSES,
	COUNT_EVICTIONS,
	COUNT_EXPIRATIONS,
	COUNT_THROTTLED,
	COUNT_INPUT_BYTES,
	COUNT_OUTPUT_BYTES,
	COUNT_LOST_EVENTS, /* begins at 0 in each process */
	TENANT_COUNTS
};

/* The value of a figure that a row does not have. */
#define SAMPLE_ABSENT UINT64_MAX

/* A row. */
struct tenant_sample {
	struct labels labels;
	char name[TENANT_NAME_MAX + 1];
	uint64_t keys;
	uint64_t keys_expiring;
	uint64_t bytes;
	uint64_t clients;
	uint64_t quota_entries;
	uint64_t quota_bytes;
	uint64_t keys_ratio, bytes_ratio; /* used of the quotas, in millionths */
	uint64_t orphaned;                /* 1: it is; else SAMPLE_ABSENT */
	uint64_t counts[TENANT_COUNTS];
};

struct tenant_shown;

struct tenant_set {
	unsigned limit;
	unsigned capacity;          /* largest limit so far: the size of the arrays */
	unsigned count;             /* rows of tenants; the shared one is rows[count], behind them */
	struct tenant_sample *rows; /* owned: capacity + 1; sorted by name once finished */
	unsigned *heap;             /* owned: numbers of rows, the smallest tenant on top */
	uint64_t total[TENANT_COUNTS];
	uint64_t tenants;
	uint64_t orphans, orphaned_keys, orphaned_bytes;

	/* From page to page. */
	bool begun;                        /* a page was made before */
	struct tenant_shown *shown, *next; /* owned; by name */
	unsigned shown_count;
	uint64_t past[TENANT_COUNTS];  /* counted by tenants while they were shown, which are not any more */
	uint64_t other[TENANT_COUNTS]; /* of the last page */
};

void tenant_set_init(struct tenant_set *s);
void tenant_set_deinit(struct tenant_set *s);

/* Starts a page with rows for at most `limit` tenants. 0 or -ENOMEM. */
int tenant_set_begin(struct tenant_set *s, unsigned limit);
/* Adds a tenant: copies its figures, and allocates nothing. */
void tenant_set_add(struct tenant_set *s, const struct tenant *t);
/* Adds the counters of tenants that are gone. */
void tenant_set_add_retired(struct tenant_set *s, const struct retired_counters *r);
/* Completes the rows: count + 1 of them. */
void tenant_set_finish(struct tenant_set *s);
