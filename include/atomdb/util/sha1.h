/* SHA-1 (FIPS 180-4). DEBUG DIGEST needs it for the same result as in Redis. Nothing else may use it. */
#pragma once

#include <stdint.h>

#include "atomdb/util/slice.h"

#define SHA1_BYTES 20

/* `out` may overlap `bytes`. */
void sha1(struct slice bytes, uint8_t out[SHA1_BYTES]);
