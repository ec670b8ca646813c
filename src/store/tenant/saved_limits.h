/* The limits of enum key_limit in a tenant's record, for the next process.
 *
 * Each limit is one word: value << 2 | enum limit_source. A crash leaves either the former word or the new one. 0 means
 * no limit, from no line of the configuration. Records of releases that saved no limits are 0. */
#pragma once

#include <stdint.h>

#include "atomdb/store/tenant_limits.h"

/* Saves the limits and their sources. A value of 2^62 or more is saved as 2^62 - 1. */
void saved_limits_write(uint64_t saved[KEY_LIMITS], const struct tenant_limits *limits);
/* Sets the limits and their sources in `limits`. An unknown source reads as LIMIT_IN_TENANT. */
void saved_limits_read(const uint64_t saved[KEY_LIMITS], struct tenant_limits *limits);
