/* LZF (Lehmann, 2000), the compression of strings in Redis's dumps: fast rather than small.
 *
 * What comes out is what redis-server 7.0 makes of the same bytes. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "atomdb/util/slice.h"

/* One byte of compressed data stands for at most so many. */
#define LZF_RATIO_MAX 88

/* Compresses into `out`, at most `room` bytes; returns how many, or 0 where it does not fit or memory is short. */
size_t lzf_compress(struct slice in, char *out, size_t room);

/* Expands to exactly `len` bytes at `out`; false where `in` is not what `len` bytes were compressed to. */
bool lzf_expand(struct slice in, char *out, size_t len);
