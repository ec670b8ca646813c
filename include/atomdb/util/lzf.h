/* LZF (Lehmann, 2000): the fast compression of strings in Redis's DUMP format.
 *
 * The output is identical to that of redis-server 7.0. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "atomdb/util/slice.h"

/* Maximum ratio of expanded to compressed size. */
#define LZF_RATIO_MAX 88

/* Compresses into at most `room` bytes at `out`. Returns the compressed size, or 0 if it does not fit or memory
 * runs out. */
size_t lzf_compress(struct slice in, char *out, size_t room);

/* Expands to exactly `len` bytes at `out`. Returns false if `in` is invalid or expands to another length. */
bool lzf_expand(struct slice in, char *out, size_t len);
