/* The limits by which a tenant loses keys, in its record, for the next process.
 *
 * Each limit is one word: value << 2 | enum limit_source. So a crash leaves the former limit or the new one. 0 reads as
 * no limit, built in: an earlier release saved none. */
#pragma once

#include <stdint.h>

#include "atomdb/store/tenant_limits.h"

/* Saves the limits, except those whose bit (1 << enum key_limit) is in `except`. */
void saved_limits_write(uint64_t saved[KEY_LIMITS], const struct tenant_limits *limits, unsigned except);
/* Sets the limits of enum key_limit, and their sources, in `limits`. */
void saved_limits_read(const uint64_t saved[KEY_LIMITS], struct tenant_limits *limits);
