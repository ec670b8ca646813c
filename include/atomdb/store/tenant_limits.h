/* The limits of a tenant. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum eviction { EVICTION_LRU, EVICTION_NONE };

/* The limits by which a tenant can lose keys. */
enum key_limit { KEY_LIMIT_ENTRIES, KEY_LIMIT_MEMORY, KEY_LIMIT_EVICTION, KEY_LIMITS };

/* The place that sets a limit. A later one overrides an earlier one. */
enum limit_source { LIMIT_BUILT_IN, LIMIT_IN_DEFAULTS, LIMIT_IN_TENANT };

#define TENANT_CPU_WEIGHT 100
/* Units of cpu_limit that are one CPU. */
#define TENANT_CPU_UNITS 1000

/* 0 means no limit. */
struct tenant_limits {
	uint64_t max_entries;
	uint64_t max_memory;    /* bytes */
	uint64_t client_memory; /* bytes; 0: see tenant_client_limit() */
	uint32_t max_clients;
	uint32_t commands_per_second;
	uint32_t cpu_weight; /* share of the worker's time, relative to other tenants; 0: TENANT_CPU_WEIGHT */
	uint32_t cpu_limit;  /* CPU time per time, in thousandths */
	enum eviction eviction;
	int64_t default_ttl;         /* milliseconds; for a write that sets no TTL */
	int64_t max_ttl;             /* milliseconds; replaces a longer TTL, and none */
	uint8_t sources[KEY_LIMITS]; /* enum limit_source */
	/* Bits 1 << enum key_limit: the tenant keeps this former limit, because the configuration lost a line and the
	 * limit that it sets would take keys. The registry sets it. */
	uint8_t kept;
	bool of_orphan; /* the limits of an orphan; the record keeps those from before. The registry sets it */
};

/* Copies one limit and its source. */
static inline void tenant_limits_copy(struct tenant_limits *to, const struct tenant_limits *from,
				      enum key_limit which) {
	if (which == KEY_LIMIT_ENTRIES)
		to->max_entries = from->max_entries;
	else if (which == KEY_LIMIT_MEMORY)
		to->max_memory = from->max_memory;
	else
		to->eviction = from->eviction;
	to->sources[which] = from->sources[which];
}
