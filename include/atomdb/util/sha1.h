/* SHA-1 (FIPS 180-4), for DEBUG DIGEST alone, which Redis makes of it: it protects nothing. */
#pragma once

#include <stdint.h>

#include "atomdb/util/slice.h"

#define SHA1_BYTES 20

/* `out` may be what `bytes` points to. */
void sha1(struct slice bytes, uint8_t out[SHA1_BYTES]);
