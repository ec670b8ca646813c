/* Conversion between integers and decimal text, as strict as in Redis. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "atomdb/util/slice.h"

/* Maximum length of an int64_t in decimal, without a terminator. */
#define NUMBER_TEXT_MAX 20

/* The numbers from 0 to 99, two digits each. */
extern const char number_digit_pairs[];

/* Parses the canonical decimal form of an int64_t: an optional '-', no '+', no space, no leading zero, no "-0". Returns
 * false, and leaves `*value` unchanged, if `text` is anything else. */
bool number_parse(struct slice text, int64_t *value);

/* Writes `value` in decimal to `out`, which holds NUMBER_TEXT_MAX bytes, without a terminator. Returns the length. */
size_t number_format(int64_t value, char *out);
