#include "store/tenant/saved_limits.h"

#define SOURCE_BITS 2
#define VALUE_MAX   (UINT64_MAX >> SOURCE_BITS)

static uint64_t value_of(const struct tenant_limits *limits, enum key_limit which) {
	switch (which) {
	case KEY_LIMIT_ENTRIES:
		return limits->max_entries;
	case KEY_LIMIT_MEMORY:
		return limits->max_memory;
	default:
		return limits->eviction == EVICTION_NONE;
	}
}

void saved_limits_write(uint64_t saved[KEY_LIMITS], const struct tenant_limits *limits) {
	for (unsigned i = 0; i < KEY_LIMITS; i++) {
		uint64_t value = value_of(limits, i);
		saved[i] = (value < VALUE_MAX ? value : VALUE_MAX) << SOURCE_BITS | limits->sources[i];
	}
}

void saved_limits_read(const uint64_t saved[KEY_LIMITS], struct tenant_limits *limits) {
	limits->max_entries = saved[KEY_LIMIT_ENTRIES] >> SOURCE_BITS;
	limits->max_memory = saved[KEY_LIMIT_MEMORY] >> SOURCE_BITS;
	limits->eviction = saved[KEY_LIMIT_EVICTION] >> SOURCE_BITS != 0 ? EVICTION_NONE : EVICTION_LRU;
	for (unsigned i = 0; i < KEY_LIMITS; i++) {
		unsigned source = saved[i] & ((1u << SOURCE_BITS) - 1);
		limits->sources[i] = source < LIMIT_IN_TENANT ? (uint8_t)source : LIMIT_IN_TENANT;
	}
}
