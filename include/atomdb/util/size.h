/* Sizes as people write them: "0", "512", "64K", "1G". */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Reads digits with an optional suffix K, M, G or T (powers of 1024) and an optional B at the end, in either case.
 * Returns 0, ATOMDB_E_SYNTAX, or ATOMDB_E_RANGE beyond INT64_MAX. */
int size_parse(const char *text, uint64_t *bytes);

/* Writes `bytes` as Redis's INFO does ("1.50M"); `out` holds at least 32 bytes and is terminated. */
void size_format(uint64_t bytes, char *out, size_t out_size);
