/* The limits of a tenant, as the configuration gives them. */
#pragma once

#include <stdint.h>

enum eviction { EVICTION_LRU, EVICTION_NONE };

/* Limits by which a tenant loses keys. */
enum key_limit { KEY_LIMIT_ENTRIES, KEY_LIMIT_MEMORY, KEY_LIMIT_EVICTION, KEY_LIMITS };

/* The place where the configuration writes a limit, the more specific one last. */
enum limit_source { LIMIT_BUILT_IN, LIMIT_IN_DEFAULTS, LIMIT_IN_TENANT };

/* 0 means no limit. */
struct tenant_limits {
	uint64_t max_entries;
	uint64_t max_memory;    /* bytes */
	uint64_t client_memory; /* bytes; 0: see tenant_client_limit */
	uint32_t max_clients;
	uint32_t commands_per_second;
	enum eviction eviction;
	int64_t default_ttl;         /* milliseconds; given to a write that sets none */
	int64_t max_ttl;             /* milliseconds; longer ones, and none, become this */
	uint8_t sources[KEY_LIMITS]; /* enum limit_source */
};
