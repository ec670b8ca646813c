/* Decimal integers to and from bytes, as strictly as Redis reads them. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "atomdb/util/slice.h"

/* Longest text of an int64_t, without terminator. */
#define NUMBER_TEXT_MAX 20

/* Reads the canonical decimal form of an int64_t: an optional '-', no '+', no space, no leading zero, no "-0", at most
 * 20 bytes. Returns whether the whole slice is one; `*value` is written only then. */
bool number_parse(struct slice text, int64_t *value);

/* Writes `value` in decimal to `out` (at least NUMBER_TEXT_MAX bytes, no terminator); returns the count of bytes. */
size_t number_format(int64_t value, char *out);
