/* Human-readable sizes: "0", "512", "64K", "1G". */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Parses digits, an optional suffix K, M, G or T (powers of 1024), and an optional B, in either case. Returns 0,
 * ATOMDB_E_SYNTAX, or ATOMDB_E_RANGE if the size exceeds INT64_MAX. */
int size_parse(const char *text, uint64_t *bytes);

/* Formats `bytes` as Redis's INFO does ("1.50M"), with a terminator. `out` holds at least 32 bytes. */
void size_format(uint64_t bytes, char *out, size_t out_size);
