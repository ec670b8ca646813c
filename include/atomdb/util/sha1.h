/* SHA-1 (FIPS 180-4). DEBUG DIGEST uses it to return the same digest as Redis. Use it for nothing else. */
#pragma once

#include <stdint.h>

#include "atomdb/util/slice.h"

#define SHA1_BYTES 20

/* `out` may overlap `bytes`. */
void sha1(struct slice bytes, uint8_t out[SHA1_BYTES]);
