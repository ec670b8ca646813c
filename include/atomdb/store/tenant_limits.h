/* The limits of a tenant, as the configuration sets them. */
#pragma once

#include <stdint.h>

enum eviction { EVICTION_LRU, EVICTION_NONE };

/* The limits by which a tenant can lose keys. */
enum key_limit { KEY_LIMIT_ENTRIES, KEY_LIMIT_MEMORY, KEY_LIMIT_EVICTION, KEY_LIMITS };

/* The place that sets a limit. A later one overrides an earlier one. */
enum limit_source { LIMIT_BUILT_IN, LIMIT_IN_DEFAULTS, LIMIT_IN_TENANT };

/* 0 means no limit. */
struct tenant_limits {
	uint64_t max_entries;
	uint64_t max_memory;    /* bytes */
	uint64_t client_memory; /* bytes; 0: see tenant_client_limit() */
	uint32_t max_clients;
	uint32_t commands_per_second;
	enum eviction eviction;
	int64_t default_ttl;         /* milliseconds; for a write that sets no TTL */
	int64_t max_ttl;             /* milliseconds; replaces a longer TTL, and none */
	uint8_t sources[KEY_LIMITS]; /* enum limit_source */
};
